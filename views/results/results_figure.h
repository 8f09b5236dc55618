// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart_painter.h"
#include "views/figure/panel.h"
#include "views/results/results_chart.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A figure of results files, or of what the paper prints.
struct ResultsFigure {
    bool published = false; ///< the paper's numbers alone; no files then
    std::vector<std::filesystem::path> files;
    ResultsSpec spec;
    ChartPage page;
    std::optional<std::string> title; ///< nothing = model and suite; "" = none
};

/// "accuracy", "relative-drop", "nll", "kl": one figure per measure, and "published".
std::vector<std::string> resultsFigureNames();
/// The figure of that name with its defaults; nothing for others.
std::optional<ResultsFigure> resultsFigureOf(std::string_view name);

/// Reads the files and writes the figure to every one of `outputs`, all or an exception. Throws ResultsError or
/// FigureError: a file that cannot be read, or nothing to show. Needs a QGuiApplication.
void writeResultsFigure(const ResultsFigure& figure, const std::vector<std::filesystem::path>& outputs);

/// Reads a SPEC written as JSON: "figure", "inputs", and the options of the command line as fields.
ResultsFigure resultsFigureFromJson(std::string_view text, const std::filesystem::path& source);
/// The same from fields that may have others read besides; unknown ones are left to the caller.
ResultsFigure resultsFigureFromFields(SpecFields& fields);

/// The figure as a panel.
class ResultsPanel final : public PanelSpec {
public:
    explicit ResultsPanel(ResultsFigure figure)
        : m_figure(std::move(figure))
    {
    }

    const ResultsFigure& figure() const { return m_figure; }
    QString label() const override;
    Json toJson() const override;
    PanelFrame frame() const override;
    std::shared_ptr<const PanelData> read(const PanelFrame& frame) const override;

private:
    ResultsFigure m_figure;
};

/// The `kvloupe figure ...` command that makes the same figure.
std::string resultsCommandLine(
    const ResultsSpec& spec, const std::vector<std::filesystem::path>& files, std::string_view output);

} // namespace kvloupe
