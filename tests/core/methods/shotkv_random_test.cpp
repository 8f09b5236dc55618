// SPDX-License-Identifier: GPL-3.0-or-later

// ShotKV against slow transcriptions of its rules on random prompts, shots and budgets.

#include "core/methods/random.h"
#include "core/methods/shotkv.h"
#include "tests/core/methods/random_case.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <array>
#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;

/// A prompt with examples, of which the cache of a layer holds the positions from `first` on.
struct ShotCase {
    Case attention;
    std::int64_t first = 0;
    std::vector<TokenRange> shots;

    std::int64_t promptTokens() const { return first + attention.tokens; }
    PromptLayout layout() const
    {
        std::vector<Span> spans;
        for (const TokenRange& shot : shots)
            spans.push_back({shot.begin, shot.end, SpanKind::Shot, static_cast<std::int32_t>(spans.size()), ""});
        return {promptTokens(), promptTokens() + 5, spans};
    }
};

ShotCase randomShotCase(Dice& dice)
{
    ShotCase made;
    made.attention = randomCase(dice);
    made.first = dice.upTo(4) == 0 ? dice.between(1, 12) : 0;
    const bool overlaps = dice.upTo(4) == 0;
    std::int64_t position = dice.upTo(4);
    const std::int64_t longest = dice.between(1, 12);
    while (made.shots.size() < 8 && (made.shots.empty() || position < made.promptTokens())) {
        const std::int64_t begin = std::min(position, made.promptTokens() - 1);
        const std::int64_t end = std::min(begin + dice.between(1, longest), made.promptTokens() + 3);
        made.shots.push_back({begin, end});
        position = overlaps ? dice.upTo(made.promptTokens() - 1) : end + (dice.upTo(2) == 0 ? dice.upTo(3) : 0);
    }
    return made;
}

/// Positions of each unit, from docs/methods.md: examples by number, a token belongs to the first that holds it.
std::vector<std::vector<std::int64_t>> unitsOf(const ShotCase& given, bool runs)
{
    std::vector<std::vector<std::int64_t>> units;
    std::vector<bool> used(static_cast<std::size_t>(given.promptTokens()), false);
    for (const TokenRange& shot : given.shots) {
        std::vector<std::int64_t> unit;
        for (std::int64_t token = shot.begin; token < std::min(shot.end, given.promptTokens()); ++token)
            if (!used[static_cast<std::size_t>(token)]) {
                used[static_cast<std::size_t>(token)] = true;
                unit.push_back(token);
            }
        units.push_back(unit);
    }
    std::vector<std::int64_t> run;
    for (std::int64_t token = 0; token <= given.promptTokens() && runs; ++token) {
        if (token < given.promptTokens() && !used[static_cast<std::size_t>(token)])
            run.push_back(token);
        else if (!run.empty())
            units.push_back(std::exchange(run, {}));
    }
    return units;
}

struct Rated {
    std::vector<std::int32_t> cached; ///< indices of the cache
    std::int64_t begin = 0; ///< first position, whether or not it is in the cache
    double score = 0.0;
};

/// The subset of the largest sum by trying all of them, sums added up from the last unit to the first.
std::vector<bool> bestSubset(const std::vector<Rated>& units, std::int64_t room)
{
    std::vector<bool> best(units.size(), false);
    double bestSum = 0.0;
    for (std::uint32_t subset = 0; subset < 1U << units.size(); ++subset) {
        std::vector<bool> taken;
        std::int64_t size = 0;
        double sum = 0.0;
        for (std::size_t unit = 0; unit < units.size(); ++unit)
            taken.push_back((subset >> unit & 1U) != 0);
        for (std::size_t unit = units.size(); unit-- > 0;)
            if (taken[unit]) {
                size += std::ssize(units[unit].cached);
                sum = units[unit].score + sum;
            }
        if (size <= room && (sum > bestSum || (sum == bestSum && taken > best))) {
            best = taken;
            bestSum = sum;
        }
    }
    return best;
}

