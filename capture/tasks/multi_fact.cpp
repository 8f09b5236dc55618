// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/multi_fact.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/item_draws.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kvloupe {

namespace {

constexpr auto people = std::to_array<std::string_view>({"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace",
    "Henry", "Ida", "Jack", "Kate", "Leo", "Maria", "Noah", "Olga", "Paul", "Rosa", "Sam", "Tina", "Victor"});
constexpr auto cities = std::to_array<std::string_view>(
    {"Paris", "London", "Berlin", "Rome", "Madrid", "Vienna", "Oslo", "Dublin", "Prague", "Lisbon", "Athens", "Cairo",
        "Tokyo", "Boston", "Chicago", "Toronto", "Sydney", "Moscow", "Delhi", "Lima"});
constexpr auto jobs = std::to_array<std::string_view>(
    {"doctor", "teacher", "farmer", "baker", "painter", "lawyer", "nurse", "pilot", "singer", "writer", "cook",
        "driver", "judge", "sailor", "tailor", "dentist", "barber", "butcher", "librarian", "plumber"});
constexpr auto pets = std::to_array<std::string_view>({"dog", "cat", "horse", "parrot", "rabbit", "turtle", "hamster",
    "snake", "goat", "duck", "pony", "canary", "lizard", "donkey", "goldfish", "mouse", "frog", "pig", "sheep", "hen"});

constexpr std::size_t templateCount = 3;
/// What is asked of a person ({0}); the answer is a city, a pet or a job. At the levels above 1 the person is named by
/// another fact.
constexpr std::array<std::string_view, templateCount> questions{
    "In which city does {0} live?", "Which animal does {0} own?", "What is the job of {0}?"};
constexpr std::uint64_t combinations = people.size() * cities.size();

/// One fact of everything about as many people as are needed. Row r of each list belongs to the same person.
struct World {
    std::vector<std::string_view> names;
    std::vector<std::string_view> homes;
    std::vector<std::string_view> animals;
    std::vector<std::string_view> works;

    /// Fact `kind` of person `row`: 0 home, 1 animal, 2 job, 3 friend (the next person).
    std::string sentence(std::size_t row, int kind) const
    {
        switch (kind) {
        case 0:
            return fmt::format("{} lives in {}.", names[row], homes[row]);
        case 1:
            return fmt::format("{} owns a {}.", names[row], animals[row]);
        case 2:
            return fmt::format("{} works as a {}.", names[row], works[row]);
        default:
            return fmt::format("The best friend of {} is {}.", names[row], names[(row + 1) % names.size()]);
        }
    }
    std::string_view value(std::size_t row, int kind) const
    {
        return kind == 0 ? homes[row] : kind == 1 ? animals[row] : works[row];
    }
};

template <typename Values>
std::vector<std::string_view> drawn(const Values& values, std::string_view first, ItemDraws& draws)
{
    std::vector<std::string_view> result(values.begin(), values.end());
    std::erase(result, first);
    draws.shuffle(result);
    result.insert(result.begin(), first);
    return result;
}

/// Facts that the question needs.
int hopsOf(int level)
{
    return std::max(1, level - 1);
}

/// The question, and the facts that it needs in the order of reasoning. Row 0 is the person asked about.
struct Puzzle {
    std::string question;
    std::string_view answer;
    std::string work; ///< the facts that are needed, as they stand in the text
    std::vector<std::pair<std::size_t, int>> needed;
};

Puzzle puzzleOf(const World& world, int level, int kind)
{
    Puzzle puzzle;
    puzzle.answer = world.value(0, kind);
    // The fact that names the person is of another kind than the one that is asked for.
    const int naming = kind == 2 ? 1 : 2;
    const auto named = [&](std::size_t row) {
        return naming == 2 ? fmt::format("the {}", world.works[row])
                           : fmt::format("the person who owns a {}", world.animals[row]);
    };
    std::string who(world.names[0]);
    if (hopsOf(level) == 2) {
        who = named(0);
        puzzle.needed.emplace_back(0, naming);
    } else if (hopsOf(level) == 3) {
        const std::size_t last = world.names.size() - 1;
        who = fmt::format("the best friend of {}", named(last));
        puzzle.needed.emplace_back(last, naming);
        puzzle.needed.emplace_back(last, 3);
    }
    puzzle.needed.emplace_back(0, kind);
    puzzle.question = fmt::format(fmt::runtime(questions[static_cast<std::size_t>(kind)]), who);
    for (const auto& [row, fact] : puzzle.needed)
        puzzle.work += fmt::format("{}{}", puzzle.work.empty() ? "" : " ", world.sentence(row, fact));
    return puzzle;
}

} // namespace

MultiFactTask::MultiFactTask()
    : GeneratedTask({.name = "qa",
        .category = "qa",
        .title = "Multi-fact questions, sentences as shots",
        .defaultShots = 10,
        .maximumShots = 60,
        .levels = 4,
        .defaultLevel = 1})
{
}

std::uint64_t MultiFactTask::poolSize(int /*level*/) const
{
    return templateCount * combinations;
}

