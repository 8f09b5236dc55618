// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording.h"
#include "core/recording/verify.h"
#include "fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    const ScratchFile input({data, size});
    try {
        const Recording recording = Recording::open(input.path());
        verifyRecording(recording, {});
        for (int sample = 0; sample < recording.sampleCount(); ++sample) {
            recording.readText(sample);
            recording.storedBytes(sample);
        }
    } catch (const RecordingError&) {
    }
    return 0;
}
