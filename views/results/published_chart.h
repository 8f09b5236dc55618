// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart.h"
#include "views/results/results_chart.h"

#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

/// The paper's name of a task of ours or of the data set it reads: "AR" for "ar" and "gsm8k"; empty = it has none.
std::string publishedTask(const std::string& task);

/// Whether the paper has such numbers at all.
bool isPublished(ResultMeasure measure);

/// Which of the paper's sweeps over the kept share a panel shows.
struct PublishedChoice {
    std::string table; ///< empty = any
    std::string model; ///< empty = any
    std::string task; ///< "AR"; empty = any
    std::optional<int> shots;
};

/// Sweeps over the kept share as panels: dashed lines, hollow marks, the table as their source. `styles` gives a method
/// the style it has elsewhere. Ranges of y are left to scalePanels().
std::vector<ChartPanel> publishedPanels(const std::vector<PublishedValue>& values, const ResultsSpec& spec,
    const PublishedChoice& choice, SeriesStyles& styles);

/// The sweep to show beside our own numbers of a task: the one with as many shots, else that of Table 7.
std::optional<PublishedChoice> publishedCounterpart(
    const std::vector<PublishedValue>& values, const std::string& task, std::optional<std::int64_t> shots);

/// Gives every panel a range of y that holds all of its points, or all panels the same.
void scalePanels(std::vector<ChartPanel>& panels, ResultMeasure measure, bool sameScale);

/// What a line's style goes by: a task has the same as the paper's task of that name, which is in capitals.
std::string styleName(const QString& line);

/// "SnapKV", or what a newer version calls a method.
QString methodTitle(const std::string& name);

} // namespace kvloupe