/// What one layer keeps, from `scores` of the units.
std::vector<std::int32_t> expectedSet(const ShotCase& given, std::vector<Rated> units, const std::string& nonshot,
    bool counts, const std::string& fit, std::int64_t budget)
{
    std::erase_if(units, [](const Rated& unit) { return unit.cached.empty(); });
    std::vector<bool> keep(static_cast<std::size_t>(given.attention.tokens), nonshot == "protect");
    std::int64_t outside = given.attention.tokens;
    for (const Rated& unit : units) {
        outside -= std::ssize(unit.cached);
        for (const std::int32_t token : unit.cached)
            keep[static_cast<std::size_t>(token)] = false;
    }
    std::int64_t room = nonshot == "protect" && counts ? std::max<std::int64_t>(0, budget - outside) : budget;
    std::stable_sort(units.begin(), units.end(), [](const Rated& a, const Rated& b) { return a.begin < b.begin; });
    const auto take = [&](const Rated& unit) {
        room -= std::ssize(unit.cached);
        for (const std::int32_t token : unit.cached)
            keep[static_cast<std::size_t>(token)] = true;
    };
    if (fit == "knapsack") {
        const std::vector<bool> best = bestSubset(units, room);
        for (std::size_t unit = 0; unit < units.size(); ++unit)
            if (best[unit])
                take(units[unit]);
    } else {
        std::stable_sort(units.begin(), units.end(), [](const Rated& a, const Rated& b) { return a.score > b.score; });
        for (const Rated& unit : units) {
            if (std::ssize(unit.cached) <= room)
                take(unit);
            else if (fit == "stop")
                break;
        }
    }
    std::vector<std::int32_t> kept;
    for (std::size_t token = 0; token < keep.size(); ++token)
        if (keep[token])
            kept.push_back(static_cast<std::int32_t>(token + static_cast<std::size_t>(given.first)));
    return kept;
}

/// Attention each cached token received, over all heads, in 1/64.
std::vector<double> received(const ShotCase& given, const std::string& obs, std::int64_t window)
{
    std::int64_t last = 0;
    for (const TokenRange& shot : given.shots)
        last = std::max(last, shot.end);
    const std::int64_t suffix = given.promptTokens() - last;
    std::int64_t rows = obs == "suffix" && suffix >= 8 ? suffix : window;
    if (obs.starts_with("all") || rows > given.attention.tokens)
        rows = given.attention.tokens;
    std::vector<double> sums(static_cast<std::size_t>(given.attention.tokens), 0.0);
    for (const auto& head : given.attention.rows)
        for (std::int64_t row = given.attention.tokens - rows; row < given.attention.tokens; ++row)
            for (std::size_t key = 0; key < sums.size(); ++key)
                sums[key] += static_cast<double>(head[static_cast<std::size_t>(row)][key]) / 64.0;
    for (std::size_t key = 0; key < sums.size() && obs == "all_mean"; ++key)
        sums[key] = static_cast<double>(static_cast<float>(sums[key] / static_cast<double>(sums.size() - key)));
    return sums;
}

std::vector<Rated> ratedUnits(const ShotCase& given, bool runs, const std::vector<double>& scores)
{
    std::vector<Rated> result;
    for (const auto& unit : unitsOf(given, runs)) {
        if (unit.empty())
            continue;
        Rated rated;
        rated.begin = unit.front();
        for (const std::int64_t token : unit)
            if (token >= given.first) {
                rated.cached.push_back(static_cast<std::int32_t>(token - given.first));
                rated.score += scores[static_cast<std::size_t>(token - given.first)];
            }
        rated.score /= static_cast<double>(rated.cached.size());
        result.push_back(rated);
    }
    return result;
}

struct Choice {
    std::string nonshot;
    bool counts = true;
    std::string fit;
    std::string rounding;

    static Choice random(Dice& dice)
    {
        Choice choice;
        choice.nonshot = dice.oneOf<std::string>({"protect", "drop", "rank_as_shots"});
        choice.counts = dice.upTo(2) > 0;
        choice.fit = dice.oneOf<std::string>({"skip", "stop", "knapsack"});
        choice.rounding = dice.oneOf<std::string>({"auto", "exact_floor", "trunc_double", "round_half_even"});
        return choice;
    }
    std::string text() const
    {
        return "nonshot=" + nonshot + ",nonshot_counts=" + (counts ? "true" : "false") + ",fit=" + fit
            + ",budget_rounding=" + rounding;
    }
};

Sets keptSets(const std::string& spec, const ShotCase& given, const Budget& budget)
{
    EvidenceTable table = given.attention.evidence();
    table.view.firstPosition = given.first;
    const ScoredSample scored(parseMethod(spec), given.layout(), std::span(&table.view, 1));
    return scored.choose(budget).kept.at(given.attention.layer).sets;
}

