// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/task_suite.h"

#include "capture/tasks/arithmetic.h"
#include "capture/tasks/code_generation.h"
#include "capture/tasks/common_sense.h"
#include "capture/tasks/commonsense_qa.h"
#include "capture/tasks/gsm8k.h"
#include "capture/tasks/hotpot_qa.h"
#include "capture/tasks/human_eval.h"
#include "capture/tasks/jailbreakv.h"
#include "capture/tasks/long_generation.h"
#include "capture/tasks/longgenbench.h"
#include "capture/tasks/mmlu.h"
#include "capture/tasks/multi_fact.h"
#include "capture/tasks/needle_retrieval.h"
#include "capture/tasks/safety.h"
#include "capture/tasks/world_knowledge.h"
#include "core/methods/nearest_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace kvloupe {

namespace {

[[noreturn]] void failUnknown(std::string_view what, std::string_view name, const std::vector<std::string>& known)
{
    throw TaskError(fmt::format("unknown {} '{}'{}: expected one of {}", what, shownName(name), didYouMean(name, known),
        fmt::join(known, ", ")));
}

const Task* taskNamed(const TaskSuite& suite, std::string_view name)
{
    for (const auto& task : suite.tasks)
        if (task->name() == name)
            return task.get();
    return nullptr;
}

} // namespace

std::span<const TaskSuite> taskSuites()
{
    static const std::array<TaskSuite, 2> suites{
        TaskSuite{"fundamental", "Generated tasks, one per ability",
            {std::make_shared<WorldKnowledgeTask>(), std::make_shared<CommonSenseTask>(),
                std::make_shared<ArithmeticTask>(), std::make_shared<CodeGenerationTask>(),
                std::make_shared<SafetyTask>(), std::make_shared<LongGenerationTask>(),
                std::make_shared<NeedleRetrievalTask>(), std::make_shared<MultiFactTask>()}},
        TaskSuite{"published", "Published data sets, from files that the user names",
            {std::make_shared<MmluTask>(), std::make_shared<CommonsenseQaTask>(), std::make_shared<Gsm8kTask>(),
                std::make_shared<HumanEvalTask>(), std::make_shared<JailbreakVTask>(),
                std::make_shared<LongGenBenchTask>(), std::make_shared<HotpotQaTask>()}},
    };
    return suites;
}

const TaskSuite& findSuite(std::string_view name)
{
    std::vector<std::string> known;
    for (const TaskSuite& suite : taskSuites()) {
        if (suite.name == name)
            return suite;
        known.push_back(suite.name);
    }
    failUnknown("suite", name, known);
}

const Task& findTask(const TaskSuite& suite, std::string_view name)
{
    if (const Task* const task = taskNamed(suite, name))
        return *task;
    std::vector<std::string> known;
    for (const auto& task : suite.tasks)
        known.push_back(task->name());
    failUnknown(fmt::format("task of suite {}", suite.name), name, known);
}

const Task& findTask(std::string_view name)
{
    std::vector<std::string> known;
    for (const TaskSuite& suite : taskSuites()) {
        if (const Task* const task = taskNamed(suite, name))
            return *task;
        for (const auto& task : suite.tasks)
            known.push_back(task->name());
    }
    failUnknown("task", name, known);
}

} // namespace kvloupe
