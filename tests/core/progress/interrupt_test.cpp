// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/progress/interrupt.h"

#include <csignal>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

TEST(InterruptGuard, TurnsTheFirstSignalIntoAFlag)
{
    const InterruptGuard guard;
    EXPECT_FALSE(InterruptGuard::requested());
    std::raise(SIGINT);
    EXPECT_TRUE(InterruptGuard::requested());
}

TEST(InterruptGuard, HandlesTerminationTheSameWayAndStartsAfresh)
{
    const InterruptGuard guard;
    EXPECT_FALSE(InterruptGuard::requested());
    std::raise(SIGTERM);
    EXPECT_TRUE(InterruptGuard::requested());
}

TEST(InterruptGuard, StaysReadableAfterTheGuardIsGone)
{
    {
        const InterruptGuard guard;
        const InterruptGuard inner;
        std::raise(SIGINT);
    }
    EXPECT_TRUE(InterruptGuard::requested());
}

TEST(InterruptGuard, PutsTheHandlersBackThatWereThereBefore)
{
    struct sigaction before { };
    sigaction(SIGINT, nullptr, &before);
    {
        const InterruptGuard guard;
        const InterruptGuard inner;
    }
    struct sigaction after { };
    sigaction(SIGINT, nullptr, &after);
    EXPECT_EQ(after.sa_handler, before.sa_handler);
}

TEST(InterruptGuardDeathTest, EndsAtOnceWithTheSecondSignal)
{
    EXPECT_EXIT(
        {
            const InterruptGuard guard;
            std::raise(SIGINT);
            std::raise(SIGINT);
        },
        ::testing::ExitedWithCode(130), "");
}

} // namespace
} // namespace kvloupe
