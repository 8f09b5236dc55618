// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/support/make_recording.h"
#include "tests/views/widget_test.h"
#include "views/heatmap/heat_map_view.h"
#include "views/session/recording_source.h"
#include "views/session/sample_model.h"

#include <QFile>
#include <QSignalSpy>

#include <atomic>
#include <cmath>
#include <thread>

namespace kvloupe {
namespace {

using Priority = RecordingSource::Priority;

class RecordingSourceTest : public WidgetTest {
protected:
    std::filesystem::path makeSmall(std::int64_t tokens = 300, RecordKind kind = RecordKind::QueriesKeys)
    {
        const std::filesystem::path path = temporaryPath(QStringLiteral("small.h5")).toStdString();
        SyntheticRecording options;
        options.promptTokens = tokens;
        options.kind = kind;
        makeRecording(path, options);
        return path;
    }

    /// A job that keeps the I/O thread busy until `gate` opens, so that the queue fills behind it.
    static void block(RecordingSource& source, QObject* context, std::atomic<bool>& gate, std::atomic<bool>& entered)
    {
        source.run<int>(
            context, Priority::Immediate,
            [&](RecordingAccess&) {
                entered = true;
                while (!gate)
                    std::this_thread::yield();
                return 0;
            },
            [](int) {});
        ASSERT_TRUE(waitFor([&] { return entered.load(); }));
    }
};

TEST_F(RecordingSourceTest, OpensOnItsOwnThreadAndDeliversOnThatOfTheContext)
{
    RecordingSource source(makeSmall());
    QSignalSpy opened(&source, &RecordingSource::opened);
    QObject context;
    std::thread::id workThread;
    std::thread::id deliverThread;
    int samples = 0;
    source.run<int>(
        &context, Priority::Visible,
        [&](RecordingAccess& access) {
            workThread = std::this_thread::get_id();
            return access.recording.sampleCount();
        },
        [&](int count) {
            deliverThread = std::this_thread::get_id();
            samples = count;
        });
    ASSERT_TRUE(waitFor([&] { return samples > 0; }));
    EXPECT_EQ(samples, 1);
    EXPECT_EQ(opened.count(), 1);
    EXPECT_NE(workThread, std::this_thread::get_id());
    EXPECT_EQ(deliverThread, std::this_thread::get_id());
}

TEST_F(RecordingSourceTest, RunsUrgentJobsFirstAndTheNewestOfEqualOnes)
{
    RecordingSource source(makeSmall());
    QObject context;
    std::atomic<bool> gate{false};
    std::atomic<bool> entered{false};
    block(source, &context, gate, entered);
    QStringList order;
    const auto add = [&](Priority priority, const QString& name) {
        source.run<int>(
            &context, priority, [](RecordingAccess&) { return 0; }, [&order, name](int) { order.push_back(name); });
    };
    add(Priority::Background, QStringLiteral("background"));
    add(Priority::Visible, QStringLiteral("visible, old"));
    add(Priority::Prefetch, QStringLiteral("prefetch"));
    add(Priority::Visible, QStringLiteral("visible, new"));
    add(Priority::Immediate, QStringLiteral("immediate"));
    gate = true;
    ASSERT_TRUE(waitFor([&] { return order.size() == 5; }));
    EXPECT_EQ(order.join(u'|'), QStringLiteral("immediate|visible, new|visible, old|prefetch|background"));
}

TEST_F(RecordingSourceTest, DropsStaleJobsAndThoseOfADeadContextBeforeTheyRead)
{
    RecordingSource source(makeSmall());
    QObject context;
    std::atomic<bool> gate{false};
    std::atomic<bool> entered{false};
    block(source, &context, gate, entered);
    std::atomic<int> ran{0};
    bool delivered = false;
    const auto work = [&](RecordingAccess&) { return ++ran; };
    source.run<int>(
        &context, Priority::Visible, work, [&](int) { delivered = true; }, [] { return true; });
    auto dying = std::make_unique<QObject>();
    source.run<int>(dying.get(), Priority::Visible, work, [&](int) { delivered = true; });
    dying.reset();
    bool last = false;
    source.run<int>(
        &context, Priority::Background, [](RecordingAccess&) { return 0; }, [&](int) { last = true; });
    gate = true;
    ASSERT_TRUE(waitFor([&] { return last; }));
    EXPECT_EQ(ran, 0);
    EXPECT_FALSE(delivered);
}

TEST_F(RecordingSourceTest, AContextThatDiesWhileItsJobRunsGetsNothing)
{
    RecordingSource source(makeSmall());
    for (int round = 0; round < 50; ++round) {
        auto context = std::make_unique<QObject>();
        std::atomic<bool> running{false};
        bool delivered = false;
        source.run<int>(
            context.get(), Priority::Immediate,
            [&](RecordingAccess&) {
                running = true;
                return 1;
            },
            [&](int) { delivered = true; });
        while (!running)
            std::this_thread::yield();
        context.reset();
        QCoreApplication::processEvents();
        ASSERT_FALSE(delivered);
    }
}

TEST_F(RecordingSourceTest, SaysWhyARecordingCannotBeOpened)
{
    const QString path = temporaryPath(QStringLiteral("text.h5"));
    QFile file(path);
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write("this is no recording");
    file.close();
    RecordingSource source(path.toStdString());
    QSignalSpy failed(&source, &RecordingSource::failed);
    QSignalSpy opened(&source, &RecordingSource::opened);
    ASSERT_TRUE(waitFor([&] { return failed.count() > 0; }));
    EXPECT_TRUE(failed.first().first().toString().contains(QStringLiteral("text.h5")));
    EXPECT_FALSE(failed.first().first().toString().contains(u'\n'));
    EXPECT_EQ(opened.count(), 0);
}

TEST_F(RecordingSourceTest, AJobThatThrowsIsReportedAndTheNextOneRuns)
{
    RecordingSource source(makeSmall());
    QSignalSpy failed(&source, &RecordingSource::failed);
    QObject context;
    source.run<int>(
        &context, Priority::Visible, [](RecordingAccess&) -> int { throw std::runtime_error("no such chunk"); },
        [](int) { FAIL(); });
    bool done = false;
    source.run<int>(
        &context, Priority::Background, [](RecordingAccess&) { return 0; }, [&](int) { done = true; });
    ASSERT_TRUE(waitFor([&] { return done; }));
    ASSERT_EQ(failed.count(), 1);
    EXPECT_EQ(failed.first().first().toString(), QStringLiteral("no such chunk"));
}

TEST_F(RecordingSourceTest, TheMapOfARecordingIsWhatItsQueriesAndKeysGive)
{
    RecordingSource source(makeSmall(700));
    SampleModelPtr sample;
    std::vector<float> row;
    QObject context;
    source.run<SampleModelPtr>(
        &context, Priority::Immediate, [](RecordingAccess& access) { return readSampleModel(access.recording, 0); },
        [&](SampleModelPtr model) { sample = std::move(model); });
    source.run<std::vector<float>>(
        &context, Priority::Visible, [](RecordingAccess& access) { return access.tiles.row(0, 1, 2, 650); },
        [&](std::vector<float> values) { row = std::move(values); });
    ASSERT_TRUE(waitFor([&] { return sample && !row.empty(); }));
    Selection selection;
    HeatMapView view(&selection);
    showAndWait(view, 900, 800);
    selection.setHead(1, 2);
    view.setSample(sample, &source);
    view.setMapWindow({100, 200, 600, 700});
    ASSERT_TRUE(view.ensureLoaded());
    ASSERT_EQ(view.level(), 0);
    for (std::int64_t key = 100; key < 200; ++key)
        EXPECT_NEAR(view.shownValue(650, key), row[static_cast<std::size_t>(key)],
            1e-3F * row[static_cast<std::size_t>(key)] + 1e-7F);
    // Pooled maxima reach the coarsest level whole.
    view.fit();
    view.resize(300, 300);
    ASSERT_TRUE(view.ensureLoaded());
    ASSERT_GT(view.level(), 0);
    float largest = 0.0F;
    const std::int64_t factor = std::int64_t{1} << view.level();
    for (std::int64_t key = 0; key < factor; ++key)
        largest = std::max(largest, row[static_cast<std::size_t>(key)]);
    EXPECT_GE(view.shownValue(650, 0), largest * 0.999F);
}

} // namespace
} // namespace kvloupe
