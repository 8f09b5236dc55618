// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/selection_block.h"
#include "capture/cuda/vector_norms_block.h"
#include "core/recording/vector_statistics.h"
#include "host_warp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

namespace kvloupe::cuda {
namespace {

std::size_t at(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

struct Nothing { };

/// The rule of docs/methods.md by a stable sort.
std::vector<int> bestByRule(std::vector<float> scores, int count)
{
    for (float& score : scores)
        score = std::isnan(score) ? -std::numeric_limits<float>::infinity() : score;
    std::vector<int> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, [&](int a, int b) { return scores[at(a)] > scores[at(b)]; });
    order.resize(at(count));
    std::ranges::sort(order);
    return order;
}

std::vector<std::vector<int>> select(
    const std::vector<float>& scores, int tokens, const std::vector<int>& counts, bool backwards)
{
    std::vector<std::int64_t> offsets;
    std::int64_t total = 0;
    for (const int count : counts) {
        offsets.push_back(total);
        total += count;
    }
    std::vector<int> kept(at(total), -1);
    const SelectionInput input{scores.data(), tokens, counts.data(), offsets.data(), kept.data()};
    runGrid<SelectionShared>({static_cast<int>(counts.size()), 1, 1}, SelectionShared::warps, backwards,
        [&](HostWarp& warp, SelectionShared& shared) { selectTop(warp, input, shared); });
    std::vector<std::vector<int>> result;
    for (std::size_t set = 0; set < counts.size(); ++set)
        result.emplace_back(kept.begin() + offsets[set], kept.begin() + offsets[set] + counts[set]);
    return result;
}

TEST(Selection, TiesGoToTheSmallerIndexAndOddNumbersHaveTheirPlace)
{
    constexpr float infinity = std::numeric_limits<float>::infinity();
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> scores{
        0.0F, -0.0F, nan, -infinity, infinity, -1.0F, 1e-45F, -1e-45F, nan, -nan, 0.0F, 2.0F};
    for (int count = 0; count <= std::ssize(scores); ++count)
        EXPECT_EQ(select(scores, static_cast<int>(scores.size()), {count}, false).front(), bestByRule(scores, count))
            << count;
}

TEST(Selection, IsTheRuleOnScoresFullOfTies)
{
    std::mt19937_64 random(1);
    for (int trial = 0; trial < 60; ++trial) {
        const int tokens = std::uniform_int_distribution(1, 700)(random);
        const int sets = 3;
        const int levels = trial % 3 == 0 ? 2 : trial % 3 == 1 ? 40 : 1 << 20;
        std::vector<float> scores(at(sets * tokens));
        for (float& score : scores)
            score = static_cast<float>(std::uniform_int_distribution(-levels, levels)(random)) * 0.0137F;
        std::vector<int> counts;
        for (int set = 0; set < sets; ++set)
            counts.push_back(std::uniform_int_distribution(0, tokens)(random));
        const auto found = select(scores, tokens, counts, trial % 2 == 1);
        for (int set = 0; set < sets; ++set) {
            const std::vector<float> own(scores.begin() + set * tokens, scores.begin() + (set + 1) * tokens);
            EXPECT_EQ(found[at(set)], bestByRule(own, counts[at(set)])) << "trial " << trial;
        }
    }
}

TEST(Gather, MovesKeptVectorsTogether)
{
    constexpr int dim = 80;
    constexpr int tokens = 50;
    constexpr int heads = 3;
    std::vector<Bfloat16> vectors(at(tokens * heads * dim)); // [tokens, heads, dim]
    for (std::size_t i = 0; i < vectors.size(); ++i)
        vectors[i].bits = static_cast<std::uint16_t>(i);
    const std::vector<int> counts{4, 0, 7};
    const std::vector<std::int64_t> offsets{0, 4, 4};
    const std::vector<int> kept{0, 3, 10, 49, 1, 2, 3, 30, 31, 40, 48};
    std::vector<Bfloat16> out(kept.size() * dim, Bfloat16{0xffff});
    const GatherInput input{reinterpret_cast<const unsigned char*>(vectors.data()), dim * 2, heads * dim * 2, dim * 2,
        counts.data(), offsets.data(), kept.data(), reinterpret_cast<unsigned char*>(out.data())};
    runGrid<Nothing>({2, heads, 1}, 4, false, [&](HostWarp& warp, Nothing&) { gatherVectors(warp, input); });
    for (int h = 0; h < heads; ++h)
        for (int i = 0; i < counts[at(h)]; ++i)
            for (int d = 0; d < dim; ++d)
                EXPECT_EQ(out[at((offsets[at(h)] + i) * dim + d)].bits,
                    vectors[at((kept[at(offsets[at(h)] + i)] * heads + h) * dim + d)].bits);
}

template <typename Element> void expectNorms(int dim)
{
    constexpr int tokens = 21;
    constexpr int heads = 2;
    std::mt19937_64 random(9);
    std::normal_distribution<float> normal;
    std::vector<Element> vectors(at(heads * tokens * dim));
    std::vector<float> wide;
    for (Element& x : vectors) {
        x = fromFloat<Element>(normal(random));
        wide.push_back(widen(x));
    }
    std::vector<float> norms(at(heads * tokens), -1.0F);
    const NormsInput<Element> input{vectors.data(), std::int64_t{tokens} * dim, dim, tokens, dim, norms.data()};
    runGrid<Nothing>({6, heads, 1}, 4, false, [&](HostWarp& warp, Nothing&) { vectorNorms(warp, input); });
    const std::vector<float> expected = euclideanNorms(wide, dim);
    for (std::size_t i = 0; i < norms.size(); ++i)
        EXPECT_NEAR(norms[i], expected[i], expected[i] * 1e-6F);
}

TEST(Norms, AreThoseOfTheRecorder)
{
    expectNorms<float>(64);
    expectNorms<float>(80);
    expectNorms<Bfloat16>(256);
    expectNorms<Float16>(96);
}

} // namespace
} // namespace kvloupe::cuda
