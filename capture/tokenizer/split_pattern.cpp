// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/split_pattern.h"

#include "capture/tokenizer/tokenizer_error.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <cctype>
#include <new>

namespace kvloupe {

namespace {

constexpr std::size_t longestPattern = 16384;
constexpr std::uint32_t matchLimit = 20'000'000;
constexpr std::uint32_t depthLimit = 100'000;
constexpr std::uint32_t heapLimitKib = 131'072;
constexpr std::size_t jitStackBytes = std::size_t{8} << 20;

// Unicode White_Space, which is what Oniguruma means by \s; PCRE2's own adds U+180E.
constexpr std::string_view whiteSpaceMembers = R"(\t-\r\x{85}\p{Z})";

// Unicode's word characters (UTS #18, annex C), which is what Oniguruma means by \w; PCRE2's own are fewer.
constexpr std::string_view wordMembers = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

template <auto release> struct Release {
    void operator()(auto* object) const { release(object); }
};
using Code = std::unique_ptr<pcre2_code, Release<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Release<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Release<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Release<pcre2_match_data_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Release<pcre2_jit_stack_free>>;

std::string messageOf(int error)
{
    std::array<PCRE2_UCHAR, 256> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    return reinterpret_cast<const char*>(text.data());
}

PCRE2_SPTR unitsOf(std::string_view text)
{
    return reinterpret_cast<PCRE2_SPTR>(text.data());
}

/// Walks over a pattern in Oniguruma's Ruby syntax and writes PCRE2's.
class Translator {
public:
    Translator(std::string_view pattern, const std::string& where)
        : m_pattern(pattern)
        , m_where(where)
    {
    }

    std::string run()
    {
        while (m_at < m_pattern.size()) {
            const char c = m_pattern[m_at];
            if (c == '\\')
                escape();
            else if (m_inSet)
                member(c);
            else if (c == '[')
                openSet();
            else if (c == '{')
                interval();
            else if (c == '(')
                group();
            else
                copy(1);
        }
        return std::move(m_result);
    }

private:
    [[noreturn]] void refuse(std::string_view what) const
    {
        throw TokenizerError(fmt::format("{}: the pattern uses {}, which is not supported", m_where, what));
    }

    std::string_view rest() const { return m_pattern.substr(m_at); }

    void copy(std::size_t count)
    {
        m_result += rest().substr(0, count);
        m_at += std::min(count, m_pattern.size() - m_at);
    }

    void replace(std::size_t count, std::string_view text)
    {
        m_result += text;
        m_at += count;
    }

    void escape()
    {
        if (m_at + 1 >= m_pattern.size())
            refuse("a backslash at its end");
        switch (m_pattern[m_at + 1]) {
        case 's':
            return replace(2, m_inSet ? std::string(whiteSpaceMembers) : fmt::format("[{}]", whiteSpaceMembers));
        case 'S':
            if (m_inSet)
                refuse("\\S inside [...]");
            return replace(2, fmt::format("[^{}]", whiteSpaceMembers));
        case 'w':
            return replace(2, m_inSet ? std::string(wordMembers) : fmt::format("[{}]", wordMembers));
        case 'W':
            if (m_inSet)
                refuse("\\W inside [...]");
            return replace(2, fmt::format("[^{}]", wordMembers));
        case 'h':
        case 'H':
            refuse("\\h, a hexadecimal digit in Oniguruma and a blank in PCRE2");
        case 'p':
        case 'P': {
            const std::size_t close = rest().find('}');
            return copy(rest().starts_with("\\p{") || rest().starts_with("\\P{")
                    ? (close == std::string_view::npos ? rest().size() : close + 1)
                    : 2);
        }
        case 'x': {
            const std::size_t close = rest().starts_with("\\x{") ? rest().find('}') : std::string_view::npos;
            return copy(close == std::string_view::npos ? 2 : close + 1);
        }
        case 'u':
            if (rest().size() < 6)
                refuse("an unfinished \\u");
            return replace(6, fmt::format("\\x{{{}}}", rest().substr(2, 4)));
        default:
            return copy(2);
        }
    }

    void openSet()
    {
        m_inSet = true;
        copy(1);
        if (rest().starts_with('^'))
            copy(1);
        if (rest().starts_with(']'))
            refuse("an empty set []");
    }

    void member(char c)
    {
        if (c == ']')
            m_inSet = false;
        if (rest().starts_with("[:")) {
            const std::size_t close = rest().find(":]");
            if (close == std::string_view::npos)
                refuse("an unfinished [:");
            return copy(close + 2);
        }
        if (c == '[')
            refuse("a set inside [...]");
        if (rest().starts_with("&&"))
            refuse("an intersection inside [...]");
        copy(1);
    }

