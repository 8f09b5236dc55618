// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

// Random prompts, budgets and slow selections for tests that compare methods with transcriptions of their rules.
// Attention comes in few levels, whole multiples of 1/64, so that ties are everywhere and the references can calculate
// in integers.

#include "core/methods/method_registry.h"
#include "core/replay/replay.h"
#include "tests/core/methods/evidence_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace kvloupe::random_case {

inline constexpr int cases = 10'000; ///< per method

using Integers = std::vector<std::int64_t>;
using Sets = std::vector<std::vector<std::int32_t>>;

struct Case {
    int kvHeads = 1;
    int groupSize = 1;
    std::int64_t tokens = 1;
    int layer = 0;
    std::vector<std::vector<Integers>> rows; ///< [query head][row][key], in 1/64, oldest row first
    std::vector<Integers> sums; ///< [query head][key], in 1/64

    int queryHeads() const { return kvHeads * groupSize; }

    EvidenceTable evidence() const
    {
        EvidenceTable table(queryHeads(), kvHeads, tokens, layer, 8);
        table.view.lastRowCount = tokens;
        for (const auto& head : rows)
            for (const auto& row : head)
                for (const std::int64_t level : row)
                    table.lastRows.push_back(static_cast<float>(level) / 64.0F);
        for (const auto& head : sums)
            for (const std::int64_t level : head)
                table.columnSums.push_back(static_cast<float>(level) / 64.0F);
        table.bind();
        return table;
    }
};

class Dice {
public:
    explicit Dice(unsigned seed)
        : m_engine(seed)
    {
    }
    std::int64_t upTo(std::int64_t largest)
    {
        return static_cast<std::int64_t>(m_engine() % static_cast<std::uint64_t>(largest + 1));
    }
    std::int64_t between(std::int64_t least, std::int64_t largest) { return least + upTo(largest - least); }
    template <typename T> const T& oneOf(const std::vector<T>& values)
    {
        return values[static_cast<std::size_t>(upTo(static_cast<std::int64_t>(values.size()) - 1))];
    }

private:
    std::mt19937_64 m_engine;
};

inline Case randomCase(Dice& dice)
{
    Case made;
    made.kvHeads = static_cast<int>(dice.between(1, 3));
    made.groupSize = static_cast<int>(dice.between(1, 3));
    made.tokens = dice.upTo(9) == 0 ? dice.between(1, 3) : dice.between(1, 80);
    made.layer = static_cast<int>(dice.upTo(7));
    const std::int64_t levels = dice.oneOf<std::int64_t>({1, 2, 5, 64});
    for (int head = 0; head < made.queryHeads(); ++head) {
        auto& rows = made.rows.emplace_back();
        for (std::int64_t query = 0; query < made.tokens; ++query) {
            auto& row = rows.emplace_back(static_cast<std::size_t>(made.tokens), 0);
            for (std::int64_t key = 0; key <= query; ++key)
                row[static_cast<std::size_t>(key)] = dice.upTo(levels);
        }
        auto& sums = made.sums.emplace_back(static_cast<std::size_t>(made.tokens), 0);
        for (const auto& row : rows)
            for (std::size_t key = 0; key < sums.size(); ++key)
                sums[key] += row[key];
    }
    return made;
}

/// A budget and the number of tokens it stands for under a rounding, calculated without core.
struct BudgetCase {
    Budget budget = Budget::capacity(1);
    std::string description;
    std::function<std::int64_t(std::int64_t tokens, const std::string& rounding)> count;
};

inline std::int64_t halfEven(double value)
{
    const double floor = std::floor(value);
    const double rest = value - floor;
    const auto below = static_cast<std::int64_t>(floor);
    if (rest != 0.5)
        return rest > 0.5 ? below + 1 : below;
    return below % 2 == 0 ? below : below + 1;
}

