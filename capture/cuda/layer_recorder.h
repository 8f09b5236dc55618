// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_kernels.h"
#include "capture/cuda/transfer_ring.h"
#include "capture/cuda/work_space.h"
#include "core/error.h"
#include "core/recording/attention_recorder.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe::cuda {

/// Not enough memory on the device; the message gives the numbers.
class DeviceMemoryError : public Error {
public:
    using Error::Error;
};

/// One layer as a forward pass on a device brings it to its attention.
template <typename Element> struct LayerAttention {
    int layer = 0;
    int heads = 0;
    int headDim = 0;
    AttentionInput<Element> input;
    Element* context = nullptr; ///< where the context goes
    std::int64_t contextHeadStride = 0;
    std::int64_t contextRowStride = 0;
};

/// Computes the attention of layers with the kernels and gives an AttentionRecorder what it stores, from the kernels'
/// summaries, or where the recorder needs whole rows from the rows.
///
/// Work space on the device is bounded by Limits and kept from layer to layer: heads are launched in groups that fit,
/// and if the device has less the groups are halved down to one head before DeviceMemoryError is thrown. While a group
/// is computed, what came of the one before goes to the recorder. Map tiles leave through a ring of buffers that is
/// made for the first of them, and may arrive after the layer has ended; finish() waits for them.
class LayerRecorder {
public:
    struct Limits {
        std::size_t workBytes = std::size_t{512} << 20; ///< of a launch, beside map tiles
    };

    /// How map tiles leave the device.
    struct MapTransfer {
        TransferDevice& device;
        int slots = 2;
        std::size_t slotBytes = std::size_t{256} << 20; ///< at least a row of tiles of one head
    };

    /// All outlive this object: whatever ends it, nothing arrives at the recorder afterwards.
    LayerRecorder(AttentionKernels& kernels, AttentionRecorder& recorder, MapTransfer transfer, Limits limits);

    /// All prompt rows of a layer, between the recorder's beginLayer() and endLayer(): no past.
    template <typename Element> void prompt(const LayerAttention<Element>& layer);
    /// One generated token.
    template <typename Element> void generated(const LayerAttention<Element>& layer);
    void finish();

private:
    struct GroupLayout;
    struct Group;

    template <typename Element> void summaries(const LayerAttention<Element>& layer);
    template <typename Element>
    Group launch(const LayerAttention<Element>& layer, const GroupLayout& layout, int headBegin, bool maps);
    template <typename Element>
    void launchMaps(const LayerAttention<Element>& layer, AttentionOutput<Element> output, int heads);
    void summarize(std::optional<Group>& group);
    template <typename Element> void rows(const LayerAttention<Element>& layer);

    AttentionKernels& m_kernels;
    AttentionRecorder& m_recorder;
    MapTransfer m_transfer;
    Limits m_limits;
    std::vector<std::int64_t> m_factors;
    int m_poolFactor;
    WorkSpace m_work;
    std::optional<TransferRing> m_ring; // last: it ends before the rest goes
};

/// The attention alone, nothing recorded.
template <typename Element> void attend(AttentionKernels& kernels, const LayerAttention<Element>& layer);

} // namespace kvloupe::cuda
