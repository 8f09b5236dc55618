// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/widget_test.h"

#include <QApplication>
#include <QDeadlineTimer>
#include <QDir>
#include <QImage>
#include <QPainter>
#include <QStandardPaths>
#include <QTest>
#include <QThread>
#include <QWidget>

#include <ctime>
#include <mutex>

namespace kvloupe {
namespace {

/// Longest that one event may take of the window's thread. Sanitizers make everything a few times slower.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double slowEventMilliseconds = 1000.0;
#else
constexpr double slowEventMilliseconds = 100.0;
#endif

/// Time that this thread was computing: what other programs take of the machine does not count.
double threadMilliseconds()
{
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

/// Watches how long events take. An event that runs an event loop of its own (a dialog, a menu, a wait in a test) is
/// not counted: the events inside are.
class WatchedApplication final : public QApplication {
public:
    using QApplication::QApplication;

    bool notify(QObject* receiver, QEvent* event) override
    {
        if (QThread::currentThread() != thread())
            return QApplication::notify(receiver, event);
        const QString name = QString::fromUtf8(receiver->metaObject()->className()); // it may be gone afterwards
        const auto type = event->type();
        const int loops = QThread::currentThread()->loopLevel();
        const int outside = std::exchange(m_deepestLoop, loops);
        const double begin = threadMilliseconds();
        const bool result = QApplication::notify(receiver, event);
        const double spent = threadMilliseconds() - begin;
        if (spent > slowEventMilliseconds && m_deepestLoop == loops)
            m_slow << QStringLiteral("%1 took %2 ms for an event of type %3").arg(name).arg(spent, 0, 'f', 0).arg(type);
        m_deepestLoop = std::max({m_deepestLoop, outside, loops});
        return result;
    }

    QStringList takeSlow() { return std::exchange(m_slow, {}); }

private:
    int m_deepestLoop = 0; ///< of event loops, since the event in hand began
    QStringList m_slow;
};

/// The first text that a program paints, and the first symbol no usual font has, load fonts: that is no event's fault.
void loadFonts()
{
    QImage image(400, 40, QImage::Format_RGB32);
    QPainter painter(&image);
    painter.drawText(image.rect(), Qt::AlignCenter, QStringLiteral("abc \u2420 \u23CE \u21E5 \u2026 \u00D7"));
}

/// Messages of Qt since the test began. Qt's message handler has no user pointer, hence the function-local static.
struct MessageLog {
    std::mutex mutex;
    QStringList messages;

    static MessageLog& instance()
    {
        static MessageLog log;
        return log;
    }

    QStringList take()
    {
        const std::lock_guard lock(mutex);
        return std::exchange(messages, {});
    }
};

void logMessage(QtMsgType type, const QMessageLogContext& /*context*/, const QString& message)
{
    if (type == QtDebugMsg || type == QtInfoMsg)
        return;
    // What the offscreen platform cannot do is no fault of ours.
    if (message.startsWith(u"This plugin does not support"))
        return;
    fprintf(stderr, "%s\n", qPrintable(message));
    auto& log = MessageLog::instance();
    const std::lock_guard lock(log.mutex);
    log.messages.push_back(message);
}

void savePictures(const QString& testName)
{
    const QDir folder(qEnvironmentVariable("KVLOUPE_TEST_PICTURES", QDir::currentPath()));
    int number = 0;
    for (QWidget* widget : QApplication::topLevelWidgets()) {
        if (!widget->isVisible())
            continue;
        const QString path = folder.filePath(QStringLiteral("failed-%1-%2.png").arg(testName).arg(number++));
        if (widget->grab().save(path))
            fprintf(stderr, "picture saved: %s\n", qPrintable(path));
    }
}

/// Pictures are taken where the expectation fails, while the widgets still exist. GoogleTest holds its lock meanwhile,
/// so the name of the test is taken beforehand.
class PictureListener : public testing::EmptyTestEventListener {
    void OnTestStart(const testing::TestInfo& info) override
    {
        m_testName
            = QStringLiteral("%1.%2").arg(QString::fromUtf8(info.test_suite_name()), QString::fromUtf8(info.name()));
        m_testName.replace(u'/', u'_');
        m_saved = false;
    }

    void OnTestPartResult(const testing::TestPartResult& result) override
    {
        if (result.failed() && !std::exchange(m_saved, true) && !m_testName.isEmpty())
            savePictures(m_testName);
    }

    QString m_testName;
    bool m_saved = false;
};

QWidgetList visibleTopLevels()
{
    QWidgetList result;
    for (QWidget* widget : QApplication::topLevelWidgets()) {
        // Tool tips belong to the application and close by a timer.
        if (widget->windowType() != Qt::ToolTip)
            result.push_back(widget);
    }
    return result;
}

} // namespace

WidgetTest::WidgetTest()
    : m_settings(
        std::make_unique<QSettings>(m_directory.filePath(QStringLiteral("settings.ini")), QSettings::IniFormat))
{
    MessageLog::instance().take();
    static_cast<WatchedApplication*>(qApp)->takeSlow();
}

WidgetTest::~WidgetTest()
{
    // Members of a derived fixture are gone by now, so what is left was forgotten.
    QApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    for (const QWidget* widget : visibleTopLevels())
        ADD_FAILURE() << "a top-level widget outlives the test: " << widget->metaObject()->className() << " "
                      << qPrintable(widget->objectName());
    for (const QString& slow : static_cast<WatchedApplication*>(qApp)->takeSlow()) {
        if (!m_allowsSlowEvents)
            ADD_FAILURE() << qPrintable(slow);
    }
    for (const QString& message : MessageLog::instance().take()) {
        const auto matches = [&](const QString& part) { return message.contains(part); };
        if (std::none_of(m_expected.begin(), m_expected.end(), matches))
            ADD_FAILURE() << "Qt said: " << qPrintable(message);
    }
}

void WidgetTest::TearDown()
{
    QApplication::processEvents();
}

void WidgetTest::showAndWait(QWidget& widget, int width, int height)
{
    widget.resize(width, height);
    widget.show();
    ASSERT_TRUE(QTest::qWaitForWindowExposed(&widget));
    QApplication::setActiveWindow(&widget);
}

bool WidgetTest::waitFor(const std::function<bool()>& condition, int timeoutMs)
{
    return QTest::qWaitFor(condition, timeoutMs);
}

} // namespace kvloupe

int main(int argc, char** argv)
{
    if (!qEnvironmentVariableIsSet("QT_QPA_PLATFORM"))
        qputenv("QT_QPA_PLATFORM", "offscreen");
    qputenv("QT_FONT_DPI", "96");
    QStandardPaths::setTestModeEnabled(true);
    testing::InitGoogleTest(&argc, argv);
    kvloupe::WatchedApplication application(argc, argv);
    QApplication::setApplicationName(QStringLiteral("kvloupe-test"));
    QApplication::setStyle(QStringLiteral("Fusion"));
    kvloupe::loadFonts();
    qInstallMessageHandler(kvloupe::logMessage);
    testing::UnitTest::GetInstance()->listeners().Append(new kvloupe::PictureListener);
    return RUN_ALL_TESTS();
}
