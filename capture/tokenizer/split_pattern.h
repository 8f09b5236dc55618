// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Half-open byte range of a text.
struct ByteRange {
    std::size_t begin = 0;
    std::size_t end = 0;
    bool operator==(const ByteRange&) const = default;
};

enum class PatternSyntax { Regex, Literal };

/// A pre-tokenizer pattern. Hugging Face's tokenizers run Oniguruma in Ruby syntax; this runs PCRE2 in UTF mode, with
/// JIT, and match, depth and heap limits, because patterns come from files.
///
/// What the two libraries read differently is translated or refused with a TokenizerError, never reinterpreted: white
/// space
/// (\s, \S), \uHHHH, {,n}, ^ and $; refused are {n,m}+, \h, set operations and nested sets in [...], inline flags but
/// i.
class SplitPattern {
public:
    /// `where` begins error messages.
    SplitPattern(std::string_view pattern, PatternSyntax syntax, std::string where);
    SplitPattern(SplitPattern&&) noexcept;
    SplitPattern& operator=(SplitPattern&&) noexcept;
    ~SplitPattern();

    /// Runs the pattern over texts, one after the other. A SplitPattern serves any number of matchers at the same time;
    /// it outlives them.
    class Matcher {
    public:
        explicit Matcher(const SplitPattern& pattern);
        Matcher(Matcher&&) noexcept;
        ~Matcher();

        /// The non-empty matches in well-formed UTF-8, left to right, without overlap.
        std::vector<ByteRange> matches(std::string_view text);

    private:
        struct Workspace;
        const SplitPattern& m_pattern;
        std::unique_ptr<Workspace> m_workspace;
    };

private:
    struct Compiled;
    std::string m_where;
    std::unique_ptr<const Compiled> m_compiled;
};

/// The same pattern in PCRE2's syntax (with PCRE2_UTF, PCRE2_UCP and PCRE2_MULTILINE set).
std::string translateOniguruma(std::string_view pattern, const std::string& where);

} // namespace kvloupe
