// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QByteArray>

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

/// The numbers of a figure as lines of fields, made one after the other: a map has millions.
struct FigureTable {
    using Row = std::function<void(std::span<const std::string>)>;

    std::vector<std::string> columns; ///< names, quoted for CSV where they need it
    std::function<void(const Row&)> rows; ///< gives every row, with as many fields as columns, quoted as well
};

/// Columns and rows as CSV.
QByteArray csvOf(const FigureTable& table);
/// A text in quotes, those inside doubled.
std::string csvQuoted(std::string text);

} // namespace kvloupe
