// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/support/make_recording.h"
#include "tests/views/widget_test.h"
#include "views/session/main_window.h"
#include "views/session/window_list.h"

#include <QApplication>

#include <fstream>
#include <malloc.h>
#include <unistd.h>

namespace kvloupe {
namespace {

/// Resident memory of this process that is not files, MB, without what the allocator holds back.
double residentMegabytes()
{
    malloc_trim(0);
    std::ifstream statm("/proc/self/statm");
    long size = 0;
    long resident = 0;
    long shared = 0;
    statm >> size >> resident >> shared;
    return static_cast<double>((resident - shared) * sysconf(_SC_PAGESIZE)) / 1048576.0;
}

class EnduranceTest : public WidgetTest {
protected:
    EnduranceTest()
    {
        for (int number = 0; number < 4; ++number)
            makeRecording(path(number),
                {.layers = 2,
                    .heads = 4,
                    .kvHeads = 2,
                    .headDim = 16,
                    .promptTokens = 200 + 40 * number,
                    .generatedTokens = 4,
                    .samples = 2});
    }

    std::filesystem::path path(int number) const
    {
        return temporaryPath(QStringLiteral("r%1.h5").arg(number % 4)).toStdString();
    }

    /// Opens a recording, waits for everything, and looks around in it.
    void look(MainWindow& window, int number)
    {
        window.open(path(number));
        ASSERT_TRUE(waitFor([&] { return window.isReady(); })) << qPrintable(window.lastProblem());
        window.selection()->setHead(1, number % 4);
        window.selection()->setKeepPermille(100 + number % 800);
        window.selection()->setSample(1);
        ASSERT_TRUE(waitFor([&] { return window.isReady(); })) << qPrintable(window.lastProblem());
        window.selection()->setCell(150, 20 + number % 100);
        window.selection()->setStep(number % 4);
        QApplication::processEvents();
    }

    Settings m_settings{nullptr};
};

/// One recording holds some 2 MB in the window (tiles, scores, text): 200 of them that are not let go of would show.
constexpr double allowedMegabytes = 20.0;

TEST_F(EnduranceTest, TwoHundredRecordingsInOneWindowLeaveNothingBehind)
{
    MainWindow window(&m_settings);
    showAndWait(window, 1300, 850);
    for (int number = 0; number < 40; ++number)
        ASSERT_NO_FATAL_FAILURE(look(window, number));
    const double before = residentMegabytes();
    for (int number = 40; number < 200; ++number)
        ASSERT_NO_FATAL_FAILURE(look(window, number));
    EXPECT_LT(residentMegabytes() - before, allowedMegabytes);
}

TEST_F(EnduranceTest, WindowsThatAreClosedLeaveNothingBehind)
{
    WindowList windows(&m_settings);
    const auto round = [&](int number) {
        MainWindow* window = windows.open({});
        look(*window, number);
        window->close();
        QApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    };
    for (int number = 0; number < 10; ++number)
        ASSERT_NO_FATAL_FAILURE(round(number));
    const double before = residentMegabytes();
    for (int number = 10; number < 40; ++number)
        ASSERT_NO_FATAL_FAILURE(round(number));
    EXPECT_LT(residentMegabytes() - before, allowedMegabytes);
}

} // namespace
} // namespace kvloupe
