// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/map_evidence.h"

#include "core/methods/method_error.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace kvloupe {
namespace {

EvidenceNeeds rowsAndSums(std::int64_t rows)
{
    EvidenceNeeds needs;
    needs.lastRows = rows;
    needs.columnSums = true;
    return needs;
}

TEST(MapEvidence, AddsColumnsAndTakesLastRowsOfTheCausalHalfOnly)
{
    std::mt19937 random(3);
    for (const std::int64_t tokens : {1, 7, 8, 9, 33, 100, 257}) {
        const int heads = 4;
        std::vector<float> maps(static_cast<std::size_t>(heads * tokens * tokens), 0.0F);
        for (std::int64_t row = 0; row < heads * tokens; ++row)
            for (std::int64_t key = 0; key <= row % tokens; ++key)
                maps[static_cast<std::size_t>(row * tokens + key)] = static_cast<float>(random() % 4096) / 4096.0F;
        const OwnedEvidence evidence = evidenceFromMaps({2, 5, heads, 2, tokens, maps}, rowsAndSums(9));
        const std::int64_t rows = std::min<std::int64_t>(9, tokens);
        ASSERT_EQ(evidence.view.lastRowCount, rows);
        EXPECT_EQ(evidence.view.layer, 2);
        EXPECT_EQ(evidence.view.groupSize(), 2);
        for (int head = 0; head < heads; ++head) {
            for (std::int64_t key = 0; key < tokens; ++key) {
                double sum = 0; // multiples of 1/4096: exact in any order
                for (std::int64_t query = key; query < tokens; ++query)
                    sum += static_cast<double>(maps[static_cast<std::size_t>((head * tokens + query) * tokens + key)]);
                ASSERT_EQ(static_cast<double>(evidence.view.columnSum(head)[static_cast<std::size_t>(key)]), sum)
                    << tokens << " " << head << " " << key;
            }
            for (std::int64_t row = 0; row < rows; ++row)
                for (std::int64_t key = 0; key < tokens; ++key) {
                    const std::int64_t query = tokens - rows + row;
                    const float expected
                        = key > query ? 0.0F : maps[static_cast<std::size_t>((head * tokens + query) * tokens + key)];
                    ASSERT_EQ(evidence.view.lastRow(head, row)[static_cast<std::size_t>(key)], expected);
                }
        }
    }
}

TEST(MapEvidence, RefusesWhatMapsDoNotHoldAndWrongSizes)
{
    const std::vector<float> maps(2 * 3 * 3);
    EvidenceNeeds keys;
    keys.keys = true;
    EXPECT_THROW(evidenceFromMaps({0, 1, 2, 1, 3, maps}, keys), MethodError);
    EXPECT_THROW(evidenceFromMaps({0, 1, 2, 1, 4, maps}, rowsAndSums(1)), MethodError);
    EXPECT_THROW(evidenceFromMaps({0, 1, 0, 1, 3, maps}, rowsAndSums(1)), MethodError);
}

} // namespace
} // namespace kvloupe
