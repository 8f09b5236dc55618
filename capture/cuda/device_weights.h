// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_kernels.h"
#include "capture/model/model_weights.h"

#include <ATen/ATen.h>

#include <functional>
#include <vector>

namespace kvloupe::cuda {

/// y = x W^T + b on a device.
struct DeviceLinear {
    at::Tensor weight; ///< [outputs, inputs]
    at::Tensor bias; ///< [outputs], undefined without one

    at::Tensor operator()(const at::Tensor& x) const { return at::linear(x, weight, biasOrNone()); }

private:
    c10::optional<at::Tensor> biasOrNone() const
    {
        return bias.defined() ? c10::optional<at::Tensor>(bias) : c10::nullopt;
    }
};

/// LayerWeights on a device. Gains are float32, undefined where the architecture has no such norm.
struct DeviceLayerWeights {
    at::Tensor attentionNorm;
    DeviceLinear qkv;
    at::Tensor queryNorm;
    at::Tensor keyNorm;
    DeviceLinear output;
    at::Tensor attentionOutputNorm;
    at::Tensor mlpNorm;
    DeviceLinear gate;
    DeviceLinear up;
    DeviceLinear down;
    at::Tensor mlpOutputNorm;
};

struct DeviceWeights {
    at::Tensor embedding; ///< [vocab, hidden]
    std::vector<DeviceLayerWeights> layers;
    at::Tensor finalNorm;
    DeviceLinear logits;
};

/// Weights that are streamed from a checkpoint on `device`, matrices as `type`. What is stored goes there in pieces and
/// is dequantised by `kernels`; rows that are not what is stored (an adapter changes them) are computed on the host.
/// Either way a number is its float32 value, rounded once. Memory on the host: a few pieces. Runs inside
/// TaskRunner::enter(). Errors: CheckpointError naming file, tensor, row and column of a number that is infinite or
/// NaN; Cancelled once `progress` returns false.
DeviceWeights copyWeights(const ModelWeights& weights, AttentionKernels& kernels, at::Device device,
    at::ScalarType type, TaskRunner& runner, const std::function<bool(double)>& progress);

} // namespace kvloupe::cuda
