// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/gsm8k.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/data_file.h"
#include "capture/tasks/prompt_builder.h"

#include <fmt/format.h>

namespace kvloupe {

namespace {

/// Leaves out "<<48/2=24>>".
std::string withoutCalculator(std::string_view text)
{
    std::string result;
    for (;;) {
        const std::size_t begin = text.find("<<");
        const std::size_t end = begin == std::string_view::npos ? begin : text.find(">>", begin);
        if (end == std::string_view::npos)
            return result.append(text);
        result += text.substr(0, begin);
        text = text.substr(end + 2);
    }
}

std::string workedAnswer(const Gsm8kProblem& problem)
{
    return fmt::format("{}{}The answer is {}.", problem.solution, problem.solution.empty() ? "" : "\n", problem.answer);
}

} // namespace

std::vector<Gsm8kProblem> readGsm8k(const std::filesystem::path& file)
{
    std::vector<Gsm8kProblem> problems;
    readJsonLines(file, [&](const nlohmann::json& object, const DataPlace& place, std::int64_t line) {
        Gsm8kProblem problem;
        problem.line = line;
        problem.question = trimmedText(place.string(object, "question"));
        const std::string answer = place.string(object, "answer");
        const std::size_t mark = answer.rfind("####");
        if (mark == std::string::npos)
            place.fail("answer", "no \"####\"", "a solution, \"####\" and the number");
        problem.solution = trimmedText(withoutCalculator(std::string_view(answer).substr(0, mark)));
        problem.answer = cleanNumber(std::string_view(answer).substr(mark + 4));
        if (!sameNumber(problem.answer, problem.answer))
            place.fail("answer", "no number behind \"####\"", "a decimal number");
        problems.push_back(std::move(problem));
    });
    return problems;
}

Gsm8kTask::Gsm8kTask()
    : Task({.name = "gsm8k",
        .category = "ar",
        .title = "GSM8K",
        .defaultShots = 8,
        .maximumShots = 100,
        .readsData = true})
{
}

std::vector<TaskItem> Gsm8kTask::makeItems(const TaskOptions& options) const
{
    const auto chosen = selectRecords(readGsm8k(options.data),
        options.shotData.empty() ? std::vector<Gsm8kProblem>() : readGsm8k(options.shotData), options);
    std::vector<TaskItem> items;
    for (const Gsm8kProblem& problem : chosen.asked) {
        PromptBuilder prompt;
        for (const Gsm8kProblem& shot : chosen.shots)
            prompt.shot("Q: " + shot.question, "A: " + workedAnswer(shot), "\n\n");
        prompt.question("Q: " + problem.question + "\n\nA:");
        TaskItem item;
        item.id = fmt::format("gsm8k:{}", problem.line);
        item.task = category();
        item.text = prompt.takeText();
        item.spans = prompt.takeSpans();
        item.answer = " " + workedAnswer(problem);
        item.references = {problem.answer};
        item.shortTrace = item.answer;
        item.maxNewTokens = 256;
        item.maxThinkingTokens = 4096;
        item.stops = {"Q:", "</s>", "<|im_end|>"};
        item.seed = options.seed;
        item.shots = prompt.shots();
        items.push_back(std::move(item));
    }
    return items;
}

Judgement Gsm8kTask::judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const
{
    const auto number = options.extraction == NumberExtraction::Strict ? strictNumber(output) : flexibleNumber(output);
    if (!number)
        return {.score = 0.0, .correct = false, .extracted = {}, .reason = "no number"};
    const bool right = *number == item.references.front();
    return {.score = right ? 1.0 : 0.0,
        .correct = right,
        .extracted = *number,
        .reason = right ? "the right number" : "another number, expected " + item.references.front()};
}

} // namespace kvloupe
