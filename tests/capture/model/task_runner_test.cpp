// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/task_runner.h"

#include "capture/model/model_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace kvloupe {
namespace {

TEST(TaskRunner, RunsEveryTaskOnceAndNeverTwoInOneSlot)
{
    TaskRunner runner(3);
    std::vector<std::atomic<int>> runs(1000);
    std::vector<std::atomic<int>> inSlot(static_cast<std::size_t>(runner.slots()));
    std::atomic<bool> clash = false;
    runner.enter([&] {
        runner.run(1000, [&](std::int64_t task, int slot) {
            auto& busy = inSlot[static_cast<std::size_t>(slot)];
            if (busy++ != 0)
                clash = true;
            ++runs[static_cast<std::size_t>(task)];
            --busy;
        });
    });
    EXPECT_FALSE(clash);
    for (const std::atomic<int>& times : runs)
        EXPECT_EQ(times, 1);
}

TEST(TaskRunner, TakesTasksInOrderOnOneThread)
{
    TaskRunner runner(1);
    std::vector<std::int64_t> order;
    runner.enter([&] { runner.run(4, [&](std::int64_t task, int) { order.push_back(task); }); });
    EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3));
}

TEST(TaskRunner, ThrowsTheExceptionOfATask)
{
    TaskRunner runner(2);
    EXPECT_THROW(runner.enter([&] {
        runner.run(100, [](std::int64_t task, int) {
            if (task == 5)
                throw std::out_of_range("five");
        });
    }),
        std::out_of_range);
}

TEST(EvenSplit, CutsIntoNearlyEqualPartsAtMultiplesOfTheUnit)
{
    const EvenSplit split = EvenSplit::ofAtMost(712, 384, 16);
    EXPECT_EQ(split.pieces, 2);
    EXPECT_EQ(split.begin(0), 0);
    EXPECT_EQ(split.end(0), 352);
    EXPECT_EQ(split.end(1), 712);
}

TEST(EvenSplit, CoversEverySizeWithoutGapsOrEmptyParts)
{
    for (const std::int64_t unit : {1, 16}) {
        for (std::int64_t size = 1; size < 400; ++size) {
            const EvenSplit split = EvenSplit::ofAtMost(size, 48, unit);
            EXPECT_EQ(split.begin(0), 0);
            EXPECT_EQ(split.end(split.pieces - 1), size);
            for (std::int64_t piece = 0; piece < split.pieces; ++piece) {
                EXPECT_LT(split.begin(piece), split.end(piece)) << size;
                EXPECT_LE(split.end(piece) - split.begin(piece), 48) << size;
            }
        }
    }
}

TEST(WorkMeter, ReportsFractionsAndStopsOnceTheCallbackSaysNo)
{
    std::vector<double> fractions;
    WorkMeter meter(
        [&](double fraction) {
            fractions.push_back(fraction);
            return fraction < 0.5;
        },
        4);
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    EXPECT_NO_THROW(meter.advance(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    EXPECT_THROW(meter.advance(1), Cancelled);
    EXPECT_THROW(meter.advance(1), Cancelled) << "a cancelled computation does not go on";
    EXPECT_THAT(fractions, testing::ElementsAre(0.25, 0.5));
}

} // namespace
} // namespace kvloupe
