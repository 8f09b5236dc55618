// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/replay_panel.h"

#include "core/recording/recording.h"
#include "views/figure/figure_spec.h"
#include "views/figure/point_painter.h"
#include "views/heads/heads_figure.h"
#include "views/methods/overlap_figure.h"
#include "views/shots/shots_figure.h"
#include "views/timeline/timeline_figure.h"
#include "views/tokens/text_figure.h"

#include <QCoreApplication>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace kvloupe {

namespace {

struct Kind {
    std::string_view name;
    std::shared_ptr<const PanelData> (*read)(const Recording&, const ReplaySpec&);
};

constexpr std::array kinds{Kind{"overlap", readOverlap}, Kind{"shots", readShots}, Kind{"timeline", readTimeline},
    Kind{"text", readText}, Kind{"heads", readHeads}};

} // namespace

std::vector<std::string> replayFigureNames()
{
    std::vector<std::string> names;
    for (const Kind& kind : kinds)
        names.emplace_back(kind.name);
    return names;
}

bool isReplayFigure(std::string_view name)
{
    return std::ranges::find(kinds, name, &Kind::name) != kinds.end();
}

ReplayPanel::ReplayPanel(std::string name, ReplaySpec spec)
    : m_name(std::move(name))
    , m_spec(std::move(spec))
{
    if (!isReplayFigure(m_name))
        throw FigureError(
            fmt::format("figure: found \"{}\", expected one of {}", m_name, fmt::join(replayFigureNames(), ", ")));
}

std::shared_ptr<const ReplayPanel> ReplayPanel::ofView(std::string name, const FigureSpec& view, Scope scope)
{
    ReplaySpec spec;
    spec.recording = std::filesystem::absolute(view.recording);
    spec.sample = view.sample;
    spec.budget = view.budget;
    if (scope == Scope::HeadInView) {
        spec.layer = view.layer;
        spec.head = view.head;
    }
    if (scope == Scope::AllMethods)
        spec.methods = view.methods;
    else if (scope != Scope::NoMethods && !view.methods.empty())
        spec.methods = {view.methods.front()};
    return std::make_shared<ReplayPanel>(std::move(name), std::move(spec));
}

QString ReplayPanel::label() const
{
    const QString file = QString::fromStdString(m_spec.recording.filename().string());
    const QString name = QString::fromStdString(m_name);
    if (!m_spec.layer)
        return QCoreApplication::translate("ReplayPanel", "%1 of %2").arg(name, file);
    if (!m_spec.head)
        return QCoreApplication::translate("ReplayPanel", "%1, layer %2 of %3").arg(name).arg(*m_spec.layer).arg(file);
    return QCoreApplication::translate("ReplayPanel", "%1, layer %2, head %3 of %4")
        .arg(name)
        .arg(*m_spec.layer)
        .arg(*m_spec.head)
        .arg(file);
}

PanelSpec::Json ReplayPanel::toJson() const
{
    return replaySpecToJson(m_spec, m_name);
}

PanelFrame ReplayPanel::frame() const
{
    return {.width = m_spec.widthMm * pointsPerMillimetre,
        .height = m_spec.heightMm * pointsPerMillimetre,
        .font = m_spec.fontPoints,
        .dpi = m_spec.dpi,
        .isAlone = true,
        .shared = {}};
}

std::shared_ptr<const PanelData> ReplayPanel::read(const PanelFrame& /*frame*/) const
{
    if (m_spec.recording.empty())
        throw FigureError("figure: no recording was given, expected one after the name of the figure");
    return std::ranges::find(kinds, m_name, &Kind::name)->read(Recording::open(m_spec.recording), m_spec);
}

} // namespace kvloupe
