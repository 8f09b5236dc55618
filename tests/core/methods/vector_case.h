// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

// Random keys, values and query statistics for tests of methods that look at vectors. Numbers are drawn from a fine
// grid, so that equal scores come from equal tokens alone; some tokens are copies of others.

#include "tests/core/methods/random_case.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace kvloupe::random_case {

struct VectorCase : Case {
    int headDim = 2;
    std::vector<float> keys; ///< [kvHeads, tokens, headDim]
    std::vector<float> values;
    std::vector<float> keyNorms; ///< [kvHeads, tokens]
    std::vector<float> valueNorms;
    std::vector<float> outputValueNorms; ///< [queryHeads, tokens]
    std::vector<float> queryMeans; ///< [queryHeads, headDim]
    std::vector<float> queryCovariances; ///< [queryHeads, headDim, headDim]
    std::vector<double> inverseFrequencies; ///< [headDim / 2]

    float key(int head, std::int64_t token, int channel) const { return keys[at(head, token, channel)]; }
    float value(int head, std::int64_t token, int channel) const { return values[at(head, token, channel)]; }

    EvidenceTable evidence() const
    {
        EvidenceTable table = Case::evidence();
        table.view.headDim = headDim;
        table.view.keys = keys;
        table.view.values = values;
        table.view.keyNorms = keyNorms;
        table.view.valueNorms = valueNorms;
        table.view.outputValueNorms = outputValueNorms;
        table.view.queryMeans = queryMeans;
        table.view.queryCovariances = queryCovariances;
        table.view.inverseFrequencies = inverseFrequencies;
        return table;
    }

private:
    std::size_t at(int head, std::int64_t token, int channel) const
    {
        return static_cast<std::size_t>((head * tokens + token) * headDim + channel);
    }
};

inline float fineNumber(Dice& dice)
{
    return static_cast<float>(dice.between(-(1 << 20), 1 << 20)) / static_cast<float>(1 << 19);
}

/// Without attention; `largest` tokens at most, an even headDim if asked for.
inline VectorCase randomVectors(Dice& dice, std::int64_t largest, bool evenDim = false)
{
    VectorCase made;
    made.kvHeads = static_cast<int>(dice.between(1, 3));
    made.groupSize = static_cast<int>(dice.between(1, 3));
    made.tokens = dice.upTo(9) == 0 ? dice.between(1, 3) : dice.between(1, largest);
    made.layer = static_cast<int>(dice.upTo(7));
    made.headDim = evenDim ? static_cast<int>(2 * dice.between(1, 4)) : static_cast<int>(dice.between(1, 6));
    const auto dim = static_cast<std::ptrdiff_t>(made.headDim);
    const auto fill = [&](std::vector<float>& vectors, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i)
            vectors.push_back(fineNumber(dice));
    };
    fill(made.keys, made.kvHeads * made.tokens * dim);
    fill(made.values, made.kvHeads * made.tokens * dim);
    for (std::int64_t copies = dice.upTo(made.tokens) / 2; copies > 0; --copies) {
        const auto rows = static_cast<std::int64_t>(made.kvHeads) * made.tokens;
        const std::ptrdiff_t from = dice.upTo(rows - 1) * dim;
        const std::ptrdiff_t to = dice.upTo(rows - 1) * dim;
        if (from == to)
            continue;
        for (auto* vectors : {&made.keys, &made.values})
            std::copy_n(vectors->begin() + from, dim, vectors->begin() + to);
    }
    for (const auto& [vectors, norms] :
        {std::pair(&made.keys, &made.keyNorms), std::pair(&made.values, &made.valueNorms)})
        for (auto row = vectors->begin(); row != vectors->end(); row += dim) {
            double squares = 0.0;
            for (auto channel = row; channel != row + dim; ++channel)
                squares += static_cast<double>(*channel) * static_cast<double>(*channel);
            norms->push_back(static_cast<float>(std::sqrt(squares)));
        }
    fill(made.queryMeans, made.queryHeads() * dim);
    fill(made.queryCovariances, made.queryHeads() * dim * dim);
    for (std::ptrdiff_t channel = 0; channel < dim / 2; ++channel)
        made.inverseFrequencies.push_back(1.0 / std::pow(7.0, static_cast<double>(channel)));
    // Whole multiples of 6, so that means over groups of up to three heads are exact; few levels, so that they tie.
    for (std::int64_t i = 0; i < made.queryHeads() * made.tokens; ++i)
        made.outputValueNorms.push_back(static_cast<float>(6 * dice.upTo(4)));
    return made;
}

/// Adds attention in few levels, as randomCase does.
inline void addAttention(VectorCase& made, Dice& dice)
{
    const std::int64_t levels = dice.oneOf<std::int64_t>({1, 2, 5, 64});
    for (int head = 0; head < made.queryHeads(); ++head) {
        auto& rows = made.rows.emplace_back();
        for (std::int64_t query = 0; query < made.tokens; ++query) {
            auto& row = rows.emplace_back(static_cast<std::size_t>(made.tokens), 0);
            for (std::int64_t key = 0; key <= query; ++key)
                row[static_cast<std::size_t>(key)] = dice.upTo(levels);
        }
    }
}

/// [query head][key]: sums over the last `window` rows, of the keys before `keys`, in 1/64.
inline std::vector<Integers> windowVotes(const Case& given, std::int64_t window, std::int64_t keys)
{
    std::vector<Integers> votes;
    for (const auto& rows : given.rows) {
        Integers& sums = votes.emplace_back(static_cast<std::size_t>(keys), 0);
        for (std::int64_t row = std::max<std::int64_t>(0, given.tokens - window); row < given.tokens; ++row)
            for (std::size_t key = 0; key < sums.size(); ++key)
                sums[key] += rows[static_cast<std::size_t>(row)][key];
    }
    return votes;
}

/// Indices of the largest `count` of `scores`, of equal ones the first; ascending.
template <typename Number> std::vector<std::int32_t> largestOf(const std::vector<Number>& scores, std::int64_t count)
{
    return recentThenBest(scores, static_cast<std::int64_t>(scores.size()), count, 0);
}

inline const std::vector<std::string> roundings{"auto", "exact_floor", "trunc_double", "round_half_even"};

} // namespace kvloupe::random_case
