// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/human_eval.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/data_file.h"
#include "capture/tasks/isolated_run.h"
#include "capture/tasks/item_draws.h"
#include "capture/tasks/prompt_builder.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace kvloupe {

namespace {

bool isIdentifier(std::string_view name)
{
    const auto letter = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    return !name.empty() && letter(name.front())
        && std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

} // namespace

std::vector<HumanEvalProblem> readHumanEval(const std::filesystem::path& file)
{
    std::vector<HumanEvalProblem> problems;
    readJsonLines(file, [&](const nlohmann::json& object, const DataPlace& place, std::int64_t /*line*/) {
        HumanEvalProblem problem;
        problem.id = place.string(object, "task_id");
        problem.prompt = place.string(object, "prompt");
        problem.entryPoint = place.string(object, "entry_point");
        problem.solution = place.string(object, "canonical_solution");
        problem.test = place.string(object, "test");
        if (!isIdentifier(problem.entryPoint))
            place.fail(
                "entry_point", fmt::format("\"{}\"", problem.entryPoint.substr(0, 40)), "the name of a function");
        problems.push_back(std::move(problem));
    });
    return problems;
}

std::string humanEvalProgram(const TaskItem& item, std::string_view response, std::string_view passedLine)
{
    const std::string_view code = codeBlock(response);
    const bool isWhole = code.find(fmt::format("def {}(", item.facts.entryPoint)) != std::string_view::npos;
    // The imports of the prompt are needed either way; a function that is defined again replaces it. A docstring is a
    // complete body, so the prompt alone is a valid program.
    return fmt::format("{}{}{}\n\n{}\n\ncheck({})\nprint('\\n{}')\n", item.facts.codePrefix, isWhole ? "\n" : "", code,
        item.facts.testCode, item.facts.entryPoint, passedLine);
}

HumanEvalTask::HumanEvalTask()
    : Task({.name = "humaneval",
        .category = "cg",
        .title = "HumanEval",
        .defaultShots = 0,
        .maximumShots = 16,
        .readsData = true,
        .runsCode = true})
{
}

std::vector<TaskItem> HumanEvalTask::makeItems(const TaskOptions& options) const
{
    const auto chosen = selectRecords(readHumanEval(options.data),
        options.shotData.empty() ? std::vector<HumanEvalProblem>() : readHumanEval(options.shotData), options);
    std::vector<TaskItem> items;
    for (const HumanEvalProblem& problem : chosen.asked) {
        PromptBuilder prompt;
        for (const HumanEvalProblem& shot : chosen.shots)
            prompt.shot(shot.prompt, shot.solution, "");
        prompt.question(problem.prompt);
        TaskItem item;
        item.id = problem.id;
        item.task = category();
        item.system = "Complete the Python function. Reply with the whole function in one code block.";
        item.text = prompt.takeText();
        item.spans = prompt.takeSpans();
        item.answer = problem.solution;
        item.references = {problem.solution};
        item.shortTrace = problem.solution;
        item.maxNewTokens = 512;
        item.maxThinkingTokens = 4096;
        item.stops = {"\nclass", "\ndef", "\n#", "\nif", "\nprint"};
        item.seed = options.seed;
        item.shots = prompt.shots();
        item.facts.codePrefix = problem.prompt;
        item.facts.testCode = problem.test;
        item.facts.entryPoint = problem.entryPoint;
        items.push_back(std::move(item));
    }
    return items;
}

Judgement HumanEvalTask::judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const
{
    if (!options.allowCodeExecution)
        throw TaskError("task humaneval: judging runs what the model wrote, in isolation, and was not allowed to: add "
                        "--allow-code-execution");
    // A program that ends early with success has not passed: only the line behind the test says so, and the program
    // cannot know it.
    const std::string passed = fmt::format("passed {:016x}", ItemDraws(0, item.text + std::string(output), 0).bits());
    const IsolatedRun run;
    const IsolatedRun::Result result = run.python(humanEvalProgram(item, output, passed));
    Judgement judgement{.score = 0.0, .correct = false, .extracted = std::string(codeBlock(output)), .reason = {}};
    if (result.succeeded() && result.lastLine() == passed) {
        judgement.score = 1.0;
        judgement.reason = "passed the test";
    } else if (result.timedOut) {
        judgement.reason = "ran out of time";
    } else {
        judgement.reason = fmt::format("status {}: {}", result.status, result.lastLine().substr(0, 200));
    }
    return judgement;
}

} // namespace kvloupe
