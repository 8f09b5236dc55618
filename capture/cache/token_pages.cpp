// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/token_pages.h"

#include <algorithm>

namespace kvloupe {

TokenPages::TokenPages(int headDim, bool keepsRows)
    : m_headDim(headDim)
    , m_keepsRows(keepsRows)
{
}

TokenPages::TokenPages(const TokenPages& other)
    : TokenStore(other)
    , m_headDim(other.m_headDim)
    , m_keepsRows(other.m_keepsRows)
    , m_rows(other.m_rows)
{
    m_pages.reserve(other.m_pages.size());
    m_pointers.reserve(other.m_pages.size());
    for (const AlignedFloats& page : other.m_pages) {
        AlignedFloats& copy = m_pages.emplace_back(page.size());
        std::ranges::copy(page.span(), copy.data());
        m_pointers.push_back(copy.data());
    }
}

float* TokenPages::keyLane(std::int64_t slot)
{
    return m_pages[static_cast<std::size_t>(slot / pageTokens)].data() + slot % pageTokens;
}

const float* TokenPages::keyLane(std::int64_t slot) const
{
    return m_pages[static_cast<std::size_t>(slot / pageTokens)].data() + slot % pageTokens;
}

float* TokenPages::valueRow(std::int64_t slot)
{
    return m_pages[static_cast<std::size_t>(slot / pageTokens)].data() + (pageTokens + slot % pageTokens) * m_headDim;
}

void TokenPages::addPage()
{
    AlignedFloats& page = m_pages.emplace_back(static_cast<std::size_t>(2 * pageTokens * m_headDim));
    // Idle slots are read like others and weigh 0, so they must be finite.
    std::ranges::fill(page.span(), 0.0F);
    m_pointers.push_back(page.data());
    if (m_keepsRows)
        m_rows.resize(static_cast<std::size_t>(slots() * m_headDim));
}

void TokenPages::put(std::int64_t slot, std::span<const float> key, std::span<const float> value)
{
    while (slot >= slots())
        addPage();
    float* const lane = keyLane(slot);
    for (std::int64_t i = 0; i < m_headDim; ++i)
        lane[i * pageTokens] = key[static_cast<std::size_t>(i)];
    std::copy_n(value.begin(), m_headDim, valueRow(slot));
    if (m_keepsRows)
        std::copy_n(key.begin(), m_headDim, m_rows.begin() + slot * m_headDim);
}

void TokenPages::move(std::int64_t from, std::int64_t to)
{
    put(to, key(from), value(from));
}

void TokenPages::shrink(std::int64_t slots)
{
    const auto pages = static_cast<std::size_t>((slots + pageTokens - 1) / pageTokens);
    if (pages >= m_pages.size())
        return;
    m_pages.resize(pages);
    m_pointers.resize(pages);
    if (m_keepsRows)
        m_rows.resize(static_cast<std::size_t>(this->slots() * m_headDim));
}

std::vector<float> TokenPages::key(std::int64_t slot) const
{
    const float* const lane = keyLane(slot);
    std::vector<float> key(static_cast<std::size_t>(m_headDim));
    for (std::int64_t i = 0; i < m_headDim; ++i)
        key[static_cast<std::size_t>(i)] = lane[i * pageTokens];
    return key;
}

std::vector<float> TokenPages::value(std::int64_t slot) const
{
    const float* const row
        = m_pointers[static_cast<std::size_t>(slot / pageTokens)] + (pageTokens + slot % pageTokens) * m_headDim;
    return {row, row + m_headDim};
}

void TokenPages::turn(const Turn& turn)
{
    decode_kernels::turnKeys(m_pages[static_cast<std::size_t>(turn.page)].data(), m_headDim, turn.chosen.data(),
        turn.cosines.data(), turn.sines.data());
    for (std::int64_t lane = 0; m_keepsRows && lane < pageTokens; ++lane) {
        const std::int64_t slot = turn.page * pageTokens + lane;
        if (turn.chosen[static_cast<std::size_t>(lane)] != 0.0F)
            std::ranges::copy(key(slot), m_rows.begin() + slot * m_headDim);
    }
}

std::int64_t TokenPages::bytes() const
{
    const std::size_t perPage
        = static_cast<std::size_t>(2 * pageTokens * m_headDim) * sizeof(float) + sizeof(AlignedFloats) + sizeof(float*);
    return static_cast<std::int64_t>(m_pages.size() * perPage + m_rows.capacity() * sizeof(float));
}

} // namespace kvloupe
