// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/task_suite.h"

#include <gtest/gtest.h>

#include <set>

namespace kvloupe {
namespace {

template <typename Call> std::string messageOf(Call call)
{
    try {
        call();
    } catch (const TaskError& error) {
        return error.what();
    }
    return "";
}

TEST(TaskSuites, HoldEveryAbility)
{
    std::set<std::string> abilities;
    for (const auto& task : findSuite("fundamental").tasks) {
        abilities.insert(task->category());
        EXPECT_EQ(task->name(), task->category());
        EXPECT_FALSE(task->info().readsData);
    }
    EXPECT_EQ(abilities, (std::set<std::string>{"wk", "csr", "ar", "cg", "sa", "lg", "niah", "qa"}));
    std::set<std::string> names;
    for (const TaskSuite& suite : taskSuites())
        for (const auto& task : suite.tasks) {
            EXPECT_TRUE(names.insert(task->name()).second) << task->name();
            EXPECT_TRUE(abilities.contains(task->category())) << task->name();
            EXPECT_FALSE(task->info().title.empty());
            EXPECT_EQ(&findTask(task->name()), task.get());
        }
    EXPECT_EQ(names.size(), 15u);
}

TEST(TaskSuites, ProposeNamesThatAreNear)
{
    EXPECT_NE(messageOf([] { findSuite("fundamentals"); }).find("did you mean fundamental?"), std::string::npos);
    EXPECT_NE(messageOf([] { findTask("gsm8"); }).find("did you mean gsm8k"), std::string::npos);
    EXPECT_NE(messageOf([] { findTask(findSuite("fundamental"), "gsm8k"); }).find("task of suite fundamental"),
        std::string::npos);
    EXPECT_NE(messageOf([] { findTask("x\ny"); }).find("unknown task 'x?y'"), std::string::npos);
}

TEST(TaskOptions, AreCheckedForEveryTask)
{
    for (const TaskSuite& suite : taskSuites())
        for (const auto& task : suite.tasks) {
            const auto refusal = [&](auto change) {
                TaskOptions options;
                options.data = "/nonexistent/file";
                change(options);
                return messageOf([&] { task->items(options); });
            };
            EXPECT_NE(refusal([](TaskOptions& o) { o.samples = -1; }).find("samples: found -1"), std::string::npos);
            EXPECT_NE(refusal([](TaskOptions& o) { o.samples = 1'000'001; }).find("samples"), std::string::npos);
            EXPECT_NE(refusal([](TaskOptions& o) { o.level = 9; }).find("level: found 9"), std::string::npos);
            EXPECT_NE(refusal([](TaskOptions& o) { o.shots = 1000; }).find("shots: found 1000"), std::string::npos);
            EXPECT_NE(refusal([](TaskOptions& o) { o.depth = 1.5; }).find("depth: found 1.5"), std::string::npos);
            EXPECT_NE(refusal([](TaskOptions& o) { o.questions = -1; }).find("questions"), std::string::npos);
            EXPECT_NE(refusal([](TaskOptions& o) { o.contextWords = -5; }).find("words of context"), std::string::npos);
            if (task->info().readsData) {
                EXPECT_NE(refusal([](TaskOptions& o) { o.data.clear(); }).find("--data FILE"), std::string::npos);
            }
        }
}

} // namespace
} // namespace kvloupe
