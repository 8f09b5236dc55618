// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/split_pattern.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A token of a piece: its id and the bytes [begin, end) of the piece it stands for; id -1 for bytes that the
/// vocabulary has no token for, which are left out.
struct PieceToken {
    std::int32_t id = -1;
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// Turns pieces into tokens. Const and thread-safe.
class TokenModel {
public:
    virtual ~TokenModel() = default;

    /// Appends the tokens of a piece, which is not empty.
    virtual void encode(std::string_view piece, std::vector<PieceToken>& out) const = 0;

    /// Appends parts of [begin, end) of `text` that can be encoded by themselves with the same result: the whole
    /// range, unless the model knows better. Short parts recur and are encoded once.
    virtual void cut(std::string_view text, ByteRange range, std::vector<ByteRange>& parts) const
    {
        static_cast<void>(text);
        parts.push_back(range);
    }
};

} // namespace kvloupe
