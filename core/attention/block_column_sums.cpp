// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/attention/block_column_sums.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <mutex>

namespace kvloupe {

namespace {

// Sums of blocks are added in fixed point: integers add up to the same whatever the order of the blocks. A sum is at
// most the number of tokens, so 2^-42 steps hold prompts of two million tokens with errors around 1e-13.
constexpr double steps = static_cast<double>(std::int64_t{1} << 42);

} // namespace

struct BlockColumnSums::Head {
    std::mutex mutex;
    std::vector<std::int64_t> sums; // [tokens], in steps
    std::int64_t rows = 0;
};

BlockColumnSums::BlockColumnSums(int heads, std::int64_t tokens)
    : m_tokens(tokens)
{
    for (int head = 0; head < heads; ++head)
        m_heads.push_back(std::make_unique<Head>());
    clear();
}

BlockColumnSums::~BlockColumnSums() = default;
BlockColumnSums::BlockColumnSums(BlockColumnSums&& other) noexcept = default;
BlockColumnSums& BlockColumnSums::operator=(BlockColumnSums&& other) noexcept = default;

void BlockColumnSums::clear()
{
    for (const auto& head : m_heads) {
        head->sums.assign(static_cast<std::size_t>(m_tokens), 0);
        head->rows = 0;
    }
}

void BlockColumnSums::add(
    int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities, std::int64_t stride)
{
    const std::int64_t end = queryBegin + rows;
    std::vector<float> sums(static_cast<std::size_t>(end));
    for (std::int64_t r = 0; r < rows; ++r) {
        const float* row = probabilities.data() + r * stride;
        for (std::int64_t c = 0; c < end; ++c)
            sums[static_cast<std::size_t>(c)] += row[c];
    }
    Head& state = *m_heads[static_cast<std::size_t>(head)];
    const std::lock_guard lock(state.mutex);
    for (std::size_t c = 0; c < sums.size(); ++c)
        state.sums[c] += std::llround(static_cast<double>(sums[c]) * steps);
    state.rows += rows;
}

std::int64_t BlockColumnSums::rowsAdded(int head) const
{
    return m_heads[static_cast<std::size_t>(head)]->rows;
}

std::vector<float> BlockColumnSums::sums() const
{
    std::vector<float> result;
    result.reserve(m_heads.size() * static_cast<std::size_t>(m_tokens));
    for (const auto& head : m_heads)
        std::ranges::transform(head->sums, std::back_inserter(result),
            [](std::int64_t sum) { return static_cast<float>(static_cast<double>(sum) / steps); });
    return result;
}

} // namespace kvloupe
