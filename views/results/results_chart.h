// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart.h"
#include "views/results/results_data.h"

#include <QString>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// What stands on the y axis (docs/results.md).
enum class ResultMeasure { Accuracy, RelativeDrop, NllDifference, Divergence };
inline constexpr std::array allResultMeasures{
    ResultMeasure::Accuracy, ResultMeasure::RelativeDrop, ResultMeasure::NllDifference, ResultMeasure::Divergence};
/// What stands on the x axis: the share of the prompt that was asked for, that was really kept, or tokens per head.
enum class ResultAxis { Kept, Realised, Tokens };
inline constexpr std::array allResultAxes{ResultAxis::Kept, ResultAxis::Realised, ResultAxis::Tokens};
/// What the lines of a panel are. All but Methods show means over methods, as the paper's figures 4, 6 and 7 do.
enum class ResultLines { Methods, Tasks, Shots, Models };
inline constexpr std::array allResultLines{
    ResultLines::Methods, ResultLines::Tasks, ResultLines::Shots, ResultLines::Models};

/// Names on the command line: "accuracy", "relative-drop", "nll", "kl"; "kept", "realised", "tokens"; "methods", ...
std::string_view resultMeasureName(ResultMeasure measure);
std::optional<ResultMeasure> resultMeasureFromName(std::string_view name);
std::string_view resultAxisName(ResultAxis axis);
std::optional<ResultAxis> resultAxisFromName(std::string_view name);
std::string_view resultLinesName(ResultLines lines);
std::optional<ResultLines> resultLinesFromName(std::string_view name);

/// Label of the y axis, with the unit, and what the measure is, with its formula.
QString resultMeasureLabel(ResultMeasure measure);
QString resultMeasureHelp(ResultMeasure measure);
QString resultAxisLabel(ResultAxis axis);

struct ResultsSpec {
    ResultMeasure measure = ResultMeasure::Accuracy;
    ResultAxis axis = ResultAxis::Kept;
    ResultLines lines = ResultLines::Methods;
    bool paper = false; ///< panels of what the paper prints under ours, where there is such a task
    bool sameScale = true; ///< one range of y for all panels
    std::vector<std::string> tasks; ///< to show; empty = all
    std::vector<std::string> methods; ///< registry names or SPECs to show; empty = all
    std::string table; ///< of the paper, for publishedChart(); empty = the one that has such lines

    bool operator==(const ResultsSpec&) const = default;
};

/// Small multiples of our own measurements: a panel per task, model and setting. ChartPoint::number is the number of
/// the cell in resultsSummary(). Panels of published numbers carry their source, dashed lines and number -1.
Chart resultsChart(const ResultsData& data, const ResultsSpec& spec);
/// The summary that a spec shows.
const Summary& resultsSummary(const ResultsData& data, const ResultsSpec& spec);

/// What the paper prints, nothing else. Throws FigureError for a measure it does not have, or a table without sweeps
/// over the kept share, naming those that there are.
Chart publishedChart(const std::vector<PublishedValue>& values, const ResultsSpec& spec);

/// Where the numbers of `data` come from: models with hashes, suites, versions.
QString resultsDescription(const ResultsData& data);

} // namespace kvloupe
