// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/axis_ticker.h"

#include "tests/views/widget_test.h"
#include "views/heatmap/plot.h"

namespace kvloupe {
namespace {

class TokenTickerTest : public WidgetTest {
protected:
    /// Ticks of the whole range with the axis rectangle of a plot of this size.
    QVector<double> ticksAt(QSize size, double tokens)
    {
        m_plot.xAxis->setRange(0.0, tokens);
        m_plot.axisRect()->setAutoMargins(QCP::msNone);
        m_plot.axisRect()->setMargins({30, 30, 30, 30});
        m_plot.axisRect()->setOuterRect(QRect(QPoint(0, 0), size));
        QVector<double> ticks;
        QVector<double> subTicks;
        QVector<QString> labels;
        m_ticker.generate(m_plot.xAxis->range(), QLocale::c(), QLatin1Char('g'), 6, ticks, &subTicks, &labels);
        EXPECT_EQ(ticks.size(), labels.size());
        return ticks;
    }

    QCustomPlot m_plot;
    TokenTicker m_ticker{m_plot.xAxis};
};

TEST_F(TokenTickerTest, LabelsDoNotOverlap)
{
    EXPECT_LT(ticksAt({800, 600}, 32768).size(), 30);
    EXPECT_GT(ticksAt({800, 600}, 32768).size(), 5);
}

TEST_F(TokenTickerTest, APlotThatIsNotLaidOutYetHasHardlyAny)
{
    // Before its page is shown for the first time a plot is smaller than its own margins.
    EXPECT_LT(ticksAt({20, 20}, 32768).size(), 10);
    EXPECT_LT(ticksAt({1, 1}, 32768).size(), 10);
}

} // namespace
} // namespace kvloupe
