// SPDX-License-Identifier: GPL-3.0-or-later

// The whole window on a recording: how long until the map is painted and until everything is there, what a move of the
// budget slider costs with all methods and docks, the longest events of the window's thread, memory. Paint time on the
// offscreen platform; prints JSON.
//
// usage: window_benchmark RECORDING [--method SPEC ...] [--show VIEW ...] [--frames N] [--layer L] [--head H]

#include "benchmarks/frame_times.h"
#include "views/heatmap/heat_map_view.h"
#include "views/methods/method_model.h"
#include "views/methods/methods_panel.h"
#include "views/methods/replay_model.h"
#include "views/session/main_window.h"

#include <CLI/CLI.hpp>

#include <QApplication>
#include <QSlider>

#include <iostream>
#include <map>

namespace kvloupe {
namespace {

struct Options {
    std::string recording;
    std::vector<std::string> methods;
    std::vector<std::string> views;
    int layer = 0;
    int head = 0;
    int frames = 200;
};

/// Remembers how long the window's thread computed for each event that contains no others.
class TimedApplication final : public QApplication {
public:
    using QApplication::QApplication;

    bool notify(QObject* receiver, QEvent* event) override
    {
        if (m_depth > 0 || QThread::currentThread() != thread())
            return QApplication::notify(receiver, event);
        const std::string name = std::string(receiver->metaObject()->className()) + ", event "
            + std::to_string(static_cast<int>(event->type()));
        ++m_depth;
        const double begin = threadMilliseconds();
        const bool result = QApplication::notify(receiver, event);
        const double spent = threadMilliseconds() - begin;
        --m_depth;
        double& longest = m_longest[name];
        longest = std::max(longest, spent);
        return result;
    }

    /// The slowest kinds of events since the last call, milliseconds.
    nlohmann::json takeLongest()
    {
        std::vector<std::pair<double, std::string>> all;
        for (const auto& [name, spent] : m_longest)
            all.emplace_back(spent, name);
        m_longest.clear();
        std::ranges::sort(all, std::greater<>());
        nlohmann::json result = nlohmann::json::object();
        for (std::size_t i = 0; i < std::min<std::size_t>(4, all.size()); ++i)
            result[all[i].second] = all[i].first;
        return result;
    }

private:
    int m_depth = 0;
    std::map<std::string, double> m_longest;
};

template <typename Condition> bool waitFor(Condition condition, int timeoutMs = 600'000)
{
    QElapsedTimer timer;
    timer.start();
    while (!condition() && timer.elapsed() < timeoutMs)
        QApplication::processEvents(QEventLoop::WaitForMoreEvents, 5);
    return condition();
}

/// One frame: a change until all of it is painted, without the workers that it sets off.
template <typename Change> FrameTime frame(Change change)
{
    QElapsedTimer timer;
    timer.start();
    const double begin = threadMilliseconds();
    change();
    QApplication::processEvents();
    return {milliseconds(timer), threadMilliseconds() - begin};
}

int run(TimedApplication& application, const Options& options)
{
    nlohmann::json result{{"recording", options.recording}, {"before", memory()}};
    Settings settings(nullptr);
    MainWindow window(&settings);
    if (!options.methods.empty()) {
        QStringList specs;
        for (const std::string& spec : options.methods)
            specs << QString::fromStdString(spec);
        window.methods()->fromSpecs(specs);
    }
    window.resize(1600, 1000);
    window.show();
    for (const std::string& view : options.views)
        window.raiseView(QString::fromStdString(view));
    QApplication::processEvents();
    application.takeLongest();

    QElapsedTimer timer;
    timer.start();
    StartView start;
    start.layer = options.layer;
    start.head = options.head;
    window.open(options.recording, start);
    const auto stop = [&] { return !window.lastProblem().isEmpty(); };
    waitFor([&] { return stop() || (window.recording()->sample() && window.heatMap()->isLoaded()); });
    QApplication::processEvents();
    result["first_picture_ms"] = milliseconds(timer);
    waitFor([&] { return stop() || window.isReady(); });
    if (stop()) {
        std::cerr << qPrintable(window.lastProblem()) << "\n";
        return 1;
    }
    result["everything_ms"] = milliseconds(timer);
    result["tokens"] = window.recording()->sample()->info.promptTokens;
    result["opening_events_ms"] = application.takeLongest();

    std::vector<FrameTime> frames;
    QSlider* slider = window.methodsPanel()->keepSlider();
    for (int i = 0; i < options.frames; ++i)
        frames.push_back(frame(
            [&] { slider->setValue(slider->minimum() + (slider->maximum() - slider->minimum()) * (i % 100) / 100); }));
    result["slider"] = summary(frames);
    result["slider_events_ms"] = application.takeLongest();
    timer.restart();
    waitFor([&] { return window.isReady(); });
    result["settled_after_slider_ms"] = milliseconds(timer);
    application.takeLongest();

    frames.clear();
    const SampleModelPtr& sample = window.recording()->sample();
    for (int i = 0; i < 40; ++i) {
        frames.push_back(frame([&] {
            window.selection()->setHead(
                sample->layers[static_cast<std::size_t>(i) % sample->layers.size()].layer, i % sample->model.numHeads);
        }));
        waitFor([&] { return window.heatMap()->isLoaded(); });
    }
    result["other_head"] = summary(frames);
    result["other_head_events_ms"] = application.takeLongest();
    result["after"] = memory();
    std::cout << result.dump(2) << "\n";
    return 0;
}

} // namespace
} // namespace kvloupe

int main(int argc, char** argv)
{
    if (!qEnvironmentVariableIsSet("QT_QPA_PLATFORM"))
        qputenv("QT_QPA_PLATFORM", "offscreen");
    kvloupe::TimedApplication application(argc, argv);
    kvloupe::Options options;
    CLI::App app("Times the whole window on a recording.");
    app.add_option("recording", options.recording)->required();
    app.add_option("--method", options.methods);
    app.add_option("--show", options.views);
    app.add_option("--layer", options.layer);
    app.add_option("--head", options.head);
    app.add_option("--frames", options.frames)->check(CLI::Range(1, 100'000));
    CLI11_PARSE(app, argc, argv);
    return kvloupe::run(application, options);
}