namespace {

constexpr int workedExamples = 3;
constexpr auto examplePeople = std::to_array<std::string_view>({"Tom", "Eva", "Max", "Lea", "Kim", "Ron"});
constexpr auto exampleCities = std::to_array<std::string_view>({"Bern", "Nice", "Cork", "Split", "Graz", "Turin"});
constexpr auto examplePets = std::to_array<std::string_view>({"cow", "camel", "crab", "swan", "bee", "fox"});
constexpr auto exampleJobs = std::to_array<std::string_view>({"clown", "tutor", "miner", "poet", "monk", "guard"});

/// The task explained by small worked examples about people who never occur in the facts. They belong to the
/// instruction: the sentences of the facts are the shots.
std::string instruction(int level, int kind, ItemDraws& draws)
{
    std::string text = "Answer the question from the facts.";
    for (int i = 0; i < workedExamples; ++i) {
        World world;
        world.names = drawn(examplePeople, draws.pick(examplePeople), draws);
        world.homes = drawn(exampleCities, draws.pick(exampleCities), draws);
        world.animals = drawn(examplePets, draws.pick(examplePets), draws);
        world.works = drawn(exampleJobs, draws.pick(exampleJobs), draws);
        const Puzzle puzzle = puzzleOf(world, level, kind);
        auto facts = puzzle.needed;
        const int other = kind == 2 ? 1 : 2;
        facts.emplace_back(1, level > 1 ? kind : other);
        facts.emplace_back(2, other);
        draws.shuffle(facts);
        text += "\n\nFacts:";
        for (const auto& [row, fact] : facts)
            text += fmt::format(" {}", world.sentence(row, fact));
        text += fmt::format("\n\nQuestion: {}\nAnswer: {}", puzzle.question, puzzle.work);
    }
    return text;
}

} // namespace

TaskItem MultiFactTask::makeItem(const TaskOptions& options, const Place& place) const
{
    const std::uint64_t question = place.question;
    const int kind = static_cast<int>(question % templateCount);
    const std::uint64_t pair = question / templateCount;
    ItemDraws draws(options.seed, "qa", place.index);
    World world;
    world.names = drawn(people, people[pair % people.size()], draws);
    const std::size_t other = pair / people.size();
    world.homes = drawn(cities, kind == 0 ? cities[other] : draws.pick(cities), draws);
    world.animals = drawn(pets, kind == 1 ? pets[other] : draws.pick(pets), draws);
    world.works = drawn(jobs, kind == 2 ? jobs[other] : draws.pick(jobs), draws);
    const Puzzle puzzle = puzzleOf(world, options.level, kind);

    // Facts in a random order, those that are needed among them. Friends only where the question is about friends.
    std::vector<std::pair<std::size_t, int>> facts = puzzle.needed;
    const auto wanted = std::max(facts.size(), static_cast<std::size_t>(*options.shots));
    std::vector<std::pair<std::size_t, int>> rest;
    for (std::size_t row = 0; row < world.names.size(); ++row)
        for (int fact = 0; fact < (hopsOf(options.level) == 3 ? 4 : 3); ++fact)
            if (std::ranges::find(facts, std::pair(row, fact)) == facts.end() && (options.level > 1 || fact != kind))
                rest.emplace_back(row, fact);
    draws.shuffle(rest);
    // One rival at least where there are to be any.
    if (const auto rival = std::ranges::find(rest, kind, &std::pair<std::size_t, int>::second); rival != rest.end())
        std::iter_swap(rest.begin(), rival);
    rest.resize(std::min(rest.size(), wanted - facts.size()));
    facts.insert(facts.end(), rest.begin(), rest.end());
    draws.shuffle(facts);

    PromptBuilder prompt;
    prompt.instruction(instruction(options.level, kind, draws));
    prompt.plain("Facts: ");
    const std::size_t context = prompt.open(SpanKind::Context);
    for (std::size_t i = 0; i < facts.size(); ++i) {
        if (i > 0)
            prompt.plain(" ");
        const auto [row, fact] = facts[i];
        const int shot = static_cast<int>(i);
        const std::size_t whole = prompt.open(SpanKind::Shot, shot);
        if (std::ranges::find(puzzle.needed, facts[i]) != puzzle.needed.end())
            prompt.add(SpanKind::Evidence, world.sentence(row, fact), shot);
        else
            prompt.plain(world.sentence(row, fact));
        prompt.close(whole);
    }
    prompt.close(context);
    prompt.plain("\n\n");
    prompt.question(fmt::format("Question: {}\nAnswer:", puzzle.question));

    TaskItem item;
    item.text = prompt.takeText();
    item.spans = prompt.takeSpans();
    item.answer = fmt::format(" {}", puzzle.work);
    item.references = {std::string(puzzle.answer)};
    std::vector<std::string> thinking{fmt::format("The question: {}", puzzle.question)};
    for (const auto& [row, fact] : puzzle.needed)
        thinking.push_back(fmt::format("The facts say: {}", world.sentence(row, fact)));
    thinking.push_back(fmt::format("So the answer is {}.", puzzle.answer));
    item.shortTrace = item.answer;
    item.thinkingTrace = thinkingTrace(thinking, puzzle.work);
    item.facts.choices.assign(1, std::string(puzzle.answer));
    // What else the facts offer as an answer of this kind, so that naming one of them first is an answer.
    for (const auto& [row, fact] : facts)
        if (fact == kind && world.value(row, kind) != puzzle.answer)
            item.facts.choices.emplace_back(world.value(row, kind));
    item.maxNewTokens = 16 + 12 * options.level;
    item.maxThinkingTokens = 200;
    item.stops = {"\n\n", "\nQuestion:"};
    return item;
}

Judgement MultiFactTask::judgeAnswer(
    const TaskItem& item, std::string_view output, const JudgeOptions& /*options*/) const
{
    const std::string_view line = firstLine(output);
    Judgement result{.score = 0.0, .correct = false, .extracted = std::string(line), .reason = "none of the facts"};
    if (const auto named = firstNamed(line, item.facts.choices)) {
        result.extracted = item.facts.choices[*named];
        result.score = *named == 0 ? 1.0 : 0.0;
        result.reason = result.score > 0.0 ? "the right fact" : "another fact";
    }
    return result;
}

} // namespace kvloupe
