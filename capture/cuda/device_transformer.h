// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/layer_recorder.h"
#include "capture/model/transformer.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

class Adapter;
class Checkpoint;

namespace cuda {

/// What weights, activations and the cache are stored as; norms, RoPE, softmax and logits are float32 in any case.
enum class ComputeType { Float32, Bfloat16, Float16 };
std::string_view computeTypeName(ComputeType type); ///< "float32", "bf16", "fp16"

inline constexpr std::int64_t logitRows = 256; ///< whose logits exist at once

/// What becomes of the attention of a prompt and of the tokens after it.
struct DeviceRecording {
    AttentionRecorder& recorder;
    LayerRecorder& layers;
    std::vector<LayerOptions> options; ///< of every layer its window, and as `rope` its variant in the recording
    bool outputNorms = false; ///< record 1-norms of W_o,h v too
};

/// Keys and values of one text on the device.
class DeviceCache {
public:
    ~DeviceCache();
    DeviceCache(DeviceCache&&) noexcept;
    DeviceCache& operator=(DeviceCache&&) noexcept;

    std::int64_t size() const; ///< tokens

private:
    friend class DeviceTransformer;
    struct State;
    explicit DeviceCache(std::unique_ptr<State> state);
    std::unique_ptr<State> m_state;
};

/// The decoder-only transformer of capture/model with its weights on a device: products by LibTorch, attention and what
/// is recorded of it by the kernels.
///
/// Errors: ModelError as Transformer, also for head dimensions that the kernels do not have; DeviceMemoryError;
/// Cancelled. After an error the cache is what it was before the call.
class DeviceTransformer {
public:
    struct Options {
        ComputeType type = ComputeType::Bfloat16;
        bool onCpu = false; ///< LibTorch computes on the CPU: what tests do, with kernels that do so too
        int threads = 0; ///< of reading the checkpoint; 0 = one per core
        std::shared_ptr<const Adapter> adapter = {}; ///< merged in float32; null for none
        std::function<bool(double)> progress = {}; ///< fraction done; false cancels
    };

    /// Weights are dequantised on the device, adapted ones on the host, and rounded once to the compute type. The
    /// checkpoint is not needed afterwards; `kernels` outlives this object.
    static std::unique_ptr<DeviceTransformer> load(
        const Checkpoint& checkpoint, AttentionKernels& kernels, const Options& options);
    ~DeviceTransformer();

    const ModelConfig& config() const;
    /// Room for `capacity` tokens is taken at once.
    DeviceCache makeCache(std::int64_t capacity) const;

    /// Runs `ids` after what `cache` holds. What is recorded is one whole prompt in an empty cache, then single tokens.
    PrefillResult prefill(std::span<const std::int32_t> ids, DeviceCache& cache,
        const std::function<bool(double)>& progress = {}, const DeviceRecording* recording = nullptr) const;
    DecodeResult decode(std::int32_t id, DeviceCache& cache, const DeviceRecording* recording = nullptr) const;

private:
    friend class DeviceLiveModel;
    struct State;
    explicit DeviceTransformer(std::unique_ptr<State> state);
    std::unique_ptr<State> m_state;
};

/// What of a device a model is run with, and its name in recordings and results.
struct DeviceModel {
    std::string name;
    ComputeType type = ComputeType::Bfloat16;
    bool onCpu = false; ///< as DeviceTransformer::Options

    std::unique_ptr<DeviceTransformer> load(const Checkpoint& checkpoint, AttentionKernels& kernels,
        std::shared_ptr<const Adapter> adapter, int threads, const std::function<bool(double)>& progress) const;
};

} // namespace cuda

} // namespace kvloupe
