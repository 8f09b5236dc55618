// SPDX-License-Identifier: GPL-3.0-or-later

// Files that change under the window, and places that cannot be written: the window says so and stays up.

#include "tests/support/make_recording.h"
#include "tests/views/widget_test.h"
#include "views/heatmap/heat_map_view.h"
#include "views/results/results_view.h"
#include "views/session/error_bar.h"
#include "views/session/main_window.h"
#include "views/session/sample_list.h"
#include "views/session/session.h"

#include <QFile>
#include <QSignalSpy>
#include <QTest>

#include <csignal>
#include <filesystem>
#include <sys/resource.h>

namespace kvloupe {
namespace {

class WindowTroubleTest : public WidgetTest {
protected:
    WindowTroubleTest()
    {
        makeRecording(path(), recording(1));
        showAndWait(m_window, 1200, 800);
        m_window.open(path());
        EXPECT_TRUE(waitFor([this] { return m_window.isReady(); })) << qPrintable(m_window.lastProblem());
    }

    static SyntheticRecording recording(int samples)
    {
        return {.layers = 3, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 600, .samples = samples};
    }

    std::filesystem::path path() const { return temporaryPath(QStringLiteral("r.h5")).toStdString(); }

    QString message() const { return m_window.errorBar()->isVisible() ? m_window.errorBar()->message() : QString(); }

    void reload() { QTest::keyClick(&m_window, Qt::Key_F5); }

    Settings m_settings{nullptr};
    MainWindow m_window{&m_settings};
};

TEST_F(WindowTroubleTest, AFileThatIsCutShortWhileOpenIsSaidAndTheWindowStays)
{
    std::filesystem::resize_file(path(), std::filesystem::file_size(path()) / 3);
    m_window.heatMap()->fit();
    for (int head = 0; head < 4; ++head) {
        m_window.selection()->setHead(2, head);
        m_window.heatMap()->setMapWindow({10.0 * head, 10.0 * head + 40.0, 0.0, 40.0});
        QTest::qWait(20);
    }
    ASSERT_TRUE(waitFor([this] { return !message().isEmpty(); }));
    EXPECT_TRUE(message().contains(QStringLiteral("r.h5"))) << qPrintable(message());
    reload();
    ASSERT_TRUE(waitFor([this] { return !m_window.recording()->isReading(); }));
    EXPECT_TRUE(message().contains(QStringLiteral("r.h5")));

    makeRecording(path(), recording(2));
    reload();
    ASSERT_TRUE(waitFor([this] { return m_window.isReady(); })) << "the mended file opens";
    EXPECT_EQ(m_window.sampleList()->sampleModel()->rowCount(), 2);
}

TEST_F(WindowTroubleTest, AFileThatIsRemovedStaysReadableUntilItIsReadAgain)
{
    std::filesystem::remove(path());
    m_window.selection()->setHead(1, 3);
    ASSERT_TRUE(waitFor([this] { return m_window.isReady(); })) << qPrintable(m_window.lastProblem());
    EXPECT_EQ(message(), QString());
    reload();
    ASSERT_TRUE(waitFor([this] { return !message().isEmpty(); }));
    EXPECT_TRUE(message().contains(QStringLiteral("r.h5")));
    EXPECT_TRUE(m_window.isVisible());
}

TEST_F(WindowTroubleTest, AFileThatIsReplacedIsTheOldOneUntilItIsReadAgain)
{
    const std::filesystem::path other = temporaryPath(QStringLiteral("other.h5")).toStdString();
    makeRecording(other, recording(3));
    std::filesystem::rename(other, path());
    m_window.selection()->setHead(2, 1);
    ASSERT_TRUE(waitFor([this] { return m_window.isReady(); })) << qPrintable(m_window.lastProblem());
    EXPECT_EQ(m_window.sampleList()->sampleModel()->rowCount(), 1);
    reload();
    ASSERT_TRUE(waitFor([this] { return m_window.isReady(); }));
    EXPECT_EQ(m_window.sampleList()->sampleModel()->rowCount(), 3);
}

TEST_F(WindowTroubleTest, AFolderAnEmptyFileAndNothingAtAllAreRefusedByName)
{
    const QString folder = temporaryPath(QStringLiteral("folder"));
    std::filesystem::create_directory(folder.toStdString());
    const QString empty = temporaryPath(QStringLiteral("empty.h5"));
    QFile(empty).open(QIODevice::WriteOnly);
    for (const QString& file : {folder, empty, temporaryPath(QStringLiteral("nothing.h5"))}) {
        m_window.errorBar()->dismiss();
        m_window.open(file.toStdString());
        ASSERT_TRUE(waitFor([this] { return !message().isEmpty(); })) << qPrintable(file);
        EXPECT_TRUE(message().contains(file.section(QLatin1Char('/'), -1))) << qPrintable(message());
    }
    m_window.open(temporaryPath(QStringLiteral("nothing.jsonl")).toStdString());
    EXPECT_TRUE(waitFor(
        [this] { return m_window.resultsView()->model()->remarks().contains(QStringLiteral("nothing.jsonl")); }));
    m_window.open(path());
    ASSERT_TRUE(waitFor([this] { return m_window.isReady(); }));
}

TEST_F(WindowTroubleTest, AFigureThatCannotBeWrittenLeavesNothingBehind)
{
    QSignalSpy saved(&m_window, &MainWindow::figureSaved);
    const QString nowhere = temporaryPath(QStringLiteral("no/such/folder/f.pdf"));
    m_window.saveFigure(m_window.currentFigure(), nowhere.toStdString());
    ASSERT_TRUE(waitFor([this] { return !message().isEmpty(); }));
    EXPECT_TRUE(message().contains(QStringLiteral("f.pdf"))) << qPrintable(message());

    // A disk that is full, as far as this process is concerned.
    m_window.errorBar()->dismiss();
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const auto ignored = signal(SIGXFSZ, SIG_IGN);
    const rlimit tight{1000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
    const QString full = temporaryPath(QStringLiteral("full.png"));
    m_window.saveFigure(m_window.currentFigure(), full.toStdString());
    const bool isSaid = waitFor([this] { return !message().isEmpty(); });
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, ignored);
    EXPECT_TRUE(isSaid);
    EXPECT_TRUE(message().contains(QStringLiteral("full.png"))) << qPrintable(message());
    EXPECT_FALSE(QFile::exists(full)) << "no half of a picture";
    EXPECT_EQ(saved.count(), 0);

    m_window.saveFigure(m_window.currentFigure(), full.toStdString());
    ASSERT_TRUE(waitFor([&] { return saved.count() == 1; })) << "the window still writes";
}

TEST_F(WindowTroubleTest, EditsSurviveAFolderThatCannotBeWritten)
{
    // The session's file is a folder: it can be neither read nor replaced.
    const std::filesystem::path session = temporaryPath(QStringLiteral("r.kvsession")).toStdString();
    std::filesystem::create_directory(session);
    m_window.session()->setShots({{0, 50}, {50, 90}}, QStringLiteral("Shots"));
    m_window.session()->saveNow();
    EXPECT_TRUE(message().contains(QStringLiteral("r.kvsession"))) << qPrintable(message());
    EXPECT_TRUE(m_window.session()->hasOwnShots());
    std::filesystem::remove(session);
    m_window.session()->saveNow();
    EXPECT_TRUE(std::filesystem::is_regular_file(session)) << "saved once there is room again";
}

} // namespace
} // namespace kvloupe
