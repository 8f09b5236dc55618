// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/timeline/life_image.h"

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

constexpr double hiddenWeight = 0.45; ///< of a token that is in the cache but not seen

} // namespace

QImage lifeImage(const HeadLife& life, double begin, double end, const QSize& size, const QColor& base)
{
    const int width = size.width();
    const int rows = static_cast<int>(std::min<std::int64_t>(size.height(), life.steps + 1));
    QImage image(width, rows, QImage::Format_RGB32);
    const double scale = (end - begin) / width;
    // Row r of the picture stands for the last of its steps.
    const auto stepOfRow = [&](int row) { return (row + 1) * (life.steps + 1) / rows - 1; };
    std::vector<double> sum(static_cast<std::size_t>(rows) + 1);
    std::vector<double> born(static_cast<std::size_t>(rows) + 1);
    for (int x = 0; x < width; ++x) {
        const auto first = static_cast<std::int64_t>(std::floor(begin + x * scale));
        const auto last = std::min(
            life.tokens(), std::max(first + 1, static_cast<std::int64_t>(std::floor(begin + (x + 1) * scale))));
        std::ranges::fill(sum, 0.0);
        std::ranges::fill(born, 0.0);
        const auto rowFrom = [&](std::int64_t step) {
            // First row whose step is `step` or later.
            const std::int64_t row = (step * rows + life.steps) / (life.steps + 1);
            return static_cast<std::size_t>(std::clamp<std::int64_t>(row, 0, rows));
        };
        for (std::int64_t token = first; token < last; ++token) {
            const std::size_t bornAt = rowFrom(life.birth(token));
            const std::int64_t gone = life.death(token);
            const std::size_t goneAt = gone < 0 ? static_cast<std::size_t>(rows) : std::max(bornAt, rowFrom(gone));
            sum[bornAt] += 1.0;
            sum[goneAt] -= 1.0;
            born[bornAt] += 1.0;
        }
        double alive = 0.0;
        double present = 0.0;
        for (int row = 0; row < rows; ++row) {
            alive += sum[static_cast<std::size_t>(row)];
            present += born[static_cast<std::size_t>(row)];
            double share = present > 0.0 ? alive / static_cast<double>(last - first) : 0.0;
            const auto step = static_cast<std::size_t>(stepOfRow(row));
            if (share > 0.0 && step < life.timeline.visible.size()) {
                const auto& visible = life.timeline.visible[step];
                const auto seen = std::ranges::upper_bound(visible, first, {}, &TokenRange::end);
                share *= seen != visible.end() && seen->begin < last ? 1.0 : hiddenWeight;
            }
            const auto mix
                = [share](int from, int to) { return static_cast<int>(std::lround(from + (to - from) * share)); };
            image.setPixel(x, row,
                qRgb(mix(base.red(), life.color.red()), mix(base.green(), life.color.green()),
                    mix(base.blue(), life.color.blue())));
        }
    }
    return image;
}

} // namespace kvloupe
