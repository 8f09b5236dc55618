// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/attention/attention_rows.h"

#include "core/error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <tuple>
#include <vector>

namespace kvloupe {
namespace {

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

std::int64_t padded(std::int64_t columns)
{
    return (columns + 15) / 16 * 16;
}

/// Random queries and keys of one head and the attention they give, in double and straight from the definition.
struct Head {
    Head(std::int64_t tokenCount, int dim, std::int64_t slidingWindow)
        : tokens(tokenCount)
        , headDim(dim)
    {
        shape.scale = 1.0F / std::sqrt(static_cast<float>(dim));
        shape.window = slidingWindow;
        std::mt19937 random(static_cast<unsigned>(tokenCount * 131 + dim));
        std::normal_distribution<float> normal(0.0F, 1.5F);
        queries.resize(index(tokens * dim));
        keys.resize(queries.size());
        std::generate(queries.begin(), queries.end(), [&] { return normal(random); });
        std::generate(keys.begin(), keys.end(), [&] { return normal(random); });
    }

    std::int64_t first(std::int64_t query) const
    {
        return shape.window > 0 ? std::max<std::int64_t>(0, query - shape.window + 1) : 0;
    }

    struct Row {
        std::vector<double> cells;
        double logSumExp = 0;
        double entropy = 0;
        double sinkMass = 0;
        double maximum = 0;
    };

    Row row(std::int64_t query) const
    {
        Row result;
        result.cells.assign(index(tokens), 0.0);
        double sum = 0;
        for (std::int64_t k = first(query); k <= query; ++k) {
            double product = 0;
            for (std::int64_t i = 0; i < headDim; ++i) {
                product += static_cast<double>(queries[index(query * headDim + i)])
                    * static_cast<double>(keys[index(k * headDim + i)]);
            }
            result.cells[index(k)] = std::exp(product * static_cast<double>(shape.scale));
            sum += result.cells[index(k)];
        }
        result.logSumExp = std::log(sum);
        for (std::int64_t k = first(query); k <= query; ++k) {
            double& cell = result.cells[index(k)];
            cell /= sum;
            result.entropy -= cell > 0 ? cell * std::log(cell) : 0;
            result.sinkMass += k < 4 ? cell : 0;
            result.maximum = std::max(result.maximum, cell);
        }
        return result;
    }

    std::span<const float> queryRows(std::int64_t begin, std::int64_t rows) const
    {
        return std::span(queries).subspan(index(begin * headDim), index(rows * headDim));
    }

