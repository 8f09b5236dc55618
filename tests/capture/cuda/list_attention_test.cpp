// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/list_attention_block.h"
#include "capture/cuda/token_edits_block.h"
#include "host_kernels.h"
#include "token_edit_case.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace kvloupe::cuda {
namespace {

std::size_t at(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Random lists of one head dimension; unseen slots hold NaN, which must not reach anything.
template <typename Element> struct Lists {
    struct One {
        int slots = 0;
        int heads = 0;
        std::vector<bool> masked;
        std::vector<Element> keys;
        std::vector<Element> values;
        std::vector<float> queries;
        std::vector<std::uint32_t> bits;
        std::vector<float> context;
        std::vector<float> weights;
    };

    Lists(int headDim, const std::vector<std::pair<int, int>>& slotsAndHeads, double maskedShare)
        : dim(headDim)
    {
        std::normal_distribution<float> normal;
        for (const auto& [slots, heads] : slotsAndHeads) {
            One& one = all.emplace_back();
            one.slots = slots;
            one.heads = heads;
            one.bits.assign(at((slots + 31) / 32), 0);
            if (slots % 32 != 0)
                one.bits.back() = ~0U << (slots % 32);
            for (int slot = 0; slot < slots; ++slot) {
                one.masked.push_back(std::bernoulli_distribution(maskedShare)(random));
                one.bits[at(slot / 32)] |= static_cast<std::uint32_t>(one.masked.back()) << (slot % 32);
                for (int i = 0; i < dim; ++i) {
                    const float nan = std::numeric_limits<float>::quiet_NaN();
                    one.keys.push_back(fromFloat<Element>(one.masked.back() ? nan : normal(random)));
                    one.values.push_back(fromFloat<Element>(one.masked.back() ? nan : normal(random)));
                }
            }
            for (int i = 0; i < heads * dim; ++i)
                one.queries.push_back(normal(random));
            one.context.assign(at(heads * dim), std::numeric_limits<float>::quiet_NaN());
            one.weights.assign(at(heads * slots), std::numeric_limits<float>::quiet_NaN());
        }
    }

    void run(HostKernels& kernels, bool weights)
    {
        using Input = ListsInput<Element>;
        std::vector<TokenList<Element>> lists;
        std::vector<ListPart> parts;
        int largest = 0;
        for (One& one : all) {
            const auto number = static_cast<int>(lists.size());
            lists.push_back(
                {one.keys.data(), one.values.data(), one.bits.data(), one.queries.data(), one.context.data(),
                    weights ? one.weights.data() : nullptr, one.slots, one.heads, static_cast<int>(parts.size())});
            for (int head = 0; head < one.heads; head += Input::partHeads)
                for (int slot = 0; slot < one.slots; slot += Input::partSlots)
                    parts.push_back({number, slot, head});
            largest = std::max(largest, one.heads);
        }
        const float nan = std::numeric_limits<float>::quiet_NaN();
        std::vector<float> maxima(parts.size() * Input::partHeads, nan);
        std::vector<float> sums(parts.size() * Input::partHeads, nan);
        std::vector<float> contexts(parts.size() * at(Input::partHeads * dim), nan);
        kernels.attendLists(dim,
            Input{lists.data(), parts.data(), maxima.data(), sums.data(), contexts.data(),
                static_cast<int>(lists.size()), static_cast<int>(parts.size()), largest, scale});
    }

    /// The definition in double.
    void expectAttention(bool weights) const
    {
        for (const One& one : all) {
            SCOPED_TRACE(testing::Message() << one.slots << " slots, " << one.heads << " heads of " << dim);
            for (int head = 0; head < one.heads; ++head) {
                std::vector<double> powers(at(one.slots), 0.0);
                double largest = -std::numeric_limits<double>::infinity();
                std::vector<double> logits(at(one.slots), largest);
                for (int slot = 0; slot < one.slots; ++slot) {
                    if (one.masked[at(slot)])
                        continue;
                    double product = 0.0;
                    for (int i = 0; i < dim; ++i)
                        product += static_cast<double>(one.queries[at(head * dim + i)])
                            * static_cast<double>(widen(one.keys[at(slot * dim + i)]));
                    logits[at(slot)] = product * static_cast<double>(scale);
                    largest = std::max(largest, logits[at(slot)]);
                }
                double sum = 0.0;
                for (int slot = 0; slot < one.slots; ++slot)
                    if (!one.masked[at(slot)])
                        sum += powers[at(slot)] = std::exp(logits[at(slot)] - largest);
                for (int slot = 0; weights && slot < one.slots; ++slot) {
                    const double expected = one.masked[at(slot)] ? 0.0 : powers[at(slot)] / sum;
                    ASSERT_NEAR(static_cast<double>(one.weights[at(head * one.slots + slot)]), expected,
                        1e-5 * expected + 1e-12)
                        << slot;
                }
                for (int i = 0; i < dim; ++i) {
                    double expected = 0.0;
                    for (int slot = 0; slot < one.slots; ++slot)
                        if (!one.masked[at(slot)])
                            expected
                                += powers[at(slot)] / sum * static_cast<double>(widen(one.values[at(slot * dim + i)]));
                    ASSERT_NEAR(static_cast<double>(one.context[at(head * dim + i)]), expected, 1e-5) << i;
                }
            }
        }
    }

    std::mt19937_64 random{5};
    int dim;
    float scale = 0.11F;
    std::vector<One> all;
};

template <typename Element> void expectRight(int dim, double maskedShare)
{
    Lists<Element> lists(dim, {{16, 1}, {300, 2}, {32, 4}, {1040, 3}, {257 + 15, 9}}, maskedShare);
    HostKernels kernels;
    for (const bool weights : {true, false}) {
        lists.run(kernels, weights);
        lists.expectAttention(weights);
    }
}

TEST(ListAttention, IsTheDefinitionForEveryDimensionAndElement)
{
    for (const int dim : attentionHeadDims)
        expectRight<Bfloat16>(dim, 0.2);
    expectRight<float>(64, 0.0);
    expectRight<float>(80, 0.9);
    expectRight<Float16>(128, 0.5);
}

TEST(ListAttention, WholePartsOrAllOfAListMayBeUnseen)
{
    Lists<float> lists(64, {{600, 2}, {48, 2}}, 0.0);
    const auto hide = [](auto& one, int begin, int end) {
        for (int slot = begin; slot < end; ++slot) {
            one.masked[at(slot)] = true;
            one.bits[at(slot / 32)] |= 1U << (slot % 32);
        }
    };
    hide(lists.all[0], 0, 520);
    HostKernels kernels;
    lists.run(kernels, true);
    lists.expectAttention(true);
    hide(lists.all[1], 0, 48);
    lists.run(kernels, true);
    for (const float x : lists.all[1].context)
        EXPECT_EQ(x, 0.0F);
    for (const float x : lists.all[1].weights)
        EXPECT_EQ(x, 0.0F);
}

/// Bits of a list do not depend on what else is in the batch.
TEST(ListAttention, AListIsTheSameAloneAndAmongOthers)
{
    Lists<Bfloat16> many(64, {{300, 4}, {700, 4}}, 0.1);
    Lists<Bfloat16> alone(64, {{300, 4}}, 0.1);
    HostKernels kernels;
    many.run(kernels, true);
    alone.run(kernels, true);
    EXPECT_EQ(many.all[0].context, alone.all[0].context);
    EXPECT_EQ(many.all[0].weights, alone.all[0].weights);
}

TEST(TokenEdits, AreDoneInOrderAndTurnsStartFromTheKeysAsTheyCame)
{
    constexpr int dim = 64;
    constexpr int slots = 32;
    std::mt19937_64 random(2);
    std::normal_distribution<float> normal;
    const auto draw = [&](std::size_t size) {
        std::vector<float> values(size);
        for (float& value : values)
            value = normal(random);
        return values;
    };
    std::vector<float> keys = draw(slots * dim);
    std::vector<float> values = draw(slots * dim);
    const std::vector<float> before = keys;
    const std::vector<float> valuesBefore = values;
    std::vector<float> cameAs = keys;
    std::vector<int> shifts(slots, 0);
    shifts[3] = -5;
    const std::vector<float> frequencies = ropeFrequencies(dim);
    const std::vector<float> numbers = draw(2 * dim);
    const std::vector<TokenEdit> edits = dependentEdits();
    const TokenEdits<float> list{keys.data(), values.data(), cameAs.data(), shifts.data(), frequencies.data(),
        edits.data(), numbers.data(), static_cast<int>(edits.size())};
    HostKernels kernels;
    kernels.editTokens(dim, &list, 1);

    const auto expectTurned = [&](int slot, int from, int shift) {
        for (int i = 0; i < dim / 2; ++i) {
            const double angle = static_cast<double>(frequencies[at(i)] * static_cast<float>(shift));
            const auto a = static_cast<double>(before[at(from * dim + i)]);
            const auto b = static_cast<double>(before[at(from * dim + i + dim / 2)]);
            EXPECT_NEAR(static_cast<double>(keys[at(slot * dim + i)]), a * std::cos(angle) - b * std::sin(angle), 1e-6);
            EXPECT_NEAR(static_cast<double>(keys[at(slot * dim + i + dim / 2)]),
                b * std::cos(angle) + a * std::sin(angle), 1e-6);
        }
        EXPECT_EQ(shifts[at(slot)], shift);
    };
    expectTurned(3, 3, -7);
    expectTurned(4, 4, -2);
    expectTurned(6, 3, 0);
    for (int i = 0; i < dim; ++i) {
        for (const int slot : {5, 20}) {
            EXPECT_EQ(keys[at(slot * dim + i)], numbers[at(i)]);
            EXPECT_EQ(cameAs[at(slot * dim + i)], numbers[at(i)]);
            EXPECT_EQ(values[at(slot * dim + i)], numbers[at(dim + i)]);
        }
        EXPECT_EQ(values[at(6 * dim + i)], valuesBefore[at(3 * dim + i)]);
        EXPECT_EQ(keys[at(7 * dim + i)], before[at(7 * dim + i)]);
    }
    EXPECT_EQ(shifts[5], 0);
}

} // namespace
} // namespace kvloupe::cuda
