// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/decode_kernels.h"
#include "capture/cache/token_pages.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace kvloupe {
namespace {

/// Rows of queries, head dimension, tokens.
using Shape = std::array<int, 3>;

class DecodeKernels : public testing::TestWithParam<Shape> {
protected:
    DecodeKernels()
        : pages(dim, false)
    {
        std::mt19937 random(3);
        std::normal_distribution<float> normal;
        const auto draw = [&](int count) {
            std::vector<float> drawn(static_cast<std::size_t>(count));
            for (float& value : drawn)
                value = normal(random);
            return drawn;
        };
        queries = draw(rows * dim);
        for (int t = 0; t < tokens; ++t) {
            keys.push_back(draw(dim));
            values.push_back(draw(dim));
            pages.put(t, keys.back(), values.back());
        }
    }

    float query(int row, int i) const { return queries[static_cast<std::size_t>(row * dim + i)]; }

    int rows = GetParam()[0];
    int dim = GetParam()[1];
    int tokens = GetParam()[2];
    std::vector<float> queries;
    std::vector<std::vector<float>> keys;
    std::vector<std::vector<float>> values;
    TokenPages pages;
};

TEST_P(DecodeKernels, AttentionEqualsThePlainLoopInDouble)
{
    const auto stride = static_cast<std::size_t>(pages.slots());
    std::vector<float> weights(static_cast<std::size_t>(rows) * stride, 1e30F);
    decode_kernels::keyProducts(queries.data(), rows, dim, pages.pages(), weights.data(), pages.slots());
    std::vector<std::vector<double>> expected;
    for (int r = 0; r < rows; ++r) {
        std::vector<double> row;
        double sum = 0;
        for (int t = 0; t < tokens; ++t) {
            double product = 0;
            for (int i = 0; i < dim; ++i)
                product += static_cast<double>(query(r, i))
                    * static_cast<double>(keys[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)]);
            const auto at = static_cast<std::size_t>(r) * stride + static_cast<std::size_t>(t);
            EXPECT_NEAR(weights[at], product, 2e-5);
            const bool hidden = t % 5 == 3;
            if (hidden)
                weights[at] = -std::numeric_limits<float>::infinity();
            row.push_back(hidden ? 0.0 : std::exp(0.3 * product));
            sum += row.back();
        }
        for (std::size_t t = static_cast<std::size_t>(tokens); t < stride; ++t)
            weights[static_cast<std::size_t>(r) * stride + t] = -std::numeric_limits<float>::infinity();
        decode_kernels::softmax(weights.data() + static_cast<std::size_t>(r) * stride, pages.slots(), 0.3F);
        for (int t = 0; t < tokens; ++t)
            EXPECT_NEAR(weights[static_cast<std::size_t>(r) * stride + static_cast<std::size_t>(t)],
                row[static_cast<std::size_t>(t)] /= sum, 1e-6);
        for (std::size_t t = static_cast<std::size_t>(tokens); t < stride; ++t)
            EXPECT_EQ(weights[static_cast<std::size_t>(r) * stride + t], 0.0F);
        expected.push_back(row);
    }

    std::vector<float> context(static_cast<std::size_t>(rows * dim), 7.0F);
    decode_kernels::weightedValues(weights.data(), pages.slots(), rows, dim, pages.pages(), context.data());
    for (int r = 0; r < rows; ++r)
        for (int i = 0; i < dim; ++i) {
            double sum = 0;
            for (int t = 0; t < tokens; ++t)
                sum += expected[static_cast<std::size_t>(r)][static_cast<std::size_t>(t)]
                    * static_cast<double>(values[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)]);
            EXPECT_NEAR(context[static_cast<std::size_t>(r * dim + i)], sum, 1e-5);
        }
}

TEST_P(DecodeKernels, TurnsTheChosenKeysAlone)
{
    const auto half = static_cast<std::size_t>(dim / 2);
    std::vector<float> cosines(half);
    std::vector<float> sines(half);
    for (std::size_t i = 0; i < half; ++i) {
        cosines[i] = static_cast<float>(std::cos(0.1 + static_cast<double>(i)));
        sines[i] = static_cast<float>(std::sin(0.1 + static_cast<double>(i)));
    }
    std::array<float, 16> chosen{};
    for (std::size_t slot = 0; slot < 16; slot += 3)
        chosen[slot] = 1.0F;
    pages.turn({0, chosen, 1, cosines, sines});
    for (std::size_t t = 0; t < keys.size() && t < 16; ++t) {
        const std::vector<float> key = pages.key(static_cast<std::int64_t>(t));
        for (std::size_t i = 0; i < half; ++i) {
            const float a = keys[t][i];
            const float b = keys[t][half + i];
            EXPECT_NEAR(key[i], chosen[t] > 0 ? a * cosines[i] - b * sines[i] : a, 1e-6);
            EXPECT_NEAR(key[half + i], chosen[t] > 0 ? b * cosines[i] + a * sines[i] : b, 1e-6);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, DecodeKernels,
    testing::Values(Shape{1, 64, 1}, Shape{1, 64, 200}, Shape{2, 80, 33}, Shape{3, 64, 111}, Shape{4, 6, 16},
        Shape{7, 8, 50}, Shape{9, 128, 65}));

TEST(DecodeKernelsAlone, ARowWithNothingToSeeIsZero)
{
    std::vector<float> row(16, -std::numeric_limits<float>::infinity());
    decode_kernels::softmax(row.data(), 16, 1.0F);
    EXPECT_EQ(row, std::vector<float>(16, 0.0F));
}

} // namespace
} // namespace kvloupe
