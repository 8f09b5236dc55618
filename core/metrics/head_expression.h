// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// One line: what was found, what was expected, and at which character (`position`, from 0).
class ExpressionError : public Error {
public:
    ExpressionError(const std::string& message, std::size_t position)
        : Error(message)
        , m_position(position)
    {
    }
    std::size_t position() const { return m_position; }

private:
    std::size_t m_position;
};

/// A measure of a head, `sink`, or one that is asked of a method, `evicted(snapkv)`.
struct HeadVariable {
    std::string name;
    std::string argument; ///< empty = none

    auto operator<=>(const HeadVariable&) const = default;
};

/// Names that an expression may use.
struct ExpressionNames {
    std::vector<std::string> measures;
    std::vector<std::string> functions; ///< with an argument
    std::vector<std::string> arguments;
};

/// A number or a condition over the measures of one head: `sink > 0.5 and (entropy < 2 or not layer < 4)`.
///
/// Numbers, measures, + - * /, comparisons < <= > >= == !=, and, or, not, parentheses; `and` binds closer than `or`.
/// A measure that is not known is NaN, and so is what is computed from it; comparisons with NaN are false. At most
/// 2,000 characters and 64 levels of nesting.
class HeadExpression {
public:
    /// Throws ExpressionError; for an unknown name it lists those there are.
    static HeadExpression parse(std::string_view text, const ExpressionNames& names);

    /// Whether it is true or false of a head; else it is a number to sort by.
    bool isCondition() const { return m_isCondition; }
    /// What it needs to know of a head, each once.
    const std::vector<HeadVariable>& variables() const { return m_variables; }
    /// `values` in the order of variables(). A condition gives 0 or 1.
    double evaluate(std::span<const double> values) const;

private:
    enum class Code {
        Number,
        Variable,
        Negate,
        Add,
        Subtract,
        Multiply,
        Divide,
        Less,
        LessEqual,
        Greater,
        GreaterEqual,
        Equal,
        NotEqual,
        Not,
        And,
        Or
    };
    struct Step {
        Code code;
        double number = 0.0;
        std::size_t variable = 0;
    };
    class Parser;

    std::vector<Step> m_steps; ///< operands before their operator
    std::vector<HeadVariable> m_variables;
    bool m_isCondition = false;
};

} // namespace kvloupe
