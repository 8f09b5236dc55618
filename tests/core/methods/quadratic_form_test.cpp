// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/quadratic_form.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace kvloupe {
namespace {

TEST(QuadraticForm, IsTheSumOverAllPairsOfChannels)
{
    std::mt19937 engine(1);
    std::uniform_int_distribution<int> small(-3, 3);
    for (const std::size_t size : {1U, 2U, 3U, 4U, 7U, 64U})
        for (const std::size_t tokens : {0U, 1U, 15U, 16U, 17U, 40U})
            for (const bool quadratic : {true, false}) {
                std::vector<float> keys(tokens * size);
                std::vector<double> linear(size);
                std::vector<double> matrix(quadratic ? size * size : 0);
                for (float& value : keys)
                    value = static_cast<float>(small(engine));
                for (auto* values : {&linear, &matrix})
                    for (double& value : *values)
                        value = small(engine);
                std::vector<double> out(tokens, 0.5);
                addQuadraticForm(keys, linear, matrix, out);
                for (std::size_t token = 0; token < tokens; ++token) {
                    double expected = 0.5; // small whole numbers: exact in any order
                    for (std::size_t i = 0; i < size; ++i) {
                        const auto left = static_cast<double>(keys[token * size + i]);
                        expected += left * linear[i];
                        for (std::size_t j = 0; j < size && quadratic; ++j)
                            expected += left * matrix[i * size + j] * static_cast<double>(keys[token * size + j]);
                    }
                    ASSERT_EQ(out[token], expected) << size << " channels, token " << token << " of " << tokens;
                }
            }
}

TEST(QuadraticForm, GivesEqualKeysEqualBits)
{
    std::mt19937 engine(2);
    std::normal_distribution<float> normal;
    constexpr std::size_t size = 10;
    std::vector<float> keys(37 * size);
    std::vector<double> linear(size);
    std::vector<double> matrix(size * size);
    for (std::size_t channel = 0; channel < size; ++channel) {
        const float value = normal(engine);
        for (std::size_t token = 0; token < 37; ++token)
            keys[token * size + channel] = value;
        linear[channel] = static_cast<double>(normal(engine));
    }
    for (double& value : matrix)
        value = static_cast<double>(normal(engine));
    std::vector<double> out(37, 0.0);
    addQuadraticForm(keys, linear, matrix, out);
    EXPECT_NE(out.front(), 0.0);
    EXPECT_EQ(out, std::vector<double>(37, out.front()));
}

} // namespace
} // namespace kvloupe
