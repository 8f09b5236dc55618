// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/expression_language.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

namespace {

constexpr std::size_t longestText = 512;
constexpr int deepest = 32;
constexpr std::int64_t largestNumber = 1'000'000;

} // namespace

class Expression::Parser {
public:
    Parser(std::string_view text, std::vector<Instruction>& program)
        : m_text(text)
        , m_program(program)
    {
    }

    void parse()
    {
        if (m_text.size() > longestText)
            throw ExpressionError(fmt::format("expression: {} bytes, at most {} are read", m_text.size(), longestText));
        sum(0);
        next();
        if (m_place < m_text.size())
            fail("an operator or the end");
    }

private:
    [[noreturn]] void fail(std::string_view expected)
    {
        throw ExpressionError(fmt::format("expression: byte {}: expected {}", m_place, expected));
    }

    /// Passes over blanks; the byte behind them, '\0' at the end.
    char next()
    {
        while (m_place < m_text.size() && (m_text[m_place] == ' ' || m_text[m_place] == '\t'))
            ++m_place;
        return m_place < m_text.size() ? m_text[m_place] : '\0';
    }

    bool takeIf(char wanted)
    {
        if (next() != wanted || m_place == m_text.size())
            return false;
        ++m_place;
        return true;
    }

    void expect(char wanted)
    {
        if (!takeIf(wanted))
            fail(fmt::format("'{}'", wanted));
    }

    void put(Operation operation, std::int64_t number = 0) { m_program.push_back({operation, number}); }

    void sum(int depth)
    {
        product(depth);
        for (;;) {
            if (takeIf('+')) {
                product(depth);
                put(Operation::Add);
            } else if (takeIf('-')) {
                product(depth);
                put(Operation::Subtract);
            } else {
                return;
            }
        }
    }

    void product(int depth)
    {
        factor(depth);
        while (takeIf('*')) {
            factor(depth);
            put(Operation::Multiply);
        }
    }

    void factor(int depth)
    {
        if (depth > deepest)
            fail(fmt::format("at most {} levels", deepest));
        const char c = next();
        if (c >= '0' && c <= '9')
            return number();
        if (takeIf('-')) {
            factor(depth + 1);
            return put(Operation::Negate);
        }
        if (takeIf('(')) {
            sum(depth + 1);
            return expect(')');
        }
        const std::string_view name = word();
        if (name == "x")
            return put(Operation::X);
        if (name == "y")
            return put(Operation::Y);
        if (name == "max" || name == "min") {
            expect('(');
            sum(depth + 1);
            expect(',');
            sum(depth + 1);
            expect(')');
            return put(name == "max" ? Operation::Max : Operation::Min);
        }
        m_place -= name.size();
        fail("a number, x, y, max, min or '('");
    }

    std::string_view word()
    {
        const std::size_t begin = m_place;
        while (m_place < m_text.size()
            && ((m_text[m_place] >= 'a' && m_text[m_place] <= 'z') || (m_text[m_place] >= 'A' && m_text[m_place] <= 'Z')
                || m_text[m_place] == '_' || (m_text[m_place] >= '0' && m_text[m_place] <= '9')))
            ++m_place;
        return m_text.substr(begin, m_place - begin);
    }

    void number()
    {
        std::int64_t value = 0;
        while (m_place < m_text.size() && m_text[m_place] >= '0' && m_text[m_place] <= '9') {
            value = value * 10 + (m_text[m_place] - '0');
            if (value > largestNumber)
                fail(fmt::format("a number up to {}", largestNumber));
            ++m_place;
        }
        if (m_place < m_text.size() && (m_text[m_place] == '.' || !word().empty()))
            fail("a whole number");
        put(Operation::Number, value);
    }

    std::string_view m_text;
    std::size_t m_place = 0;
    std::vector<Instruction>& m_program;
};

Expression::Expression(std::string_view text)
{
    Parser(text, m_program).parse();
}

std::int64_t Expression::operator()(std::int64_t x, std::int64_t y) const
{
    std::vector<std::int64_t> stack;
    const auto pop = [&] {
        const std::int64_t value = stack.back();
        stack.pop_back();
        return value;
    };
    const auto checked = [](bool overflows, std::int64_t value) {
        if (overflows)
            throw ExpressionError("expression: its value leaves 64 bits");
        return value;
    };
    for (const Instruction& instruction : m_program) {
        std::int64_t result = 0;
        switch (instruction.operation) {
        case Operation::Number:
            stack.push_back(instruction.number);
            continue;
        case Operation::X:
            stack.push_back(x);
            continue;
        case Operation::Y:
            stack.push_back(y);
            continue;
        case Operation::Negate: {
            const std::int64_t value = pop();
            const bool overflows = __builtin_sub_overflow(std::int64_t{0}, value, &result);
            stack.push_back(checked(overflows, result));
            continue;
        }
        default:
            break;
        }
        const std::int64_t right = pop();
        const std::int64_t left = pop();
        bool overflows = false;
        switch (instruction.operation) {
        case Operation::Add:
            overflows = __builtin_add_overflow(left, right, &result);
            break;
        case Operation::Subtract:
            overflows = __builtin_sub_overflow(left, right, &result);
            break;
        case Operation::Multiply:
            overflows = __builtin_mul_overflow(left, right, &result);
            break;
        case Operation::Max:
            result = std::max(left, right);
            break;
        default:
            result = std::min(left, right);
            break;
        }
        stack.push_back(checked(overflows, result));
    }
    return stack.back();
}

} // namespace kvloupe