TEST(ShotKvRandomCases, KeepsTheBestWholeShotsOfALayer)
{
    Dice dice(11);
    for (int i = 0; i < cases; ++i) {
        const ShotCase given = randomShotCase(dice);
        const BudgetCase budget = randomBudget(dice);
        const Choice choice = Choice::random(dice);
        const std::string obs = dice.oneOf<std::string>({"suffix", "window", "all_sum", "all_mean"});
        const std::int64_t window = dice.oneOf<std::int64_t>({1, 3, 32});
        const std::string spec = "shotkv:obs=" + obs + ",obs_window=" + std::to_string(window) + "," + choice.text();
        const auto units = ratedUnits(
            given, choice.nonshot == "rank_as_shots", received(given, obs, obs == "suffix" ? window : window));
        const auto set = expectedSet(given, units, choice.nonshot, choice.counts, choice.fit,
            budget.count(given.attention.tokens, choice.rounding));
        ASSERT_EQ(keptSets(spec, given, budget.budget), Sets(static_cast<std::size_t>(given.attention.kvHeads), set))
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.attention.tokens;
    }
}

TEST(ShotKvRandomCases, KeepsTheBestWholeShotsOfAModel)
{
    Dice dice(12);
    for (int i = 0; i < cases / 2; ++i) {
        const ShotCase first = randomShotCase(dice);
        std::vector<ShotCase> layers{first};
        for (int layer = 1; layer < 3; ++layer) {
            layers.push_back(first);
            for (auto& head : layers.back().attention.rows)
                for (std::size_t query = 0; query < head.size(); ++query)
                    for (std::size_t key = 0; key <= query; ++key)
                        head[query][key] = dice.upTo(4);
        }
        std::vector<EvidenceTable> tables;
        std::vector<LayerEvidence> views;
        for (std::size_t layer = 0; layer < layers.size(); ++layer) {
            tables.push_back(layers[layer].attention.evidence());
            views.push_back(tables.back().view);
            views.back().layer = static_cast<int>(layer);
            views.back().firstPosition = first.first;
        }
        const BudgetCase budget = randomBudget(dice);
        const Choice choice = Choice::random(dice);
        const std::string spec = "shotkv@v1:obs_window=5," + choice.text();
        std::vector<double> sums(static_cast<std::size_t>(first.attention.tokens), 0.0);
        for (const ShotCase& layer : layers) {
            const std::vector<double> own = received(layer, "suffix", 5);
            std::transform(sums.begin(), sums.end(), own.begin(), sums.begin(), std::plus<>());
        }
        const auto set = expectedSet(first, ratedUnits(first, choice.nonshot == "rank_as_shots", sums), choice.nonshot,
            choice.counts, choice.fit, budget.count(first.attention.tokens, choice.rounding));
        const ScoredSample scored(parseMethod(spec), first.layout(), views);
        for (const auto& [layer, keep] : scored.choose(budget.budget).kept)
            ASSERT_EQ(keep.sets, Sets(static_cast<std::size_t>(first.attention.kvHeads), set))
                << "case " << i << ", layer " << layer << ": " << spec << ", " << budget.description;
    }
}

TEST(ShotKvRandomCases, TheControlKeepsTheShotsOfTheLargestHashes)
{
    Dice dice(13);
    for (int i = 0; i < cases; ++i) {
        const ShotCase given = randomShotCase(dice);
        const BudgetCase budget = randomBudget(dice);
        const Choice choice = Choice::random(dice);
        const auto seed = static_cast<std::uint64_t>(dice.upTo(1'000'000));
        const bool shared = dice.upTo(1) == 0;
        const std::string spec = "random_shot:seed=" + std::to_string(seed)
            + ",shared_layers=" + (shared ? "true" : "false") + "," + choice.text();
        std::vector<Rated> units = ratedUnits(given, choice.nonshot == "rank_as_shots",
            std::vector<double>(static_cast<std::size_t>(given.attention.tokens), 0.0));
        for (Rated& unit : units)
            unit.score
                = static_cast<double>(randomScore(seed, static_cast<std::uint64_t>(shared ? 0 : given.attention.layer),
                    0, static_cast<std::uint64_t>(unit.begin)));
        const auto set = expectedSet(given, units, choice.nonshot, choice.counts, choice.fit,
            budget.count(given.attention.tokens, choice.rounding));
        ASSERT_EQ(keptSets(spec, given, budget.budget), Sets(static_cast<std::size_t>(given.attention.kvHeads), set))
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.attention.tokens;
    }
}

