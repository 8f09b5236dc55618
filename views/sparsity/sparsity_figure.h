// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart_painter.h"
#include "views/figure/panel.h"
#include "views/sparsity/sparsity_data.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// What a figure of recordings shows: layers x heads and means by layer, the curves of the most attended tokens, or
/// the attention on each kind of span.
enum class SparsityFigureKind { Sparsity, Cumulative, Spans };

/// A figure of how sparse the attention of recordings is.
struct SparsityFigure {
    SparsityFigureKind kind = SparsityFigureKind::Sparsity;
    SparsityRequest request;
    SparsityMeasure measure = SparsityMeasure::Entropy;
    ChartPage page;
    std::optional<std::string> title; ///< nothing = the models; "" = none
};

/// "sparsity", "cumulative" and "spans".
std::vector<std::string> sparsityFigureNames();
/// The figure of that name with its defaults; nothing for others.
std::optional<SparsityFigure> sparsityFigureOf(std::string_view name);

/// Measures the recordings and writes the figure to every one of `outputs`, all or an exception. Throws RecordingError
/// or FigureError. Needs a QGuiApplication.
void writeSparsityFigure(const SparsityFigure& figure, const std::vector<std::filesystem::path>& outputs);

/// Reads a SPEC written as JSON: "figure", "inputs", and the options of the command line as fields.
SparsityFigure sparsityFigureFromJson(std::string_view text, const std::filesystem::path& source);
/// The same from fields that may have others read besides; unknown ones are left to the caller.
SparsityFigure sparsityFigureFromFields(SpecFields& fields);

/// The figure as a panel.
class SparsityPanel final : public PanelSpec {
public:
    explicit SparsityPanel(SparsityFigure figure)
        : m_figure(std::move(figure))
    {
    }

    QString label() const override;
    Json toJson() const override;
    PanelFrame frame() const override;
    std::shared_ptr<const PanelData> read(const PanelFrame& frame) const override;

private:
    SparsityFigure m_figure;
};

/// The `kvloupe figure ...` command that makes the same figure.
std::string sparsityCommandLine(const SparsityRequest& request, SparsityMeasure measure, std::string_view output);

} // namespace kvloupe
