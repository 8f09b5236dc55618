// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/replay_spec.h"

#include <string_view>

namespace kvloupe {

/// Names of the figures of a replayed sample: "overlap", "shots", "timeline", "text", "heads".
std::vector<std::string> replayFigureNames();
bool isReplayFigure(std::string_view name);

struct FigureSpec;

/// A figure of a replayed sample as a panel.
class ReplayPanel final : public PanelSpec {
public:
    /// What of a window a figure is of; all heads, but for HeadInView.
    enum class Scope { NoMethods, AllMethods, MethodInFront, HeadInView };
    /// Figure `name` of what a window shows: `view` is its map, the method in front first.
    static std::shared_ptr<const ReplayPanel> ofView(std::string name, const FigureSpec& view, Scope scope);

    /// `name`: one of replayFigureNames(). Throws FigureError for others.
    ReplayPanel(std::string name, ReplaySpec spec);

    QString label() const override;
    Json toJson() const override;
    PanelFrame frame() const override;
    std::shared_ptr<const PanelData> read(const PanelFrame& frame) const override;

private:
    std::string m_name;
    ReplaySpec m_spec;
};

} // namespace kvloupe