TEST(ShotKvRandomCases, OneAndManyThreadsKeepTheSame)
{
    Dice dice(16);
    const ShotCase first = randomShotCase(dice);
    std::vector<EvidenceTable> tables;
    std::vector<LayerEvidence> views;
    for (int layer = 0; layer < 12; ++layer) {
        ShotCase next = first;
        for (auto& head : next.attention.rows)
            for (std::size_t query = 0; query < head.size(); ++query)
                for (std::size_t key = 0; key <= query; ++key)
                    head[query][key] = dice.upTo(64);
        tables.push_back(next.attention.evidence());
        views.push_back(tables.back().view);
        views.back().layer = layer;
        views.back().firstPosition = first.first;
    }
    for (const char* spec : {"shotkv", "shotkv@v1", "shotkv:fit=knapsack", "random_shot:shared_layers=false"})
        for (const char* keep : {"0.1", "0.5", "0.9"}) {
            const auto run = [&](std::size_t threads) {
                const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
                return ScoredSample(parseMethod(spec), first.layout(), views).choose(Budget::keep(keep)).kept;
            };
            EXPECT_EQ(run(1), run(8)) << spec << " " << keep;
        }
}

TEST(ShotKvRandomCases, ALargerBudgetNeverStopsEarlier)
{
    // With fit=stop the order is fixed, so a larger budget holds whatever a smaller one held.
    Dice dice(14);
    for (int i = 0; i < 1000; ++i) {
        const ShotCase given = randomShotCase(dice);
        std::vector<std::int32_t> before;
        for (std::int64_t capacity = 1; capacity <= given.attention.tokens; ++capacity) {
            const auto now = keptSets("shotkv:fit=stop", given, Budget::capacity(capacity)).front();
            ASSERT_TRUE(std::ranges::includes(now, before)) << "case " << i << ", capacity " << capacity;
            before = now;
        }
    }
}

TEST(ShotKvRandomCases, KeepsTheBestGeneratedTokens)
{
    Dice dice(15);
    for (int i = 0; i < cases; ++i) {
        const bool cumulative = dice.upTo(1) == 0;
        const std::int64_t recent = dice.oneOf<std::int64_t>({0, 1, 2, 5});
        const std::int64_t warmup = dice.oneOf<std::int64_t>({0, 0, 4});
        const std::int64_t interval = dice.oneOf<std::int64_t>({1, 1, 3});
        GeneratedTokens::Parameters parameters;
        parameters.cumulative = cumulative;
        parameters.recent = recent;
        parameters.warmup = warmup;
        parameters.interval = interval;
        const auto policy = GeneratedTokens(parameters).clone();

        const std::int64_t prompt = dice.between(1, 6);
        const std::int64_t hundredths = dice.between(1, 100);
        const Budget share = Budget::keep(static_cast<double>(hundredths) / 100.0);
        const bool fromCapacity = dice.upTo(3) == 0;
        const std::int64_t capacity = dice.between(1, prompt);
        std::vector<std::int32_t> alive(static_cast<std::size_t>(dice.between(0, prompt)));
        std::iota(alive.begin(), alive.end(), 0);
        const auto frozen = alive;
        DecodeStart start;
        start.promptTokens = prompt;
        start.alive = alive;
        start.capacity = capacity;
        start.decodeBudget = fromCapacity ? nullptr : &share;
        policy->begin(start);

        std::map<std::int32_t, std::int64_t> scores;
        std::vector<std::int32_t> expected;
        for (std::int64_t n = 1; n <= 14; ++n) {
            const auto position = static_cast<std::int32_t>(prompt + n - 1);
            alive.push_back(position);
            expected.push_back(position);
            std::vector<float> attention;
            for (const std::int32_t token : alive) {
                const std::int64_t level = dice.upTo(3);
                attention.push_back(static_cast<float>(level) / 64.0F);
                scores[token] = (cumulative ? scores[token] : 0) + level;
            }
            DecodeStep step;
            step.position = position;
            step.alive = alive;
            step.attention = attention;
            const DecodeVerdict verdict = policy->step(step);
            std::vector<std::int32_t> rest;
            std::ranges::set_difference(alive, verdict.evicted, std::back_inserter(rest));
            alive = rest;

            const std::int64_t k
                = std::max<std::int64_t>(1, fromCapacity ? n * capacity / prompt : n * hundredths / 100);
            if (n > warmup && n % interval == 0 && std::ssize(expected) > k) {
                // Newest first among the recent ones, then by score, then by position.
                const std::int64_t safe = std::min<std::int64_t>(recent, std::ssize(expected));
                std::stable_sort(expected.begin(), expected.end() - safe,
                    [&](std::int32_t a, std::int32_t b) { return scores[a] > scores[b]; });
                std::ranges::reverse(expected.end() - safe, expected.end());
                std::ranges::rotate(expected, expected.end() - safe);
                expected.resize(static_cast<std::size_t>(k));
                std::ranges::sort(expected);
            }
            std::vector<std::int32_t> all = frozen;
            all.insert(all.end(), expected.begin(), expected.end());
            ASSERT_EQ(alive, all) << "case " << i << ", token " << n;
        }
    }
}

} // namespace
} // namespace kvloupe
