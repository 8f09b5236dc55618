// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/world_knowledge.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/item_draws.h"
#include "capture/tasks/world_facts.h"

#include <fmt/format.h>

#include <array>
#include <vector>

namespace kvloupe {

namespace {

constexpr std::size_t templateCount = 3;

/// A kind of fact, with its subjects and answers and the words it is asked in. {0} is the subject, {1} the answer.
struct Kind {
    std::array<std::string_view, templateCount> questions;
    std::string_view statement;
    std::vector<PairFact> facts; ///< what is asked for
    std::vector<PairFact> examples; ///< what the shots are drawn from; holds `facts`
};

Kind capitals(int level)
{
    Kind kind{{"What is the capital of {0}?", "Which city is the capital of {0}?", "Name the capital city of {0}."},
        "The capital of {0} is {1}.", {}, {}};
    for (const CountryFact& fact : countryFacts()) {
        if (level > 1 || fact.level == 1)
            kind.examples.push_back({fact.country, fact.capital});
        if (level == 2 || fact.level == (level == 1 ? 1 : 2))
            kind.facts.push_back({fact.country, fact.capital});
    }
    return kind;
}

Kind continents(int level)
{
    Kind kind{{"On which continent is {0}?", "Which continent does {0} belong to?", "Name the continent of {0}."},
        "{0} is in {1}.", {}, {}};
    for (const CountryFact& fact : countryFacts())
        if (level == 2 || fact.level == (level == 1 ? 1 : 2))
            kind.facts.push_back({fact.country, fact.continent});
    kind.examples = kind.facts;
    return kind;
}

Kind pairs(
    std::array<std::string_view, templateCount> questions, std::string_view statement, std::span<const PairFact> facts)
{
    return {questions, statement, {facts.begin(), facts.end()}, {facts.begin(), facts.end()}};
}

std::vector<Kind> makeKinds(int level)
{
    std::vector<Kind> kinds{capitals(level), continents(level)};
    if (level == 2) {
        kinds.push_back(pairs(
            {"What is the young of a {0} called?", "What do we call the young of a {0}?", "Name the young of a {0}."},
            "The young of a {0} is the {1}.", youngAnimalFacts()));
        kinds.push_back(pairs(
            {"What is the opposite of {0}?", "Which word means the opposite of {0}?", "Name the opposite of {0}."},
            "The opposite of {0} is {1}.", oppositeFacts()));
    }
    if (level >= 2) {
        kinds.push_back(pairs({"What is the chemical symbol of {0}?", "Which symbol stands for {0} in chemistry?",
                                  "Name the chemical symbol of {0}."},
            "The chemical symbol of {0} is {1}.", elementFacts()));
        kinds.push_back(
            pairs({"What is the currency of {0}?", "Which currency do people use in {0}?", "Name the currency of {0}."},
                "The currency of {0} is the {1}.", currencyFacts()));
    }
    return kinds;
}

const std::vector<Kind>& kindsOf(int level)
{
    static const std::array<std::vector<Kind>, 3> kinds{makeKinds(1), makeKinds(2), makeKinds(3)};
    return kinds[static_cast<std::size_t>(level - 1)];
}

std::string filled(std::string_view form, const PairFact& fact)
{
    std::string text = fmt::format(fmt::runtime(form), fact.subject, fact.answer);
    if (text.front() >= 'a' && text.front() <= 'z')
        text.front() = static_cast<char>(text.front() - 'a' + 'A');
    for (const std::string_view vowel : {" of a e", " of a o"})
        if (const std::size_t at = text.find(vowel); at != std::string::npos)
            text.insert(at + std::string_view(" of a").size(), 1, 'n');
    return text;
}

Exchange exchange(const Kind& kind, std::size_t form, const PairFact& fact)
{
    Exchange result;
    result.question = filled(kind.questions[form], fact);
    result.answer = fact.answer;
    result.shortTrace = filled(kind.statement, fact);
    result.thinking = {
        fmt::format("The question: {}", result.question),
        fmt::format("I remember: {}", result.shortTrace),
        fmt::format("So the answer is {}.", fact.answer),
    };
    return result;
}

} // namespace

WorldKnowledgeTask::WorldKnowledgeTask()
    : GeneratedTask({.name = "wk",
        .category = "wk",
        .title = "World knowledge",
        .defaultShots = 5,
        .maximumShots = 20,
        .levels = 3,
        .defaultLevel = 1,
        .answersAtOnce = true})
{
}

std::uint64_t WorldKnowledgeTask::poolSize(int level) const
{
    std::uint64_t size = 0;
    for (const Kind& kind : kindsOf(level))
        size += kind.facts.size() * templateCount;
    return size;
}

TaskItem WorldKnowledgeTask::makeItem(const TaskOptions& options, const Place& place) const
{
    std::uint64_t question = place.question;
    const auto& kinds = kindsOf(options.level);
    auto kind = kinds.begin();
    while (question >= kind->facts.size() * templateCount) {
        question -= kind->facts.size() * templateCount;
        ++kind;
    }
    const std::size_t form = question % templateCount;
    const PairFact& asked = kind->facts[question / templateCount];

    ItemDraws draws(options.seed, "wk shots", place.index);
    std::vector<Exchange> shots;
    for (const std::size_t i : draws.distinct(kind->examples.size(), kind->examples.size())) {
        if (static_cast<int>(shots.size()) == *options.shots)
            break;
        if (kind->examples[i].subject != asked.subject)
            shots.push_back(exchange(*kind, form, kind->examples[i]));
    }
    TaskItem item = fewShotItem("Answer each question with a word or a name.", shots, exchange(*kind, form, asked));
    item.maxNewTokens = 12;
    item.maxThinkingTokens = 160;
    item.stops = {"\n\n", "\nQuestion:"};
    return item;
}

Judgement WorldKnowledgeTask::judgeAnswer(
    const TaskItem& item, std::string_view output, const JudgeOptions& /*options*/) const
{
    const std::string_view line = firstLine(output);
    Judgement result{.score = 0.0, .correct = false, .extracted = std::string(line), .reason = "another answer"};
    const std::string_view gold = item.references.front();
    // Symbols of elements differ from words by their capitals; everything else is the same in any case.
    const bool isSymbol = gold.size() <= 2;
    const bool found = isSymbol ? findWords(line, gold) != std::string_view::npos
                                : findWords(loweredText(line), loweredText(gold)) != std::string_view::npos;
    if (found) {
        result.score = 1.0;
        result.extracted = gold;
        result.reason = "names the answer";
    } else if (line.empty()) {
        result.reason = "no answer";
    }
    return result;
}

} // namespace kvloupe
