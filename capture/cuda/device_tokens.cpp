// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_tokens.h"

#include "capture/model/rope.h"

#include <algorithm>
#include <utility>

namespace kvloupe::cuda {

static_assert(TokenEdit::pageTokens == TokenStore::pageTokens);

namespace {

constexpr std::int64_t alignment = 16; // bytes, of the widest loads

std::int64_t wholePages(std::int64_t slots)
{
    return (slots + TokenStore::pageTokens - 1) / TokenStore::pageTokens * TokenStore::pageTokens;
}

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// A copy with more rows; those that are new hold anything.
void grow(at::Tensor& tensor, std::int64_t capacity)
{
    if (!tensor.defined())
        return;
    std::vector<std::int64_t> sizes = tensor.sizes().vec();
    const std::int64_t rows = sizes.front();
    sizes.front() = capacity;
    at::Tensor larger = at::empty(sizes, tensor.options());
    larger.narrow(0, 0, rows).copy_(tensor);
    tensor = larger;
}

template <typename T> T* pointerOf(const at::Tensor& tensor)
{
    return tensor.defined() ? static_cast<T*>(tensor.data_ptr()) : nullptr;
}

} // namespace

std::int64_t Upload::reserve(std::int64_t bytes)
{
    const auto begin = static_cast<std::int64_t>(m_bytes.size());
    m_bytes.resize(index((begin + bytes + alignment - 1) / alignment * alignment));
    return begin;
}

at::Tensor Upload::allocate(at::Device device) const
{
    return at::empty({std::ssize(m_bytes)}, at::TensorOptions(device).dtype(at::kByte));
}

void Upload::copyTo(const at::Tensor& memory) const
{
    const bool pinned = memory.is_cuda(); // so that the copy need not be waited for
    const at::Tensor host = at::empty({std::ssize(m_bytes)}, at::TensorOptions(at::kByte).pinned_memory(pinned));
    std::memcpy(host.data_ptr(), m_bytes.data(), m_bytes.size());
    memory.copy_(host, true);
}

DeviceTokens::DeviceTokens(Vectors vectors)
    : m_keys(std::move(vectors.keys))
    , m_values(std::move(vectors.values))
    , m_frequencies(std::move(vectors.frequencies))
    , m_slots(wholePages(vectors.tokens))
    , m_keepsRows(vectors.keepsRows)
    , m_rows(std::move(vectors.keyRows))
{
    const c10::InferenceMode inference;
    if (m_keepsRows)
        m_rows.resize(index(m_slots * headDim()));
    if (!m_frequencies.defined())
        return;
    m_cameAs = m_keys.clone();
    at::Tensor shifts = at::zeros({m_keys.size(0)}, at::kInt);
    std::ranges::copy(vectors.shifts, shifts.data_ptr<std::int32_t>());
    m_shifts = shifts.to(m_keys.device());
    for (std::int64_t slot = 0; slot < std::ssize(vectors.shifts); slot += pageTokens) {
        std::uint32_t chosen = 0;
        for (std::int64_t token = slot; token < std::min(slot + pageTokens, std::ssize(vectors.shifts)); ++token)
            chosen |= static_cast<std::uint32_t>(vectors.shifts[index(token)] != 0) << (token - slot);
        if (chosen != 0)
            note({TokenEdit::Turn, static_cast<int>(slot), 0, chosen, 0, 0});
    }
}

DeviceTokens::DeviceTokens(const DeviceTokens& other)
    : TokenStore(other)
    , m_frequencies(other.m_frequencies)
    , m_slots(other.m_slots)
    , m_keepsRows(other.m_keepsRows)
    , m_rows(other.m_rows)
    , m_edits(other.m_edits)
    , m_numbers(other.m_numbers)
    , m_groupEnded(other.m_groupEnded)
{
    const c10::InferenceMode inference;
    m_keys = other.m_keys.clone();
    m_values = other.m_values.clone();
    if (other.m_cameAs.defined()) {
        m_cameAs = other.m_cameAs.clone();
        m_shifts = other.m_shifts.clone();
    }
}

/// Moves of one eviction do not touch each other's slots, and neither do its turns: they are a group.
void DeviceTokens::note(TokenEdit edit)
{
    if (m_groupEnded || edit.kind == TokenEdit::Put || m_edits.back().kind != edit.kind)
        ++m_group;
    m_groupEnded = false;
    edit.groupEnd = m_group; // until all are known
    m_edits.push_back(edit);
}

void DeviceTokens::put(std::int64_t slot, std::span<const float> key, std::span<const float> value)
{
    m_slots = std::max(m_slots, wholePages(slot + 1));
    const auto numbers = static_cast<int>(m_numbers.size());
    m_numbers.insert(m_numbers.end(), key.begin(), key.end());
    m_numbers.insert(m_numbers.end(), value.begin(), value.end());
    note({TokenEdit::Put, static_cast<int>(slot), 0, 0, 0, numbers});
    if (!m_keepsRows)
        return;
    m_rows.resize(index(m_slots * headDim()));
    std::ranges::copy(key, m_rows.begin() + slot * headDim());
}

void DeviceTokens::move(std::int64_t from, std::int64_t to)
{
    note({TokenEdit::Move, static_cast<int>(to), static_cast<int>(from), 0, 0, 0});
    if (m_keepsRows)
        std::copy_n(m_rows.begin() + from * headDim(), headDim(), m_rows.begin() + to * headDim());
}

void DeviceTokens::shrink(std::int64_t slots)
{
    m_groupEnded = true;
    m_slots = std::min(m_slots, wholePages(slots));
    if (m_keepsRows)
        m_rows.resize(index(m_slots * headDim()));
}

void DeviceTokens::turn(const Turn& turn)
{
    std::uint32_t chosen = 0;
    for (std::int64_t token = 0; token < pageTokens; ++token) {
        if (turn.chosen[index(token)] == 0.0F)
            continue;
        chosen |= 1U << token;
        if (m_keepsRows) {
            const std::span row
                = std::span(m_rows).subspan(index((turn.page * pageTokens + token) * headDim()), index(headDim()));
            applyRope(row, turn.cosines, turn.sines, row);
        }
    }
    note({TokenEdit::Turn, static_cast<int>(turn.page * pageTokens), turn.shift, chosen, 0, 0});
}

std::int64_t DeviceTokens::bytes() const
{
    std::int64_t sum = std::ssize(m_rows) * static_cast<std::int64_t>(sizeof(float));
    for (const at::Tensor* tensor : {&m_keys, &m_values, &m_cameAs, &m_shifts})
        if (tensor->defined())
            sum += static_cast<std::int64_t>(tensor->nbytes());
    return sum;
}

/// A quarter more than is needed, so that a growing list is copied a few times only.
void DeviceTokens::makeRoom()
{
    if (m_slots <= m_keys.size(0))
        return;
    const std::int64_t capacity = wholePages(m_slots * 5 / 4);
    for (at::Tensor* tensor : {&m_keys, &m_values, &m_cameAs, &m_shifts})
        grow(*tensor, capacity);
}

DeviceTokens::Noted DeviceTokens::takeEdits(Upload& upload)
{
    makeRoom();
    Noted noted;
    if (m_edits.empty())
        return noted;
    noted.count = static_cast<int>(m_edits.size());
    int end = noted.count;
    for (int i = noted.count - 1, group = m_group; i >= 0; --i) {
        int& number = m_edits[index(i)].groupEnd;
        if (number != std::exchange(group, number))
            end = i + 1;
        number = end;
    }
    noted.edits = upload.add(std::span<const TokenEdit>(m_edits));
    noted.numbers = upload.add(std::span<const float>(m_numbers));
    m_edits.clear();
    m_numbers.clear();
    m_groupEnded = true;
    return noted;
}

template <typename Element> TokenEdits<Element> DeviceTokens::edits(const Noted& noted, const std::byte* memory) const
{
    return {pointerOf<Element>(m_keys), pointerOf<Element>(m_values), pointerOf<Element>(m_cameAs),
        pointerOf<int>(m_shifts), pointerOf<const float>(m_frequencies),
        reinterpret_cast<const TokenEdit*>(memory + noted.edits),
        reinterpret_cast<const float*>(memory + noted.numbers), noted.count};
}

template TokenEdits<float> DeviceTokens::edits(const Noted&, const std::byte*) const;
template TokenEdits<Bfloat16> DeviceTokens::edits(const Noted&, const std::byte*) const;
template TokenEdits<Float16> DeviceTokens::edits(const Noted&, const std::byte*) const;

} // namespace kvloupe::cuda
