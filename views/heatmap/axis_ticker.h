// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/plot.h"

#include <QString>
#include <QStringList>

#include <memory>

namespace kvloupe {

/// Ticks at the middle of cells: the text of every token where it fits, else the positions of some.
class TokenTicker final : public QCPAxisTicker {
public:
    explicit TokenTicker(const QCPAxis* axis);

    /// One entry per token; empty = positions only.
    void setTokens(std::shared_ptr<const QStringList> tokens) { m_tokens = std::move(tokens); }
    void setShowTokens(bool show) { m_showTokens = show; }
    /// Whether the axis shows text with its present range and length.
    bool showsText() const;

    void generate(const QCPRange& range, const QLocale& locale, QChar formatChar, int precision, QVector<double>& ticks,
        QVector<double>* subTicks, QVector<QString>* tickLabels) override;

private:
    double pixelsPerToken(const QCPRange& range) const;

    const QCPAxis* m_axis;
    std::shared_ptr<const QStringList> m_tokens;
    bool m_showTokens = true;
};

/// The text of a token as a label: blanks and line ends made visible, at most `maximumLength` characters.
QString tokenLabel(const QString& piece, int maximumLength = 9);

} // namespace kvloupe