    void interval()
    {
        std::size_t end = 1;
        while (
            end < rest().size() && (std::isdigit(static_cast<unsigned char>(rest()[end])) != 0 || rest()[end] == ','))
            ++end;
        const bool isInterval = end > 1 && end < rest().size() && rest()[end] == '}';
        if (!isInterval)
            return copy(1);
        if (rest().substr(end + 1).starts_with('+'))
            refuse("{n,m}+, which is greedy in Oniguruma and possessive in PCRE2");
        if (rest().starts_with("{,"))
            m_result += "{0", ++m_at, --end;
        copy(end + 1);
    }

    void group()
    {
        if (rest().starts_with("(*"))
            refuse("(*VERB)");
        if (rest().starts_with("(?")) {
            const std::string_view flags = rest().substr(2, rest().find_first_of(":)") - 2);
            const bool isFlags = !flags.empty() && flags.find_first_not_of("-imsxauUJn") == std::string_view::npos;
            if (isFlags && flags != "i" && flags != "-i")
                refuse("inline flags other than i");
        }
        copy(1);
    }

    std::string_view m_pattern;
    const std::string& m_where;
    std::size_t m_at = 0;
    bool m_inSet = false;
    std::string m_result;
};

} // namespace

struct SplitPattern::Compiled {
    Code code;
    MatchContext limits;
};

std::string translateOniguruma(std::string_view pattern, const std::string& where)
{
    return Translator(pattern, where).run();
}

SplitPattern::SplitPattern(std::string_view pattern, PatternSyntax syntax, std::string where)
    : m_where(std::move(where))
{
    if (pattern.empty() || pattern.size() > longestPattern)
        throw TokenizerError(
            fmt::format("{}: a pattern of {} bytes, expected 1 to {}", m_where, pattern.size(), longestPattern));
    const bool isRegex = syntax == PatternSyntax::Regex;
    const std::string translated = isRegex ? translateOniguruma(pattern, m_where) : std::string(pattern);
    const std::uint32_t options
        = isRegex ? PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C : PCRE2_UTF | PCRE2_LITERAL;
    int error = 0;
    PCRE2_SIZE position = 0;
    Code code(pcre2_compile(unitsOf(translated), translated.size(), options, &error, &position, nullptr));
    if (!code)
        throw TokenizerError(
            fmt::format("{}: the pattern does not compile: {} at byte {}", m_where, messageOf(error), position));
    // Without JIT support in the library the interpreter runs the same pattern, only slower.
    pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
    MatchContext limits(pcre2_match_context_create(nullptr));
    if (!limits)
        throw std::bad_alloc();
    pcre2_set_match_limit(limits.get(), matchLimit);
    pcre2_set_depth_limit(limits.get(), depthLimit);
    pcre2_set_heap_limit(limits.get(), heapLimitKib);
    m_compiled = std::make_unique<const Compiled>(Compiled{std::move(code), std::move(limits)});
}

SplitPattern::SplitPattern(SplitPattern&&) noexcept = default;
SplitPattern& SplitPattern::operator=(SplitPattern&&) noexcept = default;
SplitPattern::~SplitPattern() = default;

struct SplitPattern::Matcher::Workspace {
    MatchData data;
    JitStack stack;
    MatchContext context;
};

SplitPattern::Matcher::Matcher(const SplitPattern& pattern)
    : m_pattern(pattern)
    , m_workspace(std::make_unique<Workspace>())
{
    m_workspace->data.reset(pcre2_match_data_create_from_pattern(pattern.m_compiled->code.get(), nullptr));
    m_workspace->stack.reset(pcre2_jit_stack_create(32 * 1024, jitStackBytes, nullptr));
    m_workspace->context.reset(pcre2_match_context_copy(pattern.m_compiled->limits.get()));
    if (!m_workspace->data || !m_workspace->context)
        throw std::bad_alloc();
    pcre2_jit_stack_assign(m_workspace->context.get(), nullptr, m_workspace->stack.get());
}

SplitPattern::Matcher::Matcher(Matcher&&) noexcept = default;
SplitPattern::Matcher::~Matcher() = default;

std::vector<ByteRange> SplitPattern::Matcher::matches(std::string_view text)
{
    std::vector<ByteRange> found;
    for (std::size_t at = 0; at < text.size();) {
        const int result = pcre2_match(m_pattern.m_compiled->code.get(), unitsOf(text), text.size(), at,
            PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, m_workspace->data.get(), m_workspace->context.get());
        if (result == PCRE2_ERROR_NOMATCH)
            break;
        if (result < 0)
            throw TokenizerError(fmt::format("{}: the pattern fails at byte {} of a piece of {} bytes: {}",
                m_pattern.m_where, at, text.size(), messageOf(result)));
        const PCRE2_SIZE* const ends = pcre2_get_ovector_pointer(m_workspace->data.get());
        // \K can put the beginning of a match behind its end.
        if (ends[0] < at || ends[1] <= ends[0])
            throw TokenizerError(fmt::format("{}: the pattern matches backwards", m_pattern.m_where));
        found.push_back({ends[0], ends[1]});
        at = ends[1];
    }
    return found;
}

} // namespace kvloupe
