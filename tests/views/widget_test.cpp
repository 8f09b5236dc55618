// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/widget_test.h"

#include <QApplication>
#include <QDeadlineTimer>
#include <QDir>
#include <QStandardPaths>
#include <QTest>
#include <QWidget>

#include <mutex>

namespace kvloupe {
namespace {

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
}

WidgetTest::~WidgetTest()
{
    // Members of a derived fixture are gone by now, so what is left was forgotten.
    QApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    for (const QWidget* widget : visibleTopLevels())
        ADD_FAILURE() << "a top-level widget outlives the test: " << widget->metaObject()->className() << " "
                      << qPrintable(widget->objectName());
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
    QApplication application(argc, argv);
    QApplication::setApplicationName(QStringLiteral("kvloupe-test"));
    QApplication::setStyle(QStringLiteral("Fusion"));
    qInstallMessageHandler(kvloupe::logMessage);
    testing::UnitTest::GetInstance()->listeners().Append(new kvloupe::PictureListener);
    return RUN_ALL_TESTS();
}
