// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// One token of a text and the bytes it stands for, half-open.
struct SentencePieceToken {
    std::int32_t id = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// A model of the library SentencePiece, which normalises, cuts and encodes.
///
/// The library carries a copy of Protocol Buffers that LibTorch's would be mixed up with if both were linked, so it
/// lives in a module of its own that is loaded when a tokenizer.model is read; this interface is all that crosses the
/// border.
class SentencePieceEncoder {
public:
    virtual ~SentencePieceEncoder() = default;

    virtual std::int32_t size() const = 0; ///< ids are 0 to size() - 1
    virtual std::string piece(std::int32_t id) const = 0;
    virtual bool isControl(std::int32_t id) const = 0;
    virtual bool isUnknown(std::int32_t id) const = 0;
    virtual bool isByte(std::int32_t id) const = 0;
    virtual std::int32_t bosId() const = 0; ///< -1 = none
    virtual std::int32_t eosId() const = 0;
    virtual std::vector<SentencePieceToken> encode(std::string_view text) const = 0;
};

/// What the module exports under the name of `sentencePieceEntry`: a model from the bytes of a tokenizer.model, which
/// the caller deletes, or null with the reason in `problem`.
using OpenSentencePiece = SentencePieceEncoder* (*)(const char* bytes, std::size_t size, std::string* problem);
inline constexpr const char* sentencePieceEntry = "kvloupe_open_sentencepiece";
inline constexpr const char* sentencePieceModule = "kvloupe_sentencepiece.so";

/// Loads the module, once, and the model. The module lies at `../lib/kvloupe` seen from the folder of the executable.
/// Throws TokenizerError that begins with `where`.
std::unique_ptr<const SentencePieceEncoder> openSentencePiece(std::string_view model, const std::string& where);

} // namespace kvloupe
