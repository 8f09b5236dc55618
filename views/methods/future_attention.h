// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"

#include "core/prompt/prompt_layout.h"

#include <QObject>

#include <cstdint>
#include <memory>
#include <vector>

namespace kvloupe {

/// What the generated queries of the sample in view look at: what an oracle that knows the future would keep is ranked
/// by it. Read layer by layer on the I/O thread, behind everything else, and only while somebody looks. Holds one float
/// per query head and prompt token of every layer.
class FutureAttention final : public QObject {
    Q_OBJECT

public:
    struct Layer {
        int queryHeads = 0;
        TokenRange cache; ///< prompt positions in the cache of the layer
        std::vector<float> received; ///< [queryHeads, cache.size()], summed over generated queries
    };
    /// One per layer of SampleModel::layers; null entries where queries and keys were not recorded.
    using Layers = std::vector<std::shared_ptr<const Layer>>;

    /// `models` outlive this object.
    explicit FutureAttention(const ViewModels& models, QObject* parent = nullptr);

    void setWanted(bool wanted);
    /// Whether the sample in view has generated tokens at all.
    bool exists() const;
    /// Null until all layers are there.
    std::shared_ptr<const Layers> layers() const { return m_isComplete ? m_layers : nullptr; }
    bool isSettled() const { return !m_isWanted || !exists() || m_isComplete; }

signals:
    void completed();

private:
    void restart();
    void requestNext();
    void take(std::uint64_t generation, std::shared_ptr<const Layer> layer);

    ViewModels m_models;
    bool m_isWanted = false;
    bool m_isComplete = false;
    bool m_isReading = false;
    std::uint64_t m_generation = 0;
    std::shared_ptr<Layers> m_layers;
};

} // namespace kvloupe
