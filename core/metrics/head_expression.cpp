// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/head_expression.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

namespace kvloupe {

namespace {

constexpr std::size_t longestText = 2000;
constexpr int deepestNesting = 64;

bool isNameCharacter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool beginsName(char c)
{
    return isNameCharacter(c) && !(c >= '0' && c <= '9');
}

} // namespace

/// Recursive descent; every rule appends its steps and says whether they give a condition.
class HeadExpression::Parser {
public:
    Parser(std::string_view text, const ExpressionNames& names)
        : m_text(text)
        , m_names(names)
    {
    }

    HeadExpression parse()
    {
        if (m_text.size() > longestText)
            fail(longestText, fmt::format("{} characters, expected at most {}", m_text.size(), longestText));
        m_result.m_isCondition = disjunction();
        skipBlanks();
        if (m_at < m_text.size())
            fail(m_at, fmt::format("found {}, expected an operator or the end", found()));
        return std::move(m_result);
    }

private:
    enum class Kind { Number, Condition };

    [[noreturn]] static void fail(std::size_t position, const std::string& what)
    {
        throw ExpressionError(fmt::format("at character {}: {}", position + 1, what), position);
    }

    std::string found()
    {
        skipBlanks();
        if (m_at >= m_text.size())
            return "the end";
        std::size_t end = m_at + 1;
        if (beginsName(m_text[m_at])) {
            while (end < m_text.size() && isNameCharacter(m_text[end]))
                ++end;
        } else {
            // A whole character, not a part of one.
            while (end < m_text.size() && (static_cast<unsigned char>(m_text[end]) & 0xC0U) == 0x80U)
                ++end;
        }
        return fmt::format("\"{}\"", m_text.substr(m_at, std::min<std::size_t>(end - m_at, 40)));
    }

    void skipBlanks()
    {
        while (m_at < m_text.size() && (m_text[m_at] == ' ' || m_text[m_at] == '\t' || m_text[m_at] == '\n'))
            ++m_at;
    }

    bool takeSymbol(std::string_view symbol)
    {
        skipBlanks();
        if (!m_text.substr(m_at).starts_with(symbol))
            return false;
        m_at += symbol.size();
        return true;
    }

    bool takeWord(std::string_view word)
    {
        skipBlanks();
        const std::size_t end = m_at + word.size();
        if (!m_text.substr(m_at).starts_with(word) || (end < m_text.size() && isNameCharacter(m_text[end])))
            return false;
        m_at = end;
        return true;
    }

    void append(Code code) { m_result.m_steps.push_back({code}); }

    static void require(bool isCondition, Kind kind, std::size_t position)
    {
        if (isCondition != (kind == Kind::Condition))
            fail(position,
                kind == Kind::Condition ? "found a number, expected a condition such as sink > 0.5"
                                        : "found a condition, expected a number");
    }

    /// Where what comes next begins.
    std::size_t place()
    {
        skipBlanks();
        return m_at;
    }

    bool disjunction()
    {
        const std::size_t begin = place();
        const bool isCondition = conjunction();
        while (takeWord("or")) {
            require(isCondition, Kind::Condition, begin);
            const std::size_t right = place();
            require(conjunction(), Kind::Condition, right);
            append(Code::Or);
        }
        return isCondition;
    }

    bool conjunction()
    {
        const std::size_t begin = place();
        const bool isCondition = negation();
        while (takeWord("and")) {
            require(isCondition, Kind::Condition, begin);
            const std::size_t right = place();
            require(negation(), Kind::Condition, right);
            append(Code::And);
        }
        return isCondition;
    }

    bool negation()
    {
        if (!takeWord("not"))
            return comparison();
        const Level level(*this);
        const std::size_t right = place();
        require(negation(), Kind::Condition, right);
        append(Code::Not);
        return true;
    }

    std::optional<Code> takeComparison()
    {
        static constexpr std::array<std::pair<std::string_view, Code>, 7> symbols{
            {{"<=", Code::LessEqual}, {">=", Code::GreaterEqual}, {"==", Code::Equal}, {"!=", Code::NotEqual},
                {"<", Code::Less}, {">", Code::Greater}, {"=", Code::Equal}}};
        for (const auto& [symbol, code] : symbols)
            if (takeSymbol(symbol))
                return code;
        return std::nullopt;
    }

    bool comparison()
    {
        const std::size_t begin = place();
        const bool isCondition = sum();
        const auto code = takeComparison();
        if (!code)
            return isCondition;
        require(isCondition, Kind::Number, begin);
        const std::size_t right = place();
        require(sum(), Kind::Number, right);
        append(*code);
        const std::size_t next = place();
        if (takeComparison())
            fail(next, "found a second comparison, expected \"and\" between the two");
        return true;
    }

    bool sum()
    {
        const std::size_t begin = place();
        const bool isCondition = product();
        for (;;) {
            const bool adds = takeSymbol("+");
            if (!adds && !takeSymbol("-"))
                return isCondition;
            require(isCondition, Kind::Number, begin);
            const std::size_t right = place();
            require(product(), Kind::Number, right);
            append(adds ? Code::Add : Code::Subtract);
        }
    }

    bool product()
    {
        const std::size_t begin = place();
        const bool isCondition = signedValue();
        for (;;) {
            const bool multiplies = takeSymbol("*");
            if (!multiplies && !takeSymbol("/"))
                return isCondition;
            require(isCondition, Kind::Number, begin);
            const std::size_t right = place();
            require(signedValue(), Kind::Number, right);
            append(multiplies ? Code::Multiply : Code::Divide);
        }
    }

