// SPDX-License-Identifier: GPL-3.0-or-later

// How quickly the window shows a recording: first picture, frames while panning and zooming with tiles still loading, a
// change of colours, the overlay of a keep slider, memory. Paint time on the offscreen platform; prints JSON.
//
// usage: view_benchmark RECORDING [--layer L] [--head H] [--frames N]

#include "benchmarks/frame_times.h"
#include "views/heads/head_wall.h"
#include "views/heatmap/heat_map_view.h"
#include "views/heatmap/plot.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <QApplication>
#include <QElapsedTimer>
#include <QHBoxLayout>
#include <QMouseEvent>
#include <QWheelEvent>

#include <algorithm>
#include <cmath>
#include <iostream>

namespace kvloupe {
namespace {

struct Options {
    std::string recording;
    int layer = 0;
    int head = 0;
    int frames = 300;
};

/// A window of 1600 x 1000 with the wall of heads and the map.
struct Window {
    Window()
    {
        auto* layout = new QHBoxLayout(&window);
        layout->addWidget(wall);
        layout->addWidget(map, 1);
        wall->setFixedWidth(360);
        window.resize(1600, 1000);
    }

    template <typename Condition> bool waitFor(Condition condition, int timeoutMs = 60'000)
    {
        QElapsedTimer timer;
        timer.start();
        while (!condition() && timer.elapsed() < timeoutMs)
            QApplication::processEvents(QEventLoop::WaitForMoreEvents, 5);
        return condition();
    }

    Selection selection;
    QWidget window;
    HeadWall* wall = new HeadWall(&selection);
    HeatMapView* map = new HeatMapView(&selection);
};

/// One frame: what an input event costs until its picture is painted. Replies that arrived are handled within.
template <typename Input> FrameTime frame(HeatMapView& map, Input input)
{
    QElapsedTimer timer;
    timer.start();
    const double begin = threadMilliseconds();
    input();
    QApplication::processEvents();
    map.plot()->repaint();
    return {milliseconds(timer), threadMilliseconds() - begin};
}

void wheel(HeatMapView& map, QPointF position, int angle)
{
    QWheelEvent event(
        position, map.plot()->mapToGlobal(position), {}, {0, angle}, Qt::NoButton, {}, Qt::NoScrollPhase, false);
    QApplication::sendEvent(map.plot(), &event);
}

void mouse(HeatMapView& map, QEvent::Type type, QPointF position)
{
    const bool pressed = type != QEvent::MouseButtonRelease;
    QMouseEvent event(type, position, map.plot()->mapToGlobal(position),
        type == QEvent::MouseMove ? Qt::NoButton : Qt::LeftButton, pressed ? Qt::LeftButton : Qt::NoButton, {});
    QApplication::sendEvent(map.plot(), &event);
}

nlohmann::json zoomFrames(HeatMapView& map, int frames)
{
    std::vector<FrameTime> times;
    const QRectF area(map.mapRect());
    for (int i = 0; i < frames; ++i) {
        const double angle = 0.37 * i;
        const QPointF position(area.center().x() - area.width() * 0.3 * std::abs(std::cos(angle)),
            area.center().y() + area.height() * 0.4 * std::abs(std::sin(angle)));
        times.push_back(frame(map, [&] { wheel(map, position, i / 20 % 2 == 0 ? 120 : -120); }));
    }
    map.fit();
    return summary(times);
}

nlohmann::json dragFrames(HeatMapView& map, double share, std::int64_t tokens, int frames)
{
    const double cells = static_cast<double>(tokens) * share;
    const auto end = static_cast<double>(tokens);
    map.setMapWindow({end - cells, end, end - cells, end});
    QApplication::processEvents();
    std::vector<FrameTime> times;
    const QPointF start = QRectF(map.mapRect()).center();
    for (int i = 0; i < frames; ++i) {
        if (i % 25 == 0)
            mouse(map, QEvent::MouseButtonPress, start);
        const QPointF moved = start + QPointF(17.0 * (i % 25), 13.0 * (i % 25));
        times.push_back(frame(map, [&] { mouse(map, QEvent::MouseMove, moved); }));
        if (i % 25 == 24)
            mouse(map, QEvent::MouseButtonRelease, moved);
    }
    map.fit();
    return summary(times);
}

nlohmann::json overlayFrames(HeatMapView& map, std::int64_t tokens, int frames)
{
    std::vector<FrameTime> times;
    for (int i = 0; i < frames; ++i) {
        std::vector<KeepOverlay> overlays;
        for (int method = 0; method < 3; ++method) {
            KeepOverlay overlay{
                QStringLiteral("method %1").arg(method), QColor::fromHsv(method * 90, 200, 180), {}, method == 0};
            for (std::int32_t token = 0; token < tokens; ++token) {
                if ((token * 7919 + method * 31) % 100 < i % 100)
                    overlay.kept.push_back(token);
            }
            overlays.push_back(std::move(overlay));
        }
        times.push_back(frame(map, [&] { map.setKeepOverlay(std::move(overlays)); }));
    }
    map.setKeepOverlay({});
    return summary(times);
}

int run(const Options& options)
{
    nlohmann::json result{{"recording", options.recording}, {"before", memory()}};
    Window window;
    window.window.show();
    QApplication::processEvents();

    QElapsedTimer timer;
    timer.start();
    RecordingSource source(options.recording);
    std::string failure;
    QObject::connect(&source, &RecordingSource::failed, &window.window,
        [&](const QString& message) { failure = message.toStdString(); });
    SampleModelPtr sample;
    source.run<SampleModelPtr>(
        &window.window, RecordingSource::Priority::Immediate,
        [](RecordingAccess& access) { return readSampleModel(access.recording, 0); },
        [&](SampleModelPtr model) { sample = std::move(model); });
    if (!window.waitFor([&] { return sample || !failure.empty(); }) || !failure.empty()) {
        std::cerr << failure << "\n";
        return 1;
    }
    result["sample_ms"] = milliseconds(timer);
    window.selection.setHead(options.layer, options.head);
    window.map->setSample(sample, &source);
    window.wall->setSample(sample, &source);
    if (!window.waitFor([&] { return window.map->isLoaded(); })) {
        std::cerr << options.recording << ": the map did not load\n";
        return 1;
    }
    window.map->plot()->replot(QCustomPlot::rpImmediateRefresh);
    QApplication::processEvents();
    result["first_picture_ms"] = milliseconds(timer);
    window.waitFor([&] { return window.wall->isLoaded(); });
    result["wall_ms"] = milliseconds(timer);

    HeatMapView& map = *window.map;
    const std::int64_t tokens = sample->info.promptTokens;
    result["tokens"] = tokens;
    result["zoom"] = zoomFrames(map, options.frames);
    for (const double share : {0.5, 0.25, 0.1, 0.02})
        result["drag_" + std::to_string(static_cast<int>(share * 100)) + "_percent"]
            = dragFrames(map, share, tokens, options.frames);
    std::vector<FrameTime> colours;
    for (int i = 0; i < 40; ++i)
        colours.push_back(frame(map, [&] { map.setColorMap(allColorMaps[static_cast<std::size_t>(i) % 5]); }));
    result["colour_change"] = summary(colours);
    result["overlay"] = overlayFrames(map, tokens, 200);
    std::vector<FrameTime> heads;
    for (int i = 0; i < 40; ++i) {
        timer.restart();
        const double begin = threadMilliseconds();
        window.selection.setHead(
            sample->layers[static_cast<std::size_t>(i) % sample->layers.size()].layer, i % sample->model.numHeads);
        window.waitFor([&] { return map.isLoaded(); });
        map.plot()->replot(QCustomPlot::rpImmediateRefresh);
        heads.push_back({milliseconds(timer), threadMilliseconds() - begin});
    }
    result["other_head"] = summary(heads);
    result["after"] = memory();
    result["tile_cache_mb"] = static_cast<double>(map.cacheBytes()) / 1048576.0;
    std::cout << result.dump(2) << "\n";
    return 0;
}

} // namespace
} // namespace kvloupe

int main(int argc, char** argv)
{
    if (!qEnvironmentVariableIsSet("QT_QPA_PLATFORM"))
        qputenv("QT_QPA_PLATFORM", "offscreen");
    QApplication application(argc, argv);
    kvloupe::Options options;
    CLI::App app("Times the window on a recording.");
    app.add_option("recording", options.recording)->required();
    app.add_option("--layer", options.layer);
    app.add_option("--head", options.head);
    app.add_option("--frames", options.frames)->check(CLI::Range(1, 100'000));
    CLI11_PARSE(app, argc, argv);
    return kvloupe::run(options);
}
