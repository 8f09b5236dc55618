// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_data.h"
#include "views/figure/panel.h"

#include <memory>

namespace kvloupe {

/// The attention map of one head as a panel.
class AttentionPanel final : public PanelSpec {
public:
    explicit AttentionPanel(FigureSpec spec)
        : m_spec(std::move(spec))
    {
    }

    const FigureSpec& spec() const { return m_spec; }
    QString label() const override;
    Json toJson() const override;
    PanelFrame frame() const override;
    std::shared_ptr<const PanelData> read(const PanelFrame& frame) const override;
    /// A map is read as fine as it can be shown.
    bool readsForSize() const override { return true; }

private:
    FigureSpec m_spec;
};

/// The numbers of such a panel.
class AttentionPanelData final : public PanelData {
public:
    explicit AttentionPanelData(FigureData data);

    QString title() const override { return m_title; }
    QString caption() const override { return m_caption; }
    QString description() const override { return m_description; }
    std::vector<PanelRange> ranges() const override;
    bool canStretch() const override { return false; }
    PaintedPanel layOut(const PanelFrame& frame) const override;
    FigureTable table() const override { return m_table; }

private:
    FigureData m_data;
    QString m_title;
    QString m_caption;
    QString m_description;
    FigureTable m_table;
};

} // namespace kvloupe
