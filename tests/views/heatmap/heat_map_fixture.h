// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "tests/views/heatmap/fake_tiles.h"
#include "tests/views/widget_test.h"
#include "views/heatmap/heat_map_view.h"
#include "views/heatmap/plot.h"

#include <QTest>
#include <QWheelEvent>

#include <cmath>
#include <memory>

namespace kvloupe {

/// A heat map of 700 x 560 pixels over a made-up map.
class HeatMapTest : public WidgetTest {
protected:
    HeatMapTest() { allowSlowEvents(); } // FakeTiles makes its tiles where they are asked for

    void open(std::int64_t tokens, FakeTiles::Cell cell, std::vector<Span> spans = {}, std::int64_t generated = 0)
    {
        sample = makeSample(tokens, 2, 3, generated);
        if (!spans.empty())
            sample->layout = PromptLayout(tokens, tokens + generated, std::move(spans));
        tiles = std::make_shared<FakeTiles>(tokens + generated, std::move(cell));
        view = std::make_unique<HeatMapView>(&selection);
        selection.setHead(0, 0);
        showAndWait(*view, 700, 560);
        view->setSample(sample, tiles);
        view->setFocus();
        settle();
    }

    /// All tiles loaded and painted.
    void settle()
    {
        ASSERT_TRUE(view->ensureLoaded());
        view->plot()->replot(QCustomPlot::rpImmediateRefresh);
        QApplication::processEvents();
    }

    QImage picture()
    {
        view->plot()->replot(QCustomPlot::rpImmediateRefresh);
        return view->plot()->grab().toImage();
    }

    void wheel(const QPointF& position, int angle, Qt::KeyboardModifiers modifiers = Qt::NoModifier)
    {
        QWheelEvent event(position, view->plot()->mapToGlobal(position), {}, {0, angle}, Qt::NoButton, modifiers,
            Qt::NoScrollPhase, false);
        QApplication::sendEvent(view->plot(), &event);
        QApplication::processEvents();
    }

    /// The pixel that holds the middle of a cell.
    QPoint pixelOf(std::int64_t query, std::int64_t key) const
    {
        const QPointF middle = view->pixelOfCell(query, key);
        return {static_cast<int>(std::floor(middle.x())), static_cast<int>(std::floor(middle.y()))};
    }
    void press(Qt::Key key, Qt::KeyboardModifiers modifiers = Qt::NoModifier)
    {
        QTest::keyClick(view.get(), key, modifiers);
        QApplication::processEvents();
    }
    QRgb colorOf(float value) const
    {
        const MapStyle& style = view->mapStyle();
        return ColorTable(style.colorMap, style.scale, style.range).color(floatToHalf(value));
    }

    Selection selection;
    std::shared_ptr<SampleModel> sample;
    std::shared_ptr<FakeTiles> tiles;
    std::unique_ptr<HeatMapView> view;
};

} // namespace kvloupe
