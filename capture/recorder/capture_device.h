// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/model/transformer.h"
#include "core/recording/attention_recorder.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

class Adapter;
class Checkpoint;

/// The forward passes of one sample: its prompt, then single tokens, all of it recorded.
class SampleRunner {
public:
    virtual ~SampleRunner() = default;
    virtual PrefillResult prefill(std::span<const std::int32_t> ids, const std::function<bool(double)>& progress) = 0;
    virtual DecodeResult decode(std::int32_t id) = 0;
};

/// Where a CaptureSession runs a model, if not on the CPU.
class CaptureDevice {
public:
    virtual ~CaptureDevice() = default;

    virtual std::string name() const = 0; ///< for the recording: "cuda (NVIDIA H100)"
    virtual std::string computeType() const = 0; ///< for the recording: "bf16"
    virtual std::string attentionImplementation() const = 0; ///< for the recording

    /// Once, before the first sample. What it throws tells what the device lacks.
    virtual void load(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter, int threads,
        const std::function<bool(double)>& progress)
        = 0;
    /// `recorder` outlives the runner. `layers`: of every layer its window, and as `rope` its variant in the recording.
    virtual std::unique_ptr<SampleRunner> begin(
        AttentionRecorder& recorder, std::vector<LayerOptions> layers, std::int64_t capacity, bool outputNorms)
        = 0;
};

} // namespace kvloupe
