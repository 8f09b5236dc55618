// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// What is not an expression, or has no value in 64 bits.
class ExpressionError : public Error {
public:
    using Error::Error;
};

/// The language that the code task asks for: whole-number expressions over x and y.
///
///     sum     = product { ("+" | "-") product }
///     product = factor { "*" factor }
///     factor  = "-" factor | number | "x" | "y" | ("max" | "min") "(" sum "," sum ")" | "(" sum ")"
///
/// Blanks may stand anywhere between symbols. At most 512 bytes, 32 levels deep, numbers up to 1,000,000.
class Expression {
public:
    /// Throws ExpressionError naming the place.
    explicit Expression(std::string_view text);

    /// Throws ExpressionError if a result leaves 64 bits.
    std::int64_t operator()(std::int64_t x, std::int64_t y) const;

private:
    enum class Operation { Number, X, Y, Add, Subtract, Multiply, Negate, Max, Min };
    struct Instruction {
        Operation operation;
        std::int64_t number;
    };
    class Parser;

    std::vector<Instruction> m_program; // postfix
};

} // namespace kvloupe