    bool signedValue()
    {
        if (!takeSymbol("-"))
            return value();
        const Level level(*this);
        const std::size_t right = place();
        require(signedValue(), Kind::Number, right);
        append(Code::Negate);
        return false;
    }

    bool value()
    {
        const std::size_t begin = place();
        if (takeSymbol("(")) {
            const Level level(*this);
            const bool isCondition = disjunction();
            if (!takeSymbol(")"))
                fail(m_at, fmt::format("found {}, expected \")\"", found()));
            return isCondition;
        }
        if (begin < m_text.size() && beginsName(m_text[begin]))
            variable();
        else
            number();
        return false;
    }

    void number()
    {
        double read = 0.0;
        const auto [end, error] = std::from_chars(m_text.data() + m_at, m_text.data() + m_text.size(), read);
        if (error == std::errc::result_out_of_range)
            fail(m_at, "the number is too large or too small");
        if (error != std::errc() || !std::isfinite(read))
            fail(m_at, fmt::format("found {}, expected a number, a measure or \"(\"", found()));
        m_at = static_cast<std::size_t>(end - m_text.data());
        m_result.m_steps.push_back({Code::Number, read});
    }

    static void requireName(
        const std::vector<std::string>& known, const std::string& name, std::size_t position, std::string_view what)
    {
        if (std::ranges::find(known, name) == known.end())
            fail(position,
                fmt::format("no {} \"{}\"; there {} {}", what, name.substr(0, 40), known.size() == 1 ? "is" : "are",
                    known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
    }

    void variable()
    {
        const std::size_t begin = m_at;
        while (m_at < m_text.size() && isNameCharacter(m_text[m_at]))
            ++m_at;
        HeadVariable wanted{std::string(m_text.substr(begin, m_at - begin)), {}};
        const bool isFunction = std::ranges::find(m_names.functions, wanted.name) != m_names.functions.end();
        if (!isFunction) {
            std::vector<std::string> known = m_names.measures;
            for (const std::string& function : m_names.functions)
                known.push_back(function + "(method)");
            requireName(known, wanted.name, begin, "measure");
        } else {
            if (!takeSymbol("("))
                fail(m_at, fmt::format("found {}, expected \"(\" and a method after {}", found(), wanted.name));
            const std::size_t inside = place();
            const std::size_t end = std::min(m_text.find(')', inside), m_text.size());
            wanted.argument = m_text.substr(inside, end - inside);
            while (wanted.argument.ends_with(' '))
                wanted.argument.pop_back();
            m_at = end;
            requireName(m_names.arguments, wanted.argument, inside, "method");
            if (!takeSymbol(")"))
                fail(m_at, fmt::format("found {}, expected \")\"", found()));
        }
        std::vector<HeadVariable>& variables = m_result.m_variables;
        const auto known = std::ranges::find(variables, wanted);
        const auto index = static_cast<std::size_t>(known - variables.begin());
        if (known == variables.end())
            variables.push_back(std::move(wanted));
        m_result.m_steps.push_back({Code::Variable, 0.0, index});
    }

    /// One level of nesting for as long as it lives.
    class Level {
    public:
        explicit Level(Parser& parser)
            : m_parser(parser)
        {
            if (++m_parser.m_depth > deepestNesting)
                fail(m_parser.m_at, fmt::format("nested more than {} levels deep", deepestNesting));
        }
        ~Level() { --m_parser.m_depth; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;

    private:
        Parser& m_parser;
    };

    std::string_view m_text;
    const ExpressionNames& m_names;
    HeadExpression m_result;
    std::size_t m_at = 0;
    int m_depth = 0;
};

HeadExpression HeadExpression::parse(std::string_view text, const ExpressionNames& names)
{
    return Parser(text, names).parse();
}

double HeadExpression::evaluate(std::span<const double> values) const
{
    std::vector<double> stack;
    const auto pop = [&stack] {
        const double top = stack.back();
        stack.pop_back();
        return top;
    };
    for (const Step& step : m_steps) {
        if (step.code == Code::Number || step.code == Code::Variable) {
            stack.push_back(step.code == Code::Number ? step.number : values[step.variable]);
            continue;
        }
        const double right = pop();
        if (step.code == Code::Negate || step.code == Code::Not) {
            stack.push_back(step.code == Code::Negate ? -right : right == 0.0 ? 1.0 : 0.0);
            continue;
        }
        const double left = pop();
        const auto compute = [&] {
            const auto truth = [](bool is) { return is ? 1.0 : 0.0; };
            switch (step.code) {
            case Code::Add:
                return left + right;
            case Code::Subtract:
                return left - right;
            case Code::Multiply:
                return left * right;
            case Code::Divide:
                return left / right;
            case Code::Less:
                return truth(left < right);
            case Code::LessEqual:
                return truth(left <= right);
            case Code::Greater:
                return truth(left > right);
            case Code::GreaterEqual:
                return truth(left >= right);
            case Code::Equal:
                return truth(left == right);
            case Code::NotEqual:
                return truth(left < right || left > right);
            case Code::And:
                return truth(left != 0.0 && right != 0.0);
            default:
                return truth(left != 0.0 || right != 0.0);
            }
        };
        stack.push_back(compute());
    }
    return stack.back();
}

} // namespace kvloupe
