// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/model/transformer.h"
#include "core/recording/attention_recorder.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
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

/// What a run is to a device.
struct DeviceJob {
    std::int64_t longestPrompt = 0; ///< tokens
    std::int64_t generated = 0; ///< tokens after every prompt
    std::vector<std::int64_t> prompts; ///< tokens of each
    RecordKind kind = RecordKind::Full;
    bool rowOrder = false;
    std::uint64_t mapBytes = 0; ///< of all prompts
};

/// What it costs there, in bytes.
struct DeviceCost {
    std::vector<std::pair<std::string_view, std::uint64_t>> memory; ///< by what it is for
    std::optional<std::uint64_t> freeMemory; ///< nothing where there is no such device
    std::uint64_t toDevice = 0; ///< weights as they are stored
    std::uint64_t toHost = 0; ///< of all prompts
};

/// Where a CaptureSession runs a model, if not on the CPU.
class CaptureDevice {
public:
    virtual ~CaptureDevice() = default;

    virtual std::string name() const = 0; ///< for the recording: "cuda (NVIDIA H100)"
    virtual std::string computeType() const = 0; ///< for the recording: "bf16"
    virtual std::string attentionImplementation() const = 0; ///< for the recording

    virtual DeviceCost cost(const Checkpoint& checkpoint, const DeviceJob& job) const = 0;
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
