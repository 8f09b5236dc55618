// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/tokenizer_error.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

struct Encoding {
    std::vector<std::int32_t> ids;
    /// Bytes [begin, end) of the original text behind each token. A token that is part of a character has its true
    /// bytes; where normalisation put characters in the place of others, they have the bytes that
    /// Hugging Face's NormalizedString gives them; what the template adds is empty.
    std::vector<std::array<std::int64_t, 2>> offsets;
    /// Bytes of the text (offsets) for which the vocabulary has no token; like Hugging Face's tokenizers we leave them
    /// out.
    std::vector<std::int64_t> droppedBytes;
};

struct EncodeOptions {
    bool parseSpecial = true; ///< special tokens written in the text become those tokens; false: they stay text
    bool addTemplate = false; ///< what the model's post-processor adds, such as a beginning-of-sequence token
};

/// A tokenizer of a language model with the results of Hugging Face's `tokenizers`: byte-pair encoding that begins with
/// bytes or with characters, or a unigram model. Const and thread-safe.
class Tokenizer {
public:
    /// A GGUF file, a tokenizer.json, a tokenizer.model of SentencePiece, or a folder that holds one of them. Throws
    /// TokenizerError (or CheckpointError for a damaged container) naming the file and the field; components that are
    /// not known are listed, never guessed.
    static std::unique_ptr<Tokenizer> open(const std::filesystem::path& path);

    ~Tokenizer();

    /// Throws TokenizerError naming the byte offset if the text is not UTF-8. O(n log n) in its bytes.
    Encoding encode(std::string_view text, EncodeOptions options = {}) const;

    /// The exact bytes of a sequence; special tokens are written out. A space that encoding puts before a text is left
    /// out. Throws TokenizerError for an unknown id.
    std::string decode(std::span<const std::int32_t> ids) const;
    std::string bytes(std::int32_t id) const;
    /// For display: bytes that are no UTF-8 on their own as <0xE2>.
    std::string piece(std::int32_t id) const;

    /// Ids are below this; some may be unused.
    std::int64_t vocabSize() const;
    bool isSpecial(std::int32_t id) const;
    /// The id of a token by its exact bytes or the text of an added token; -1 if there is none.
    std::int32_t idOf(std::string_view text) const;

    /// The beginning-of-sequence token that the file names, else the first that its template puts before a text; -1 if
    /// there is neither.
    std::int32_t bosId() const;
    std::span<const std::int32_t> eosIds() const;
    /// Jinja text; "" when there is none.
    const std::string& chatTemplate() const;
    /// For people and recordings: "bpe smollm (gguf)".
    const std::string& kind() const;
    /// SHA-256 of tokenizer.json, or of the tokenizer's part of the GGUF metadata.
    const std::string& sha256() const;

private:
    struct Impl;
    explicit Tokenizer(std::unique_ptr<const Impl> impl);
    std::unique_ptr<const Impl> m_impl;
};

} // namespace kvloupe
