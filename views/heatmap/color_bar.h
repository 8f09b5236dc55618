// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/color_map.h"
#include "views/heatmap/plot.h"

#include <memory>
#include <vector>

namespace kvloupe {

/// The colours of a map as a bar with values beside it, for any scale; its axis runs over [0, 1] of the colour map.
class ColorBar final : public QCPAxisRect {
public:
    explicit ColorBar(QCustomPlot* plot);

    void setColors(std::shared_ptr<const ColorTable> colors);
    QCPAxis* valueAxis() const { return axis(QCPAxis::atRight); }

protected:
    void draw(QCPPainter* painter) override;

private:
    std::shared_ptr<const ColorTable> m_colors;
};

/// Round values within the range of `colors` whose places on the bar are at least `spacing` apart, ascending.
std::vector<double> colorBarTicks(const ColorTable& colors, double spacing);

} // namespace kvloupe