inline BudgetCase randomBudget(Dice& dice)
{
    const std::int64_t kind = dice.upTo(2);
    if (kind == 0) {
        const std::int64_t capacity = dice.between(1, 90);
        return {Budget::capacity(capacity), "capacity " + std::to_string(capacity),
            [capacity](std::int64_t tokens, const std::string&) { return std::min(capacity, tokens); }};
    }
    const std::int64_t hundredths = dice.between(kind == 1 ? 1 : 0, kind == 1 ? 100 : 99);
    const std::string text = hundredths == 100 ? "1" : (hundredths < 10 ? "0.0" : "0.") + std::to_string(hundredths);
    const double value = std::stod(text);
    const bool removed = kind == 2;
    const auto count = [=](std::int64_t tokens, std::string rounding) {
        if (rounding == "auto")
            rounding = removed ? "trunc_double" : "exact_floor";
        std::int64_t kept = 0;
        if (rounding == "exact_floor")
            kept = tokens * (removed ? 100 - hundredths : hundredths) / 100;
        else if (rounding == "trunc_double")
            kept = static_cast<std::int64_t>(static_cast<double>(tokens) * (1.0 - (removed ? value : 1.0 - value)));
        else
            kept = halfEven(static_cast<double>(tokens) * (removed ? 1.0 - value : value));
        return std::min(tokens, std::max<std::int64_t>(1, kept));
    };
    return {
        removed ? Budget::compressionRatio(text) : Budget::keep(text), (removed ? "removed " : "kept ") + text, count};
}

/// Takes `recent` newest tokens first, then the largest scores, earlier tokens first among equal ones.
template <typename Number>
std::vector<std::int32_t> recentThenBest(
    const std::vector<Number>& scores, std::int64_t tokens, std::int64_t count, std::int64_t recent)
{
    std::vector<std::int32_t> order;
    for (std::int64_t i = tokens - 1; i >= std::max<std::int64_t>(0, tokens - recent); --i)
        order.push_back(static_cast<std::int32_t>(i));
    std::vector<std::int32_t> rest;
    for (std::int64_t i = 0; i < tokens - recent; ++i)
        rest.push_back(static_cast<std::int32_t>(i));
    std::stable_sort(rest.begin(), rest.end(), [&](std::int32_t a, std::int32_t b) {
        return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    order.insert(order.end(), rest.begin(), rest.end());
    order.resize(static_cast<std::size_t>(count));
    std::sort(order.begin(), order.end());
    return order;
}

/// Query heads of each set.
inline std::vector<std::vector<int>> members(const Case& given, const std::string& granularity)
{
    std::vector<std::vector<int>> sets;
    for (int head = 0; head < given.queryHeads(); ++head) {
        const int set = granularity == "layer" ? 0 : granularity == "kv_head" ? head / given.groupSize : head;
        if (static_cast<std::size_t>(set) == sets.size())
            sets.emplace_back();
        sets.back().push_back(head);
    }
    return sets;
}

inline Integers reduced(
    const std::vector<Integers>& heads, const std::vector<int>& chosen, const std::string& reduction)
{
    Integers result = heads[static_cast<std::size_t>(chosen.front())];
    for (std::size_t i = 1; i < chosen.size(); ++i)
        for (std::size_t key = 0; key < result.size(); ++key) {
            const std::int64_t value = heads[static_cast<std::size_t>(chosen[i])][key];
            result[key] = reduction == "max" ? std::max(result[key], value) : result[key] + value;
        }
    return result;
}

inline Integers pooledWindow(const Integers& scores, std::int64_t kernel, const std::string& pooling)
{
    Integers result;
    const auto size = static_cast<std::int64_t>(scores.size());
    for (std::int64_t i = 0; i < size; ++i) {
        std::int64_t value = pooling == "max" ? -1 : 0;
        for (std::int64_t j = i - kernel / 2; j <= i + kernel / 2; ++j)
            if (j >= 0 && j < size) {
                const std::int64_t there = scores[static_cast<std::size_t>(j)];
                value = pooling == "max" ? std::max(value, there) : value + there;
            }
        result.push_back(value);
    }
    return result;
}

inline Sets repeatedForLayer(Sets sets, const std::string& granularity, int kvHeads)
{
    if (granularity == "layer")
        sets.resize(static_cast<std::size_t>(kvHeads), sets.front());
    return sets;
}

/// What core keeps of one layer, and the properties that hold for every method that meets its budget.
template <typename AnyCase> Sets keptByCore(const std::string& spec, const AnyCase& given, const Budget& budget)
{
    const EvidenceTable table = given.evidence();
    const ScoredSample scored(parseMethod(spec), PromptLayout(given.tokens), std::span(&table.view, 1));
    const Sets sets = scored.choose(budget).kept.at(given.layer).sets;
    for (const auto& set : sets) {
        EXPECT_TRUE(std::adjacent_find(set.begin(), set.end(), std::greater_equal<>()) == set.end()) << spec;
        EXPECT_TRUE(set.empty() || (set.front() >= 0 && set.back() < given.tokens)) << spec;
    }
    EXPECT_EQ(scored.chooseLayer(budget, given.layer).sets, sets);
    return sets;
}

} // namespace kvloupe::random_case
