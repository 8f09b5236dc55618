// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/color_bar.h"

#include <QLocale>

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvloupe {

namespace {

/// Ticks of values that are not negative.
std::vector<double> magnitudeTicks(const ColorTable& colors, double spacing)
{
    const auto [low, high] = colors.range();
    std::vector<double> candidates;
    if (colors.scale() == ColorScale::Linear) {
        const double raw = (high - low) * std::max(spacing, 0.2);
        const double decade = std::pow(10.0, std::floor(std::log10(raw)));
        double step = 10.0 * decade;
        for (const double factor : {1.0, 2.0, 5.0}) {
            if (factor * decade >= raw * (1.0 - 1e-9)) {
                step = factor * decade;
                break;
            }
        }
        for (double index = std::ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index += 1.0)
            candidates.push_back(index * step);
        return candidates;
    }
    // Whole decades first, then 5 and 2 between them, as far as they fit.
    std::vector<double> chosen;
    const auto place = [&](double value) {
        const double position = colors.position(value);
        const auto tooClose = [&](double other) { return std::abs(colors.position(other) - position) < spacing; };
        if (value >= low * (1.0 - 1e-9) && value <= high * (1.0 + 1e-9) && std::ranges::none_of(chosen, tooClose))
            chosen.push_back(value);
    };
    place(high);
    place(low);
    const auto firstDecade = static_cast<int>(std::floor(std::log10(high)));
    for (const double factor : {1.0, 5.0, 2.0}) {
        for (int decade = firstDecade; decade >= firstDecade - 8; --decade)
            place(factor * std::pow(10.0, decade));
    }
    std::ranges::sort(chosen);
    return chosen;
}

} // namespace

std::vector<double> colorBarTicks(const ColorTable& colors, double spacing)
{
    std::vector<double> ticks = magnitudeTicks(colors, spacing);
    if (colors.map() != ColorMap::Diverging)
        return ticks;
    // Both signs alike, and 0 in the middle.
    std::erase_if(ticks, [&](double value) { return colors.position(value) - 0.5 < spacing; });
    const std::size_t positive = ticks.size();
    ticks.push_back(0.0);
    for (std::size_t i = 0; i < positive; ++i)
        ticks.push_back(-ticks[i]);
    std::ranges::sort(ticks);
    return ticks;
}

ColorBar::ColorBar(QCustomPlot* plot)
    : QCPAxisRect(plot, false)
    , m_colors(std::make_shared<ColorTable>(ColorMap::Viridis, ColorScale::Logarithmic, ColorRange{}))
{
    QCPAxis* values = addAxis(QCPAxis::atRight);
    values->setRange(0.0, 1.0);
    values->setSubTicks(false);
    values->grid()->setVisible(false);
    values->setTicker(QSharedPointer<QCPAxisTickerText>::create());
    setColors(m_colors);
}

void ColorBar::setColors(std::shared_ptr<const ColorTable> colors)
{
    m_colors = std::move(colors);
    auto ticker = valueAxis()->ticker().staticCast<QCPAxisTickerText>();
    ticker->clear();
    for (const double value : colorBarTicks(*m_colors, 0.08))
        ticker->addTick(m_colors->position(value), QLocale().toString(value, 'g', 3));
}

void ColorBar::draw(QCPPainter* painter)
{
    const auto entries = colorMapEntries(m_colors->map());
    QImage image(1, static_cast<int>(entries.size()), QImage::Format_RGB32);
    for (std::size_t i = 0; i < entries.size(); ++i)
        image.setPixel(0, static_cast<int>(entries.size() - 1 - i), entries[i]);
    painter->setRenderHint(QPainter::SmoothPixmapTransform, false);
    painter->drawImage(QRectF(rect()), image, QRectF(image.rect()));
}

} // namespace kvloupe
