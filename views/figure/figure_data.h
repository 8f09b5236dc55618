// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/half.h"
#include "core/replay/attention_tiles.h"
#include "views/figure/figure_spec.h"
#include "views/session/sample_model.h"

#include <QColor>
#include <QString>

#include <cstdint>
#include <string>
#include <vector>

namespace kvloupe {

/// What one method keeps of the figure's head.
struct FigureStrip {
    QString name; ///< "SnapKV"
    std::string spec;
    QColor color;
    std::vector<std::int32_t> kept; ///< positions, ascending

    /// Share of the tokens [begin, end) that is kept, in [0, 1].
    double keptShare(std::int64_t begin, std::int64_t end) const;
};

/// Numbers of a figure: read once, painted on any device.
struct FigureData {
    FigureSpec spec; ///< ranges filled in
    std::string recordingUuid;
    SampleModelPtr sample;
    TokenRange queries;
    TokenRange keys;
    int level = 0; ///< bins of 2^level x 2^level cells
    std::int64_t firstRow = 0; ///< number of the first bin of `cells`, in units of 2^level queries
    std::int64_t firstColumn = 0;
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::vector<Half> cells; ///< [rows, columns]
    std::vector<FigureStrip> strips;

    Half cell(std::int64_t row, std::int64_t column) const
    {
        return cells[static_cast<std::size_t>(row * columns + column)];
    }
    /// Whether bin (row, column) holds any cell of the causal triangle.
    bool isCausal(std::int64_t row, std::int64_t column) const { return firstColumn + column <= firstRow + row; }
    /// "max of 8 x 8", empty at level 0.
    QString poolingText() const;
};

/// Reads what `spec` shows, at the finest level a map of `mapPixels` pixels edge can show. Belongs on the thread that
/// owns `recording` and `tiles`. Throws FigureError, MethodError or RecordingError.
FigureData gatherFigure(const Recording& recording, AttentionTiles& tiles, const FigureSpec& spec);

/// Number of the sample that `sample` names: its number, or its id. Throws FigureError naming what there is.
int findSample(const Recording& recording, const std::string& sample);

} // namespace kvloupe