    std::int64_t tokens;
    int headDim;
    AttentionShape shape;
    std::vector<float> queries;
    std::vector<float> keys;
};

struct Rows {
    std::int64_t stride = 0;
    std::vector<float> cells;
    std::vector<RowStatistics> statistics;
};

Rows softmaxRows(const Head& head, const PackedKeys& keys, std::int64_t begin, std::int64_t rows)
{
    Rows result;
    result.stride = padded(begin + rows) + 16;
    result.cells.assign(index(rows * result.stride), -7.0F);
    result.statistics.resize(index(rows));
    attention_rows::softmaxRows(
        head.queryRows(begin, rows), keys, begin, rows, head.shape, result.cells, result.stride, result.statistics);
    return result;
}

class AttentionRowsOfShape : public testing::TestWithParam<std::tuple<int, int, int>> {
protected:
    Head head{std::get<0>(GetParam()), std::get<1>(GetParam()), std::get<2>(GetParam())};
    PackedKeys keys{head.keys, head.headDim};
};

TEST_P(AttentionRowsOfShape, EqualTheDefinitionInDouble)
{
    const Rows rows = softmaxRows(head, keys, 0, head.tokens);
    for (std::int64_t q = 0; q < head.tokens; ++q) {
        const Head::Row expected = head.row(q);
        const RowStatistics& found = rows.statistics[index(q)];
        for (std::int64_t k = 0; k < padded(head.tokens); ++k) {
            const float cell = rows.cells[index(q * rows.stride + k)];
            if (k < head.first(q) || k > q) {
                ASSERT_EQ(cell, 0.0F) << "query " << q << " key " << k;
            } else {
                ASSERT_NEAR(cell, expected.cells[index(k)], 2e-6) << "query " << q << " key " << k;
            }
        }
        ASSERT_NEAR(found.logSumExp, expected.logSumExp, 1e-5);
        ASSERT_NEAR(found.entropy, expected.entropy, 2e-5);
        ASSERT_NEAR(found.sinkMass, expected.sinkMass, 2e-6);
        ASSERT_NEAR(found.maximum, expected.maximum, 2e-6);
    }
}

TEST_P(AttentionRowsOfShape, HaveTheSameBitsHoweverTheyAreCut)
{
    const Rows whole = softmaxRows(head, keys, 0, head.tokens);
    for (const std::int64_t step : {1, 7, 64}) {
        for (std::int64_t begin = 0; begin < head.tokens; begin += step) {
            const std::int64_t rows = std::min(step, head.tokens - begin);
            const Rows part = softmaxRows(head, keys, begin, rows);
            for (std::int64_t r = 0; r < rows; ++r) {
                const auto* found = part.cells.data() + r * part.stride;
                const auto* expected = whole.cells.data() + (begin + r) * whole.stride;
                ASSERT_TRUE(std::equal(found, found + begin + r + 1, expected))
                    << "step " << step << " row " << begin + r;
                ASSERT_EQ(part.statistics[index(r)].logSumExp, whole.statistics[index(begin + r)].logSumExp);
            }
        }
    }
}

TEST_P(AttentionRowsOfShape, TilesFromLogSumExpsEqualTheRows)
{
    const Rows rows = softmaxRows(head, keys, 0, head.tokens);
    std::vector<float> logSumExp;
    for (const RowStatistics& row : rows.statistics) {
        logSumExp.push_back(row.logSumExp);
    }
    for (const std::int64_t queryBegin : {std::int64_t{0}, head.tokens / 2, head.tokens - 1}) {
        const std::int64_t count = std::min<std::int64_t>(33, head.tokens - queryBegin);
        for (std::int64_t keyBegin = 0; keyBegin < padded(head.tokens); keyBegin += 48) {
            const std::int64_t columns = std::min<std::int64_t>(48, padded(head.tokens) - keyBegin);
            std::vector<float> tile(index(count * columns), -7.0F);
            attention_rows::tile(head.queryRows(queryBegin, count), keys, queryBegin, count, keyBegin, columns,
                head.shape, std::span(logSumExp).subspan(index(queryBegin)), tile);
            for (std::int64_t r = 0; r < count; ++r) {
                for (std::int64_t c = 0; c < columns; ++c) {
                    const std::int64_t key = keyBegin + c;
                    const bool causal = key <= queryBegin + r;
                    const float expected = causal ? rows.cells[index((queryBegin + r) * rows.stride + key)] : 0.0F;
                    ASSERT_NEAR(tile[index(r * columns + c)], expected, 2e-6)
                        << "query " << queryBegin + r << " key " << key;
                }
            }
        }
    }
}

TEST_P(AttentionRowsOfShape, ReachOverAllKeysWithoutAMask)
{
    const std::int64_t stride = padded(head.tokens) + 16;
    std::vector<float> cells(index(head.tokens * stride), -7.0F);
    attention_rows::unmaskedRows(head.queries, keys, head.tokens, head.shape.scale, cells, stride);
    for (std::int64_t q = 0; q < head.tokens; ++q) {
        std::vector<double> expected;
        for (std::int64_t k = 0; k < head.tokens; ++k) {
            double product = 0;
            for (std::int64_t i = 0; i < head.headDim; ++i) {
                product += static_cast<double>(head.queries[index(q * head.headDim + i)])
                    * static_cast<double>(head.keys[index(k * head.headDim + i)]);
            }
            expected.push_back(std::exp(product * static_cast<double>(head.shape.scale)));
        }
        const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
        for (std::int64_t k = 0; k < padded(head.tokens); ++k) {
            const double cell = static_cast<double>(cells[index(q * stride + k)]);
            ASSERT_NEAR(cell, k < head.tokens ? expected[index(k)] / sum : 0.0, 2e-6) << "query " << q << " key " << k;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionRowsOfShape,
    testing::Values(std::tuple(1, 64, 0), std::tuple(5, 16, 0), std::tuple(16, 64, 0), std::tuple(97, 64, 0),
        std::tuple(300, 80, 0), std::tuple(130, 128, 0), std::tuple(97, 64, 1), std::tuple(150, 64, 20),
        std::tuple(64, 8, 100)),
    [](const auto& shape) {
        return "tokens" + std::to_string(std::get<0>(shape.param)) + "dim" + std::to_string(std::get<1>(shape.param))
            + "window" + std::to_string(std::get<2>(shape.param));
    });

TEST(AttentionRows, StayFiniteForLogitsThatOverflowAnExponential)
{
    Head head(40, 64, 0);
    for (float& q : head.queries) {
        q *= 40.0F;
    }
    const PackedKeys keys(head.keys, head.headDim);
    const Rows rows = softmaxRows(head, keys, 0, head.tokens);
    for (std::int64_t q = 0; q < head.tokens; ++q) {
        const auto* row = rows.cells.data() + q * rows.stride;
        double sum = 0;
        for (std::int64_t k = 0; k <= q; ++k) {
            ASSERT_TRUE(std::isfinite(row[k]));
            sum += static_cast<double>(row[k]);
        }
        ASSERT_NEAR(sum, 1.0, 1e-5);
        ASSERT_TRUE(std::isfinite(rows.statistics[index(q)].entropy));
    }
}

TEST(PackedKeys, AppendedPieceByPieceEqualThoseGivenAtOnce)
{
    const Head head(77, 64, 0);
    const PackedKeys whole(head.keys, head.headDim);
    PackedKeys pieces(head.headDim);
    for (std::int64_t begin = 0; begin < head.tokens;) {
        const std::int64_t count = std::min<std::int64_t>(begin % 5 + 1, head.tokens - begin);
        pieces.append(std::span(head.keys).subspan(index(begin * head.headDim), index(count * head.headDim)));
        begin += count;
    }
    ASSERT_EQ(pieces.size(), whole.size());
    for (std::int64_t panel = 0; panel * PackedKeys::panelKeys < whole.size(); ++panel) {
        const auto floats = PackedKeys::panelKeys * head.headDim;
        ASSERT_TRUE(std::equal(whole.panel(panel), whole.panel(panel) + floats, pieces.panel(panel)))
            << "panel " << panel;
    }
}

TEST(AttentionRows, RefuseWhatDoesNotFitTogether)
{
    const Head head(20, 64, 0);
    const PackedKeys keys(head.keys, head.headDim);
    std::vector<float> cells(20 * 32);
    std::vector<RowStatistics> statistics(20);
    const auto rows = [&](std::int64_t begin, std::int64_t count, std::int64_t stride) {
        attention_rows::softmaxRows(head.queries, keys, begin, count, head.shape, cells, stride, statistics);
    };
    EXPECT_NO_THROW(rows(0, 20, 32));
    EXPECT_THROW(rows(1, 20, 48), Error) << "one query more than there are keys";
    EXPECT_THROW(rows(0, 20, 31), Error) << "rows that overlap";
    EXPECT_THROW(rows(0, 20, 64), Error) << "more room claimed than given";
    const auto unmasked = [&](const PackedKeys& of, std::int64_t count, std::int64_t stride) {
        attention_rows::unmaskedRows(head.queries, of, count, 1.0F, cells, stride);
    };
    EXPECT_NO_THROW(unmasked(keys, 20, 32));
    EXPECT_THROW(unmasked(keys, 20, 16), Error) << "rows that overlap";
    EXPECT_THROW(unmasked(keys, 21, 32), Error) << "more rows than queries";
    EXPECT_THROW(unmasked(PackedKeys(64), 20, 32), Error) << "no keys";
    EXPECT_THROW(PackedKeys(head.keys, 63), Error) << "no whole number of keys";
    std::vector<float> tile(16 * 16);
    EXPECT_THROW(attention_rows::tile(head.queries, keys, 0, 16, 8, 16, head.shape, cells, tile), Error)
        << "a tile off the grid of 16 keys";
    EXPECT_THROW(attention_rows::tile(head.queries, keys, 0, 16, 32, 16, head.shape, cells, tile), Error)
        << "a tile beyond the keys";
}

} // namespace
} // namespace kvloupe
