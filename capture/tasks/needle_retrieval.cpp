// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/needle_retrieval.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/essay_folder.h"
#include "capture/tasks/filler_text.h"
#include "capture/tasks/item_draws.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kvloupe {

namespace {

constexpr std::int64_t defaultWords = 400;
constexpr std::uint64_t numberCount = 9000; // 1000 .. 9999

struct Form {
    std::string_view needle; ///< {0} place, {1} number
    std::string_view question;
};
constexpr auto forms = std::to_array<Form>({
    {"The secret number of the {0} is {1}.", "What is the secret number of the {0}?"},
    {"The code of the {0} is {1}.", "What is the code of the {0}?"},
    {"The {0} has the number {1}.", "Which number does the {0} have?"},
});
constexpr auto places = std::to_array<std::string_view>({"lighthouse", "library", "windmill", "castle", "museum",
    "harbor", "station", "bakery", "school", "theater", "hotel", "hospital", "factory", "temple", "tower", "market"});

struct Needle {
    std::string_view place;
    std::uint64_t number = 0;
    std::size_t form = 0;

    std::string sentence() const { return fmt::format(fmt::runtime(forms[form].needle), place, number); }
    std::string question() const { return fmt::format(fmt::runtime(forms[form].question), place); }
};

Needle needleOf(std::uint64_t question)
{
    return {places[question / forms.size() % places.size()], 1000 + question / (forms.size() * places.size()),
        question % forms.size()};
}

int distractors(int level)
{
    constexpr std::array<int, 3> counts{0, 3, 9};
    return counts[static_cast<std::size_t>(level - 1)];
}

/// Where among `count` sentences a needle of this depth stands: before sentence number ...
std::size_t placeOf(double depth, std::size_t count)
{
    return std::min(count, static_cast<std::size_t>(depth * static_cast<double>(count) + 0.5));
}

} // namespace

NeedleRetrievalTask::NeedleRetrievalTask()
    : GeneratedTask({.name = "niah",
        .category = "niah",
        .title = "Needle retrieval",
        .defaultShots = 1,
        .maximumShots = 8,
        .levels = 3,
        .defaultLevel = 1,
        .takesData = true})
{
}

std::uint64_t NeedleRetrievalTask::poolSize(int /*level*/) const
{
    return forms.size() * places.size() * numberCount;
}

std::vector<std::string> NeedleRetrievalTask::material(const TaskOptions& options) const
{
    return options.data.empty() ? std::vector<std::string>() : readEssayFolder(options.data);
}

TaskItem NeedleRetrievalTask::makeItem(const TaskOptions& options, const Place& place) const
{
    const std::uint64_t question = place.question;
    const Needle asked = needleOf(question);
    ItemDraws draws(options.seed, "niah", place.index);
    std::vector<std::string_view> others(places.begin(), places.end());
    std::erase(others, asked.place);
    draws.shuffle(others);
    std::vector<std::uint64_t> used{asked.number};
    const auto other = [&](std::string_view where) {
        std::uint64_t number = asked.number;
        while (std::ranges::find(used, number) != used.end())
            number = 1000 + draws.below(numberCount);
        used.push_back(number);
        return Needle{where, number, asked.form};
    };
    std::vector<Needle> shots;
    for (int i = 0; i < *options.shots; ++i) {
        shots.push_back(other(others.back()));
        others.pop_back();
    }
    std::vector<Needle> distracting;
    for (int i = 0; i < std::min(distractors(options.level), static_cast<int>(others.size())); ++i)
        distracting.push_back(other(others[static_cast<std::size_t>(i)]));
    const double depth = options.depth.value_or(static_cast<double>(draws.below(11)) / 10.0);
    std::vector<double> distractingDepths;
    for (std::size_t i = 0; i < distracting.size(); ++i)
        distractingDepths.push_back(static_cast<double>(draws.below(1001)) / 1000.0);
    const std::int64_t words = options.contextWords > 0 ? options.contextWords : defaultWords;
    const std::vector<std::string> filler
        = options.data.empty() ? fillerSentences(words, draws) : consecutiveSentences(place.material, words, draws);

    PromptBuilder prompt;
    prompt.instruction("Read the text and answer the question.");
    for (const Needle& shot : shots)
        prompt.shot(fmt::format("Text: {}\nQuestion: {}", shot.sentence(), shot.question()),
            fmt::format("Answer: {}", shot.number));
    prompt.plain("Text: ");
    const std::size_t context = prompt.open(SpanKind::Context);
    bool first = true;
    const auto put = [&](SpanKind kind, const std::string& sentence, std::string_view label) {
        if (!first)
            prompt.plain(" ");
        first = false;
        if (kind == SpanKind::Context && label.empty())
            prompt.plain(sentence);
        else
            prompt.add(kind, sentence, -1, label);
    };
    for (std::size_t i = 0; i <= filler.size(); ++i) {
        for (std::size_t d = 0; d < distracting.size(); ++d)
            if (placeOf(distractingDepths[d], filler.size()) == i)
                put(SpanKind::Context, distracting[d].sentence(), "distractor");
        if (placeOf(depth, filler.size()) == i)
            put(SpanKind::Needle, asked.sentence(), {});
        if (i < filler.size())
            put(SpanKind::Context, filler[i], {});
    }
    prompt.close(context);
    prompt.plain("\n");
    prompt.question(fmt::format("Question: {}\nAnswer:", asked.question()));

    TaskItem item;
    item.text = prompt.takeText();
    item.spans = prompt.takeSpans();
    item.references = {std::to_string(asked.number)};
    item.answer = " " + item.references.front();
    item.shortTrace = " " + asked.sentence();
    item.thinkingTrace = thinkingTrace(
        {fmt::format("The question: {}", asked.question()), fmt::format("The text says: \"{}\"", asked.sentence()),
            fmt::format("So the number is {}.", asked.number)},
        asked.sentence());
    item.maxNewTokens = 16;
    item.maxThinkingTokens = 160;
    item.stops = {"\n\n", "\nQuestion:", "\nText:"};
    return item;
}

Judgement NeedleRetrievalTask::judgeAnswer(
    const TaskItem& item, std::string_view output, const JudgeOptions& /*options*/) const
{
    // The first number of four digits or more is the answer; a place in the text has none.
    std::string digits;
    for (std::size_t i = 0; i <= output.size(); ++i) {
        if (i < output.size() && output[i] >= '0' && output[i] <= '9') {
            digits += output[i];
            continue;
        }
        if (i < output.size() && output[i] == ',' && !digits.empty())
            continue; // "4,821"
        if (digits.size() >= 4)
            break;
        digits.clear();
    }
    Judgement result{.score = 0.0, .correct = false, .extracted = digits, .reason = "no number of four digits"};
    if (digits.size() >= 4) {
        result.score = digits == item.references.front() ? 1.0 : 0.0;
        result.reason = result.score > 0.0 ? "the needle's number" : "another number";
    }
    return result;
}

} // namespace kvloupe
