// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/longgenbench.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/data_file.h"
#include "capture/tasks/gsm8k.h"
#include "capture/tasks/long_generation.h"
#include "capture/tasks/prompt_builder.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

namespace {

constexpr int defaultQuestions = 30;
constexpr int mostExamples = 1000;

/// The line "Question_3:" or "Answer_3:" that begins at or behind `from`.
std::size_t markAt(std::string_view text, const std::string& mark, std::size_t from)
{
    for (std::size_t at = text.find(mark, from); at != std::string_view::npos; at = text.find(mark, at + 1))
        if (at == 0 || text[at - 1] == '\n')
            return at;
    return std::string_view::npos;
}

} // namespace

LongGenBenchPrompt readLongGenBenchPrompt(const std::filesystem::path& file)
{
    LongGenBenchPrompt prompt;
    prompt.text = trimmedText(readDataText(file));
    std::vector<std::size_t> begins;
    std::array<int, 2> counts{};
    for (const bool answers : {false, true})
        while (counts[answers] < mostExamples) {
            const std::string mark = fmt::format("{}_{}:", answers ? "Answer" : "Question", counts[answers] + 1);
            const std::size_t at = markAt(prompt.text, mark, begins.empty() ? 0 : begins.back() + 1);
            if (at == std::string::npos)
                break;
            begins.push_back(at);
            ++counts[answers];
        }
    if (counts[0] == 0 || counts[0] != counts[1])
        throw TaskError(
            fmt::format("{}: found {} questions and then {} answers, expected \"Question_1:\" and so on, then as "
                        "many \"Answer_1:\"",
                file.string(), counts[0], counts[1]));
    prompt.examples = counts[0];
    for (std::size_t i = 0; i < begins.size(); ++i) {
        const std::size_t end = i + 1 < begins.size() ? begins[i + 1] : prompt.text.size();
        const std::string_view part = trimmedText(std::string_view(prompt.text).substr(begins[i], end - begins[i]));
        prompt.parts.push_back(
            {static_cast<std::int64_t>(begins[i]), static_cast<std::int64_t>(begins[i] + part.size()),
                static_cast<int>(i) < prompt.examples ? SpanKind::ShotQuestion : SpanKind::ShotAnswer,
                static_cast<int>(i), {}});
    }
    return prompt;
}

LongGenBenchTask::LongGenBenchTask()
    : Task({.name = "longgenbench",
        .category = "lg",
        .title = "LongGenBench-GSM8K",
        .defaultShots = 0,
        .maximumShots = 0,
        .readsData = true})
{
}

std::vector<TaskItem> LongGenBenchTask::makeItems(const TaskOptions& options) const
{
    if (options.promptFile.empty())
        throw TaskError("task longgenbench: prompt file: found none, expected LongGenBench's prompt file");
    const LongGenBenchPrompt examples = readLongGenBenchPrompt(options.promptFile);
    const std::vector<Gsm8kProblem> problems = readGsm8k(options.data);
    const auto count = static_cast<std::size_t>(options.questions > 0 ? options.questions : defaultQuestions);
    std::vector<std::size_t> sheets;
    for (std::size_t first = 0; first + count <= problems.size(); first += count)
        sheets.push_back(first);
    if (sheets.empty())
        throw TaskError(fmt::format("{}: found {} problems, expected at least {} for one sheet", options.data.string(),
            problems.size(), count));

    std::vector<TaskItem> items;
    for (const std::size_t first : selectRecords(sheets, {}, options).asked) {
        PromptBuilder prompt;
        prompt.plain("Examples: \n");
        const auto offset = static_cast<std::int64_t>(prompt.text().size());
        prompt.plain(examples.text);
        prompt.plain("\n\n");
        std::string asked = "Following Question: \n";
        TaskItem item;
        item.facts.firstPart = examples.examples + 1;
        for (std::size_t i = 0; i < count; ++i) {
            const Gsm8kProblem& problem = problems[first + i];
            const int number = item.facts.firstPart + static_cast<int>(i);
            asked += fmt::format("Question_{}:\n{}\n", number, problem.question);
            item.answer += fmt::format("{}Answer_{}:\n{}{}The answer is {}.", i > 0 ? "\n\n" : "", number,
                problem.solution, problem.solution.empty() ? "" : "\n", problem.answer);
            item.facts.partAnswers.push_back(problem.answer);
        }
        prompt.question(asked + "\n");
        item.id = fmt::format("longgenbench:{}", problems[first].line);
        item.task = category();
        item.system
            = "Answer each question step by step, adhering to the format shown in the examples provided. Start each "
              "response with 'Answer_' and introduce the final response with 'The answer is'. Do not repeat the "
              "question. Ensure that you respond to all the questions presented, regardless of their number.";
        item.text = prompt.takeText();
        for (Span part : examples.parts) {
            part.begin += offset;
            part.end += offset;
            item.spans.push_back(part);
            part.kind = SpanKind::Shot;
            item.spans.insert(item.spans.end() - 1, part);
        }
        const auto spans = prompt.takeSpans();
        item.spans.insert(item.spans.end(), spans.begin(), spans.end());
        item.references = item.facts.partAnswers;
        item.shortTrace = item.answer;
        item.maxNewTokens = 4096;
        item.maxThinkingTokens = 16384;
        item.seed = options.seed;
        item.shots = examples.examples;
        items.push_back(std::move(item));
    }
    return items;
}

Judgement LongGenBenchTask::judgeAnswer(
    const TaskItem& item, std::string_view output, const JudgeOptions& /*options*/) const
{
    return judgeNumberedAnswers(output, item.facts.partAnswers, item.facts.firstPart);
}

} // namespace kvloupe
