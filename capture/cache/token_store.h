// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace kvloupe {

/// Keys and values of the tokens of one list, each in a slot, where a model computes. Which slot holds which token is
/// the business of a SlotMap.
class TokenStore {
public:
    static constexpr std::int64_t pageTokens = 16;

    virtual ~TokenStore() = default;
    virtual std::unique_ptr<TokenStore> clone() const = 0;

    /// Attention goes over so many slots, whole pages; idle ones among them weigh nothing.
    virtual std::int64_t slots() const = 0;
    /// Keys as rows in host memory, [slots, head_dim], for decode policies that read them; null unless asked for.
    virtual const float* keyRows() const = 0;

    /// `key`, `value`: [head_dim]. The slot may be one page further than there are any.
    virtual void put(std::int64_t slot, std::span<const float> key, std::span<const float> value) = 0;
    virtual void move(std::int64_t from, std::int64_t to) = 0;
    /// Forgets the pages after the first `slots` slots.
    virtual void shrink(std::int64_t slots) = 0;

    /// Turns the keys of those slots of a page whose `chosen` is not 0 to another position.
    struct Turn {
        std::int64_t page = 0;
        std::span<const float> chosen; ///< [pageTokens]
        std::int32_t shift = 0; ///< positions
        std::span<const float> cosines; ///< [head_dim / 2], of the shift
        std::span<const float> sines;
    };
    virtual void turn(const Turn& turn) = 0;

    virtual std::int64_t bytes() const = 0; ///< held
};

} // namespace kvloupe
