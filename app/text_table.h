// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvloupe {

/// Rows of text in aligned columns for people: two blanks between columns, numbers to the right.
class TextTable {
public:
    /// A heading that begins with '>' aligns its column to the right (the sign is not printed).
    explicit TextTable(std::vector<std::string> headings);
    /// As many cells as there are headings; fewer are filled with empty ones.
    void add(std::vector<std::string> cells);
    bool empty() const { return m_rows.empty(); }
    /// Headings and rows, each line indented by `indent` blanks and ended by a line break.
    std::string text(std::size_t indent = 0) const;

private:
    std::vector<std::string> m_headings;
    std::vector<bool> m_right;
    std::vector<std::vector<std::string>> m_rows;
};

/// "512 B", "1.4 kB", "98.4 MB", "1.1 TB": powers of 1000, as disks are sold and df -H counts.
std::string byteText(std::uint64_t bytes);

} // namespace kvloupe
