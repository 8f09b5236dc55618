// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/suite_options.h"

#include "app/commands/option_check.h"
#include "capture/tasks/task_suite.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace kvloupe {

void SuiteOptions::addTo(CLI::App& command)
{
    const char* const group = "Tasks";
    const auto add = [&](const char* name, auto& value, const char* type, const char* text) {
        return command.add_option(name, value, text)->type_name(type)->group(group);
    };
    CLI::Option* const suiteOption
        = add("--suite", suite, "NAME", "fundamental: made by the program; published: read from files (docs/tasks.md)")
              ->check(parses([](const std::string& name) { findSuite(name); }));
    add("--task", taskNames, "T,...", "Tasks of the suite, for example ar,niah (default: all)")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(parses([](const std::string& name) { findTask(name); }));
    add("--samples", samples, "N", "Items per task; 0 = all of a data file")->capture_default_str();
    add("--shots", shots, "N", "Worked examples per prompt (default: the task's own)");
    add("--seed", seed, "S", "Which items; with a data file 0 keeps its order")->capture_default_str();
    add("--level", level, "L", "Difficulty, from 1 on (default: the task's own)");
    add("--data", data, "FILE", "Data set in its published format, or a folder of essays for niah");
    add("--shot-data", shotData, "FILE", "File that worked examples come from (default: the first items of --data)");
    add("--prompt-data", promptData, "FILE", "LongGenBench's prompt file");
    add("--depth", depth, "D", "niah: where the needle stands, 0 = beginning, 1 = end (default: spread)");
    add("--context-words", contextWords, "N", "niah: words around the needle");
    add("--questions", questions, "K", "lg, longgenbench: questions per response");
    for (CLI::Option* option :
        command.get_options([&](const CLI::Option* other) { return other->get_group() == group; }))
        if (option != suiteOption)
            option->needs(suiteOption);
}

std::vector<const Task*> SuiteOptions::tasks() const
{
    const TaskSuite& of = findSuite(suite);
    std::vector<const Task*> result;
    for (const std::string& name : taskNames)
        result.push_back(&findTask(of, name));
    if (taskNames.empty())
        for (const auto& task : of.tasks)
            result.push_back(task.get());
    return result;
}

TaskOptions SuiteOptions::itemOptions(bool chat) const
{
    TaskOptions options;
    options.samples = samples;
    options.shots = shots;
    options.seed = seed;
    options.level = level;
    options.data = data;
    options.shotData = shotData;
    options.promptFile = promptData;
    options.depth = depth;
    options.contextWords = contextWords;
    options.questions = questions;
    options.chat = chat;
    return options;
}

std::string SuiteOptions::commandText() const
{
    if (suite.empty())
        return {};
    std::string text = fmt::format(" --suite {}", suite);
    if (!taskNames.empty())
        text += fmt::format(" --task {}", fmt::join(taskNames, ","));
    text += fmt::format(" --samples {} --seed {}", samples, seed);
    if (shots)
        text += fmt::format(" --shots {}", *shots);
    if (level > 0)
        text += fmt::format(" --level {}", level);
    if (depth)
        text += fmt::format(" --depth {}", *depth);
    if (contextWords > 0)
        text += fmt::format(" --context-words {}", contextWords);
    if (questions > 0)
        text += fmt::format(" --questions {}", questions);
    for (const auto& [option, file] :
        {std::pair("--data", &data), std::pair("--shot-data", &shotData), std::pair("--prompt-data", &promptData)})
        if (!file->empty())
            text += fmt::format(" {} {}", option, *file);
    return text;
}

} // namespace kvloupe
