// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A text under normalisation that knows which bytes of the original each of its bytes came from. While nothing has
/// changed it is a view of the original, which outlives it.
class NormalizedText {
public:
    /// Bytes [begin, end) of the original text.
    using Origin = std::array<std::int64_t, 2>;

    /// `original` is well-formed UTF-8, at most 1 GiB, and begins at byte `base` of the whole text.
    explicit NormalizedText(std::string_view original, std::int64_t base = 0)
        : m_original(original)
        , m_base(base)
    {
    }

    std::string_view text() const { return m_changed ? std::string_view(m_text) : m_original; }
    /// Where the non-empty range [begin, end) of text() came from.
    Origin origin(std::size_t begin, std::size_t end) const;

    /// Bytes [begin, end) as a text of their own, with the same origins.
    NormalizedText slice(std::size_t begin, std::size_t end) const;

    /// One character of a rewritten text. `change` says what it takes the place of, as in Hugging Face's
    /// NormalizedString: 0 one character, -n one and the n after it, 1 none, it stands behind what came before it.
    struct Character {
        char32_t code = 0;
        int change = 0;
    };

    /// Builds the next state of a text from left to right. Throws TokenizerError if it grows beyond all measure.
    class Rewriter {
    public:
        explicit Rewriter(const NormalizedText& from);
        /// Takes over bytes [begin, end).
        void keep(std::size_t begin, std::size_t end);
        /// Puts new text that came from `origin`.
        void put(std::string_view text, Origin origin);
        /// Puts characters in the place of bytes [begin, end).
        void replace(std::size_t begin, std::size_t end, std::span<const Character> characters);
        std::size_t size() const { return m_text.size(); }
        NormalizedText take();

    private:
        struct Stored {
            std::uint32_t begin;
            std::uint32_t end;
        };
        friend class NormalizedText;
        const NormalizedText& m_from;
        std::string m_text;
        std::vector<Stored> m_origins;
    };

private:
    std::string_view m_original;
    std::int64_t m_base = 0;
    bool m_changed = false;
    std::string m_text;
    std::vector<Rewriter::Stored> m_origins; // per byte of m_text, from the beginning of the original
};

} // namespace kvloupe
