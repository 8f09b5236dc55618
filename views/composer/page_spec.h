// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/panel.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// One figure on a page, and where.
struct PagePanel {
    std::shared_ptr<const PanelSpec> figure;
    std::optional<int> column; ///< with `row`; nothing = the next free place
    std::optional<int> row;
    int columnSpan = 1;
    std::optional<std::string> letter; ///< nothing = its turn, "" = none
    std::optional<std::string> title; ///< nothing = the figure's own, "" = none
};

/// Several figures on one page: the same SPEC and inputs give the same bytes.
struct PageSpec {
    double widthMm = 174.0;
    int columns = 2;
    double fontPoints = 8.0;
    double lineWidth = 0.5; ///< points, of axes; other lines in proportion
    int dpi = 300; ///< of maps, and of the whole page as PNG
    bool shareRange = true; ///< one range of colours, with one bar, and of y for what has the same quantity
    bool letters = true; ///< (a), (b), ... in reading order
    std::vector<PagePanel> panels;
};

inline constexpr std::string_view pageFigureName = "page";
inline constexpr std::size_t mostPagePanels = 64;

/// The place of a panel on the grid of a page.
struct PagePlace {
    int column = 0;
    int row = 0;
    int columnSpan = 1;

    bool operator==(const PagePlace&) const = default;
};

/// Places of all panels. Throws FigureError naming the panel for those outside of the columns, or on each other.
std::vector<PagePlace> placesOf(const PageSpec& page);
/// "(a)", as the panels stand in reading order; empty without.
std::vector<QString> lettersOf(const PageSpec& page, const std::vector<PagePlace>& places);

/// Throws FigureError for sizes that make no page, and for places as placesOf() does.
void checkPage(const PageSpec& page);

/// Reads {"figure": "page", ..., "panels": [{any figure's SPEC, "column", "row", "column_span", "letter"}, ...]}. Paths
/// are looked up beside `source`. Throws FigureError naming file, panel, field, found and expected.
PageSpec pageFromJson(std::string_view text, const std::filesystem::path& source);
/// As text for a file in `folder`: inputs there or below are named relative to it.
std::string pageToJson(const PageSpec& page, const std::filesystem::path& folder);

} // namespace kvloupe
