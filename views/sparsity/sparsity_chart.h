// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart.h"
#include "views/sparsity/sparsity_data.h"

#include <QString>

namespace kvloupe {

/// Label with the unit, and what the measure is, with its formula.
QString sparsityLabel(SparsityMeasure measure);
QString sparsityHelp(SparsityMeasure measure);
/// What the cumulative curves are, with their formula.
QString cumulativeHelp();

/// Layers x heads of every recording in one colour range, second - first where they have the same layers and heads, and
/// means by layer with their intervals.
Chart sparsityChart(const SparsityData& data, SparsityMeasure measure);
/// Share of attention on the most attended tokens, of all and without the first four: figure 3 of arXiv 2502.01941.
Chart cumulativeChart(const SparsityData& data);
/// Attention of the prompt's queries on each kind of span, spans x layers, of every recording and of their difference:
/// where two models look in spite of different templates.
Chart spanMassChart(const SparsityData& data);
/// Help for it, with its formula.
QString spanMassHelp();
/// All of them, one after the other: what the window shows.
Chart sparsityOverview(const SparsityData& data, SparsityMeasure measure);

/// Where the numbers come from: recordings and models.
QString sparsityDescription(const SparsityData& data);

} // namespace kvloupe
