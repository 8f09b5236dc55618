// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/axis_ticker.h"

#include <QFontMetricsF>

#include <algorithm>
#include <cmath>

namespace kvloupe {
namespace {

/// Smallest of 1, 2, 5, 10, 20, 50, ... that is not below `minimum`.
std::int64_t roundStep(double minimum)
{
    std::int64_t decade = 1;
    while (static_cast<double>(decade) * 10.0 <= minimum)
        decade *= 10;
    for (const std::int64_t factor : {1, 2, 5, 10}) {
        if (static_cast<double>(decade * factor) >= minimum)
            return decade * factor;
    }
    return decade * 10;
}

} // namespace

TokenTicker::TokenTicker(const QCPAxis* axis)
    : m_axis(axis)
{
}

double TokenTicker::pixelsPerToken(const QCPRange& range) const
{
    const QCPAxisRect* rect = m_axis->axisRect();
    const int length = m_axis->orientation() == Qt::Horizontal ? rect->width() : rect->height();
    // Before it is laid out for the first time a plot is smaller than its margins, and its axes shorter than nothing.
    return std::max(1, length) / std::max(range.size(), 1e-9);
}

bool TokenTicker::showsText() const
{
    if (!m_showTokens || !m_tokens || m_tokens->isEmpty())
        return false;
    return pixelsPerToken(m_axis->range()) >= QFontMetricsF(m_axis->tickLabelFont()).height();
}

void TokenTicker::generate(const QCPRange& range, const QLocale& locale, QChar /*formatChar*/, int /*precision*/,
    QVector<double>& ticks, QVector<double>* subTicks, QVector<QString>* tickLabels)
{
    ticks.clear();
    if (subTicks)
        subTicks->clear();
    if (tickLabels)
        tickLabels->clear();
    const bool text = showsText();
    const QFontMetricsF metrics(m_axis->tickLabelFont());
    const double needed = m_axis->orientation() == Qt::Horizontal
        ? metrics.horizontalAdvance(QStringLiteral("00000")) * 1.6
        : metrics.height() * 2.0;
    const std::int64_t step = text ? 1 : roundStep(needed / pixelsPerToken(range));
    const auto first = static_cast<std::int64_t>(std::ceil(range.lower - 0.5));
    const auto last = static_cast<std::int64_t>(std::floor(range.upper - 0.5));
    for (std::int64_t token = (std::max<std::int64_t>(first, 0) + step - 1) / step * step; token <= last;
         token += step) {
        ticks.push_back(static_cast<double>(token) + 0.5);
        if (tickLabels)
            tickLabels->push_back(text && token < m_tokens->size() ? m_tokens->at(static_cast<qsizetype>(token))
                                                                   : locale.toString(static_cast<qlonglong>(token)));
    }
}

QString tokenLabel(const QString& piece, int maximumLength)
{
    QString label;
    for (const QChar character : piece) {
        if (character == u' ')
            label += QChar(0x2423); // open box
        else if (character == u'\n')
            label += QChar(0x21B5); // return arrow
        else if (character == u'\t')
            label += QChar(0x21E5); // tab arrow
        else
            label += character.isPrint() || character.isSurrogate() ? character : QChar(0x00B7);
    }
    if (label.size() > maximumLength) {
        qsizetype kept = maximumLength - 1;
        if (label.at(kept - 1).isHighSurrogate())
            --kept;
        label = label.left(kept) + QChar(0x2026);
    }
    return label;
}

} // namespace kvloupe
