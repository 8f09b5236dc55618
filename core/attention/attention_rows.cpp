// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/attention/attention_rows.h"

#include "core/attention/attention_kernels.h"
#include "core/error.h"
#include "core/recording/recording_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>
#include <utility>

namespace kvloupe {

namespace {

constexpr std::align_val_t simdAlignment{64};

std::int64_t roundUpToPanel(std::int64_t keys)
{
    return (keys + PackedKeys::panelKeys - 1) / PackedKeys::panelKeys * PackedKeys::panelKeys;
}

std::int64_t firstVisible(std::int64_t query, const AttentionShape& shape)
{
    return shape.window > 0 ? std::max<std::int64_t>(0, query - shape.window + 1) : 0;
}

void require(bool holds, const char* what)
{
    if (!holds) {
        throw Error(fmt::format("attention rows: {}", what));
    }
}

} // namespace

AlignedFloats::AlignedFloats(std::size_t size)
    : m_data(static_cast<float*>(::operator new(size * sizeof(float), simdAlignment)))
    , m_size(size)
{
}

AlignedFloats::~AlignedFloats()
{
    ::operator delete(m_data, simdAlignment);
}

AlignedFloats::AlignedFloats(AlignedFloats&& other) noexcept
    : m_data(std::exchange(other.m_data, nullptr))
    , m_size(std::exchange(other.m_size, 0))
{
}

AlignedFloats& AlignedFloats::operator=(AlignedFloats&& other) noexcept
{
    std::swap(m_data, other.m_data);
    std::swap(m_size, other.m_size);
    return *this;
}

PackedKeys::PackedKeys(int headDim)
    : m_headDim(headDim)
{
    require(headDim > 0, "the head dimension must be positive");
}

PackedKeys::PackedKeys(std::span<const float> keys, int headDim)
    : PackedKeys(headDim)
{
    append(keys);
}

void PackedKeys::append(std::span<const float> keys)
{
    const auto dim = static_cast<std::size_t>(m_headDim);
    require(keys.size() % dim == 0, "keys are not a whole number of vectors");
    const auto added = static_cast<std::int64_t>(keys.size() / dim);
    const std::size_t needed = static_cast<std::size_t>(roundUpToPanel(m_size + added)) * dim;
    if (needed > m_panels.size()) {
        AlignedFloats grown(m_size == 0 ? needed : std::max(needed, m_panels.size() * 3 / 2));
        if (m_panels.size() > 0) {
            std::memcpy(grown.data(), m_panels.data(), m_panels.size() * sizeof(float));
        }
        // Lanes after the last key are read by the kernels, so they must be finite.
        std::fill(grown.data() + m_panels.size(), grown.data() + grown.size(), 0.0F);
        m_panels = std::move(grown);
    }
    for (std::int64_t i = 0; i < added; ++i) {
        const std::int64_t position = m_size + i;
        float* lane
            = m_panels.data() + static_cast<std::size_t>(position / panelKeys * panelKeys) * dim + position % panelKeys;
        const float* key = keys.data() + static_cast<std::size_t>(i) * dim;
        for (std::size_t c = 0; c < dim; ++c) {
            lane[c * panelKeys] = key[c];
        }
    }
    m_size += added;
}

namespace attention_rows {

void softmaxRows(std::span<const float> queries, const PackedKeys& keys, std::int64_t queryBegin, std::int64_t rows,
    const AttentionShape& shape, std::span<float> probabilities, std::int64_t stride,
    std::span<RowStatistics> statistics)
{
    const std::int64_t end = queryBegin + rows;
    const std::int64_t paddedEnd = roundUpToPanel(end);
    require(rows >= 0 && queryBegin >= 0 && end <= keys.size(), "queries reach beyond the keys");
    require(stride >= paddedEnd, "the stride is smaller than the row");
    require(queries.size() >= static_cast<std::size_t>(rows * keys.headDim()), "too few queries");
    require(probabilities.size() >= static_cast<std::size_t>(rows * stride), "too little room for the rows");
    require(statistics.size() >= static_cast<std::size_t>(rows), "too little room for the statistics");

    const std::int64_t columnBegin = firstVisible(queryBegin, shape) / PackedKeys::panelKeys * PackedKeys::panelKeys;
    attention_kernels::dotProducts(
        queries.data(), rows, keys, columnBegin, paddedEnd, true, queryBegin, probabilities.data(), stride);
    for (std::int64_t r = 0; r < rows; ++r) {
        float* row = probabilities.data() + r * stride;
        const std::int64_t query = queryBegin + r;
        const std::int64_t first = firstVisible(query, shape);
        RowStatistics& result = statistics[static_cast<std::size_t>(r)];
        result = attention_kernels::softmax(row, first, query + 1, shape.scale);
        std::fill(row, row + first, 0.0F);
        std::fill(row + query + 1, row + paddedEnd, 0.0F);
        result.sinkMass = std::accumulate(row, row + std::min(sinkTokens, query + 1), 0.0F);
    }
}

void unmaskedRows(std::span<const float> queries, const PackedKeys& keys, std::int64_t rows, float scale,
    std::span<float> probabilities, std::int64_t stride)
{
    const std::int64_t paddedEnd = roundUpToPanel(keys.size());
    require(rows >= 0 && keys.size() > 0, "there are no keys");
    require(stride >= paddedEnd, "the stride is smaller than the row");
    require(queries.size() >= static_cast<std::size_t>(rows * keys.headDim()), "too few queries");
    require(probabilities.size() >= static_cast<std::size_t>(rows * stride), "too little room for the rows");

    attention_kernels::dotProducts(queries.data(), rows, keys, 0, paddedEnd, false, 0, probabilities.data(), stride);
    for (std::int64_t r = 0; r < rows; ++r) {
        float* row = probabilities.data() + r * stride;
        attention_kernels::softmax(row, 0, keys.size(), scale);
        std::fill(row + keys.size(), row + paddedEnd, 0.0F);
    }
}

void tile(std::span<const float> queries, const PackedKeys& keys, std::int64_t queryBegin, std::int64_t rows,
    std::int64_t keyBegin, std::int64_t columns, const AttentionShape& shape, std::span<const float> logSumExp,
    std::span<float> out)
{
    require(keyBegin >= 0 && keyBegin % PackedKeys::panelKeys == 0 && columns % PackedKeys::panelKeys == 0,
        "tiles start and end at multiples of 16 keys");
    require(keyBegin + columns <= roundUpToPanel(keys.size()), "the tile reaches beyond the keys");
    require(queries.size() >= static_cast<std::size_t>(rows * keys.headDim()), "too few queries");
    require(logSumExp.size() >= static_cast<std::size_t>(rows), "too few log-sum-exps");
    require(out.size() >= static_cast<std::size_t>(rows * columns), "too little room for the tile");

    float* cells = out.data();
    float* origin = cells - keyBegin; // of column 0, where the kernels count from
    attention_kernels::dotProducts(
        queries.data(), rows, keys, keyBegin, keyBegin + columns, true, queryBegin, origin, columns);
    for (std::int64_t r = 0; r < rows; ++r) {
        float* row = origin + r * columns;
        const std::int64_t query = queryBegin + r;
        const std::int64_t begin = std::clamp(firstVisible(query, shape), keyBegin, keyBegin + columns);
        const std::int64_t end = std::clamp(std::min(query + 1, keys.size()), begin, keyBegin + columns);
        attention_kernels::exponentials(row, begin, end, shape.scale, logSumExp[static_cast<std::size_t>(r)]);
        std::fill(row + keyBegin, row + begin, 0.0F);
        std::fill(row + end, row + keyBegin + columns, 0.0F);
    }
}

} // namespace attention_rows

} // namespace kvloupe
