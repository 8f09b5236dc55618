// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/viewer.h"

#include "core/methods/method_registry.h"
#include "views/figure/attention_figure.h"
#include "views/methods/method_model.h"
#include "views/methods/replay_model.h"
#include "views/results/results_data.h"
#include "views/session/theme.h"
#include "views/session/window_list.h"

#include <QApplication>
#include <QBuffer>
#include <QElapsedTimer>
#include <QEventLoop>
#include <QPixmap>
#include <QSettings>
#include <QTimer>

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace kvloupe {

namespace {

constexpr int longestWaitMilliseconds = 300'000;
constexpr int pollMilliseconds = 50;

/// The offscreen platform remarks on what it leaves out, which is no concern of someone who wants a picture.
void passOnMessage(QtMsgType type, const QMessageLogContext& context, const QString& message)
{
    if (message.startsWith(QLatin1String("This plugin does not support"))
        || message.contains(QLatin1String("XDG_RUNTIME_DIR")))
        return;
    fmt::print(stderr, "{}\n", qFormatLogMessage(type, context, message).toStdString());
}

bool isSet(const char* variable)
{
    return !qEnvironmentVariableIsEmpty(variable);
}

void prepare(MainWindow& window, const ViewerRequest& request)
{
    if (!request.methods.empty()) {
        QStringList specs;
        for (const std::string& spec : request.methods) {
            parseMethod(spec); // throws with what is wrong
            specs << QString::fromStdString(spec);
        }
        window.methods()->fromSpecs(specs);
        window.methods()->setCurrent(0);
    }
    if (request.keepPermille)
        window.selection()->setKeepPermille(*request.keepPermille);
    if (request.size)
        window.resize(*request.size);
}

/// A dock that was closed comes to the front of its tabs only once the window has laid them out.
void raiseViews(MainWindow& window, const ViewerRequest& request)
{
    for (const std::string& view : request.views) {
        if (!window.raiseView(QString::fromStdString(view)))
            throw FigureError(fmt::format("--show: found \"{}\", expected one of {}", view,
                window.viewNames().join(QStringLiteral(", ")).toStdString()));
    }
}

void writeScreenshot(MainWindow& window, const ViewerRequest& request, const std::function<bool()>& interrupted)
{
    QElapsedTimer clock;
    clock.start();
    QEventLoop loop;
    QTimer poll;
    QObject::connect(&poll, &QTimer::timeout, &loop, [&] {
        const bool failed = !window.lastProblem().isEmpty();
        if (window.isReady() || failed || clock.hasExpired(longestWaitMilliseconds) || (interrupted && interrupted()))
            loop.quit();
    });
    poll.start(pollMilliseconds);
    loop.exec();
    if (!window.lastProblem().isEmpty())
        throw FigureError(window.lastProblem().toStdString());
    if (!window.isReady())
        throw FigureError(fmt::format("{}: not everything could be read in {} s, no picture was made",
            window.recordingPath().string(), clock.elapsed() / 1000));
    // What became ready last is painted by the events it left behind.
    QCoreApplication::processEvents();
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    if (!window.grab().save(&buffer, "PNG"))
        throw FigureError(
            fmt::format("{}: Qt could not write a PNG, expected its PNG plug-in", request.screenshot.string()));
    writeWhole(request.screenshot, bytes);
}

} // namespace

void choosePlatform(bool needsDisplay)
{
    if (!needsDisplay && !isSet("QT_QPA_PLATFORM"))
        qputenv("QT_QPA_PLATFORM", "offscreen");
    if (qgetenv("QT_QPA_PLATFORM") == "offscreen")
        qInstallMessageHandler(passOnMessage);
    if (!needsDisplay || isSet("QT_QPA_PLATFORM"))
        return;
    if (!isSet("DISPLAY") && !isSet("WAYLAND_DISPLAY"))
        throw Error("view: no display was found (neither DISPLAY nor WAYLAND_DISPLAY is set); start it from a desktop "
                    "or over ssh "
                    "-X, or write pictures without one: kvloupe figure attention RECORDING --out FILE.pdf");
}

int runViewer(const ViewerRequest& request, const std::function<bool()>& interrupted)
{
    std::unique_ptr<QSettings> store;
    if (!request.fresh)
        store = std::make_unique<QSettings>(
            QSettings::IniFormat, QSettings::UserScope, QStringLiteral("kvloupe"), QStringLiteral("kvloupe-view"));
    Settings settings(store.get());

    // A window for every recording; results are shown in the first.
    std::vector<std::filesystem::path> files = request.files;
    const auto results
        = std::ranges::stable_partition(files, [](const std::filesystem::path& file) { return !isResultsFile(file); });
    const auto recordings = static_cast<std::size_t>(results.begin() - files.begin());
    ThemeSwitch theme(&settings);
    if (request.theme)
        theme.wear(*request.theme);
    WindowList windows(&settings);
    for (std::size_t index = 0; index < std::max<std::size_t>(1, recordings); ++index) {
        MainWindow* window = windows.add();
        prepare(*window, request);
        window->show();
        if (index < recordings)
            window->open(files[index], request.start);
    }
    for (const std::filesystem::path& file : results)
        windows.windows().front()->open(file);
    for (MainWindow* window : windows.windows())
        raiseViews(*window, request); // results come to the front by themselves
    if (!request.screenshot.empty()) {
        writeScreenshot(*windows.windows().front(), request, interrupted);
        return 0;
    }
    QTimer poll;
    if (interrupted) {
        QObject::connect(&poll, &QTimer::timeout, qApp, [&interrupted] {
            if (interrupted())
                QApplication::closeAllWindows();
        });
        poll.start(200);
    }
    return QApplication::exec();
}

} // namespace kvloupe
