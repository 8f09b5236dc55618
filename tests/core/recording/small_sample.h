// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/recording.h"
#include "core/recording/recording_writer.h"

#include <filesystem>
#include <string>

namespace kvloupe {

/// A model of 2 layers, 4 heads, 2 KV heads of size 8.
ModelInfo smallModel();
/// Always the same uuid and date, so that two recordings can be compared.
RecordingInfo smallInfo();

/// Writes sample `index` with something in every kind of dataset, some 200 kB that depend on `index` alone.
void writeSmallSample(RecordingWriter& writer, int index);
/// Empty if the sample at `position` is what writeSmallSample(index) wrote, with whole checksums; else what differs.
std::string differenceFromSmallSample(const Recording& recording, int position, int index);

/// Goes on with `path` until it has `samples` samples, then merges.
void writeSmallRecording(const std::filesystem::path& path, int samples, RecordingWriter::Existing existing);

} // namespace kvloupe
