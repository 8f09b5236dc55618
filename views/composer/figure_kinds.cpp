// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/figure_kinds.h"

#include "views/composer/replay_panel.h"
#include "views/figure/attention_panel.h"
#include "views/figure/spec_fields.h"
#include "views/results/results_figure.h"
#include "views/sparsity/sparsity_figure.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace kvloupe {

namespace {

constexpr const char* attentionName = "attention";

} // namespace

std::vector<std::string> panelNames()
{
    std::vector<std::string> names{attentionName};
    for (const auto& more : {resultsFigureNames(), sparsityFigureNames(), replayFigureNames()})
        names.insert(names.end(), more.begin(), more.end());
    return names;
}

std::shared_ptr<const PanelSpec> panelFromFields(SpecFields& fields)
{
    std::string name = attentionName;
    fields.text("figure", name);
    if (name == attentionName)
        return std::make_shared<AttentionPanel>(figureSpecFromFields(fields));
    if (resultsFigureOf(name))
        return std::make_shared<ResultsPanel>(resultsFigureFromFields(fields));
    if (sparsityFigureOf(name))
        return std::make_shared<SparsityPanel>(sparsityFigureFromFields(fields));
    if (isReplayFigure(name))
        return std::make_shared<ReplayPanel>(name, replaySpecFromFields(fields));
    fields.fail("figure", fmt::format("one of {}", fmt::join(panelNames(), ", ")));
}

} // namespace kvloupe
