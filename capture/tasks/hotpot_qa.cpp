// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/hotpot_qa.h"

#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint_error.h"
#include "capture/tasks/answer_text.h"
#include "capture/tasks/data_file.h"
#include "capture/tasks/prompt_builder.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace kvloupe {

namespace {

using Json = nlohmann::json;

constexpr std::size_t mostBytes = std::size_t{1} << 30;

bool isPair(const Json& value)
{
    return value.is_array() && value.size() == 2 && value[0].is_string();
}

HotpotQuestion questionOf(const Json& entry, const DataPlace& place)
{
    HotpotQuestion question;
    question.id = place.string(entry, "_id");
    question.question = trimmedText(place.string(entry, "question"));
    question.answer = trimmedText(place.string(entry, "answer"));
    const Json& context = place.member(entry, "context");
    if (!context.is_array() || context.empty())
        place.fail(
            "context", context.is_array() ? "an empty list" : context.type_name(), "a list of [title, sentences]");
    for (const Json& paragraph : context) {
        if (!isPair(paragraph) || !paragraph[1].is_array())
            place.fail("context", paragraph.type_name(), "a list of [title, sentences]");
        HotpotQuestion::Paragraph& added = question.context.emplace_back();
        added.title = paragraph[0].get<std::string>();
        for (const Json& sentence : paragraph[1]) {
            if (!sentence.is_string())
                place.fail("context", sentence.type_name(), "sentences as strings");
            added.sentences.push_back(sentence.get<std::string>());
        }
    }
    if (!entry.contains("supporting_facts"))
        return question;
    const Json& facts = place.member(entry, "supporting_facts");
    if (!facts.is_array())
        place.fail("supporting_facts", facts.type_name(), "a list of [title, number]");
    for (const Json& fact : facts) {
        if (!isPair(fact) || !fact[1].is_number_integer())
            place.fail("supporting_facts", fact.type_name(), "a list of [title, number]");
        const auto title = fact[0].get<std::string>();
        const auto paragraph = std::ranges::find(question.context, title, &HotpotQuestion::Paragraph::title);
        // The published files hold a few facts whose sentence is not there; they are no evidence.
        if (paragraph == question.context.end() || fact[1] < 0 || fact[1] >= paragraph->sentences.size())
            continue;
        question.evidence.emplace_back(
            static_cast<std::size_t>(paragraph - question.context.begin()), fact[1].get<std::size_t>());
    }
    return question;
}

} // namespace

std::vector<HotpotQuestion> readHotpotQa(const std::filesystem::path& file)
{
    Json list;
    try {
        list = parseJson(readDataText(file), file.string(), {mostBytes, 16});
    } catch (const CheckpointError& error) {
        throw TaskError(error.what());
    }
    const DataPlace whole{file.string()};
    if (!list.is_array() || list.empty())
        whole.fail("list", list.is_array() ? "no samples" : list.type_name(), "a JSON list of questions");
    std::vector<HotpotQuestion> questions;
    for (std::size_t i = 0; i < list.size(); ++i)
        questions.push_back(questionOf(list[i], DataPlace{fmt::format("{} entry {}", file.string(), i)}));
    return questions;
}

HotpotQaTask::HotpotQaTask()
    : Task({.name = "hotpotqa",
        .category = "qa",
        .title = "HotpotQA",
        .defaultShots = 0,
        .maximumShots = 0,
        .readsData = true})
{
}

std::vector<TaskItem> HotpotQaTask::makeItems(const TaskOptions& options) const
{
    std::vector<TaskItem> items;
    for (const HotpotQuestion& question : selectRecords(readHotpotQa(options.data), {}, options).asked) {
        PromptBuilder prompt;
        prompt.instruction("Answer the question from the text. Give only the answer.");
        const std::size_t context = prompt.open(SpanKind::Context);
        int shots = 0;
        for (std::size_t p = 0; p < question.context.size(); ++p) {
            const auto& paragraph = question.context[p];
            prompt.plain(p > 0 ? "\n" : "");
            prompt.plain(paragraph.title);
            prompt.plain(":");
            for (std::size_t s = 0; s < paragraph.sentences.size(); ++s) {
                const std::string_view sentence = trimmedText(paragraph.sentences[s]);
                if (sentence.empty())
                    continue;
                prompt.plain(" ");
                const std::size_t shot = prompt.open(SpanKind::Shot, shots);
                if (std::ranges::find(question.evidence, std::pair(p, s)) != question.evidence.end())
                    prompt.add(SpanKind::Evidence, sentence, shots);
                else
                    prompt.plain(sentence);
                prompt.close(shot);
                ++shots;
            }
        }
        prompt.close(context);
        prompt.plain("\n\n");
        prompt.question("Question: " + question.question + "\nAnswer:");
        TaskItem item;
        item.id = question.id;
        item.task = category();
        item.text = prompt.takeText();
        item.spans = prompt.takeSpans();
        item.answer = " " + question.answer;
        item.references = {question.answer};
        item.shortTrace = item.answer;
        item.maxNewTokens = 32;
        item.maxThinkingTokens = 2048;
        item.stops = {"\n\n", "\nQuestion:"};
        item.seed = options.seed;
        item.shots = shots;
        items.push_back(std::move(item));
    }
    return items;
}

Judgement HotpotQaTask::judgeAnswer(
    const TaskItem& item, std::string_view output, const JudgeOptions& /*options*/) const
{
    const std::string found = normalisedAnswer(firstLine(output));
    const std::string gold = normalisedAnswer(item.references.front());
    Judgement result{.score = 0.0, .correct = false, .extracted = found, .reason = "another answer"};
    if (found.empty() || gold.empty()) {
        result.reason = "no answer";
    } else if (found == gold) {
        result.score = 1.0;
        result.reason = "the answer";
    } else {
        const std::size_t at = findWords(found, gold);
        const bool judgesByBeginning = gold == "yes" || gold == "no";
        if (judgesByBeginning ? at == 0 : at != std::string::npos) {
            result.score = 1.0;
            result.reason = "holds the answer";
        }
    }
    return result;
}

} // namespace kvloupe
