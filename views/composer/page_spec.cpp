// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/page_spec.h"

#include "views/composer/figure_kinds.h"
#include "views/figure/figure_spec.h"
#include "views/figure/spec_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kvloupe {

namespace {

using Json = nlohmann::ordered_json;

constexpr int mostColumns = 12;
constexpr int mostRows = 64;

/// Columns and rows that panels lie on.
class Grid {
public:
    bool isFree(const PagePlace& place) const
    {
        for (int column = place.column; column < place.column + place.columnSpan; ++column)
            if (m_taken.contains({place.row, column}))
                return false;
        return true;
    }

    void take(const PagePlace& place)
    {
        for (int column = place.column; column < place.column + place.columnSpan; ++column)
            m_taken.insert({place.row, column});
    }

private:
    std::set<std::pair<int, int>> m_taken;
};

PagePanel readPanel(SpecFields& fields)
{
    for (const char* field : {"width", "font", "dpi", "line_width"})
        if (fields.find(field) != nullptr)
            fields.fail(field, "no such field in a panel: the page has one for all");
    PagePanel panel;
    fields.integer("column", panel.column);
    fields.integer("row", panel.row);
    fields.integer("column_span", panel.columnSpan);
    fields.text("letter", panel.letter);
    fields.text("title", panel.title);
    panel.figure = panelFromFields(fields);
    fields.rejectUnknown();
    return panel;
}

void writePaths(Json& object, const std::filesystem::path& folder)
{
    const auto write = [&folder](Json& path) {
        if (const auto text = path.get<std::string>(); !text.empty())
            path = writtenPath(text, folder);
    };
    if (object.contains("recording"))
        write(object["recording"]);
    if (object.contains("inputs"))
        for (Json& input : object["inputs"])
            write(input);
}

} // namespace

std::vector<PagePlace> placesOf(const PageSpec& page)
{
    std::vector<PagePlace> places(page.panels.size());
    Grid grid;
    const auto fail = [](std::size_t panel, std::string_view what) {
        throw FigureError(fmt::format("panels[{}]: {}", panel, what));
    };
    // Panels with a place of their own first: the others go around them.
    for (std::size_t index = 0; index < page.panels.size(); ++index) {
        const PagePanel& panel = page.panels[index];
        if (panel.columnSpan < 1 || panel.columnSpan > page.columns)
            fail(index,
                fmt::format(
                    "column_span {}, expected 1 to the {} columns of the page", panel.columnSpan, page.columns));
        if (panel.column.has_value() != panel.row.has_value())
            fail(index, "found only one of column and row, expected both, or none for the next free place");
        if (!panel.column)
            continue;
        if (*panel.column < 0 || *panel.column + panel.columnSpan > page.columns)
            fail(index,
                fmt::format("column {} with column_span {}, expected to end within the {} columns of the page",
                    *panel.column, panel.columnSpan, page.columns));
        if (*panel.row < 0 || *panel.row >= mostRows)
            fail(index, fmt::format("row {}, expected 0 to {}", *panel.row, mostRows - 1));
        places[index] = {*panel.column, *panel.row, panel.columnSpan};
        if (!grid.isFree(places[index]))
            fail(index, fmt::format("column {} of row {} is taken by another panel", *panel.column, *panel.row));
        grid.take(places[index]);
    }
    PagePlace next;
    for (std::size_t index = 0; index < page.panels.size(); ++index) {
        if (page.panels[index].column)
            continue;
        next.columnSpan = page.panels[index].columnSpan;
        while (next.column + next.columnSpan > page.columns || !grid.isFree(next)) {
            if (++next.column >= page.columns) {
                next.column = 0;
                ++next.row;
            }
        }
        places[index] = next;
        grid.take(next);
    }
    return places;
}

std::vector<QString> lettersOf(const PageSpec& page, const std::vector<PagePlace>& places)
{
    std::vector<std::size_t> order(page.panels.size());
    for (std::size_t index = 0; index < order.size(); ++index)
        order[index] = index;
    std::ranges::stable_sort(
        order, {}, [&places](std::size_t index) { return std::pair(places[index].row, places[index].column); });
    std::vector<QString> letters(page.panels.size());
    int turn = 0;
    for (const std::size_t index : order) {
        const std::optional<std::string>& own = page.panels[index].letter;
        if (own) {
            letters[index] = QString::fromStdString(*own);
        } else if (page.letters) {
            const QChar letter(u'a' + turn % 26);
            letters[index] = QStringLiteral("(%1)").arg(turn < 26 ? QString(letter) : QString(2, letter));
        }
        // A letter of its own takes its turn; a panel without one does not.
        turn += own && own->empty() ? 0 : 1;
    }
    return letters;
}

void checkPage(const PageSpec& page)
{
    const auto check = [](std::string_view field, double value, double low, double high) {
        if (!(value >= low && value <= high))
            throw FigureError(fmt::format("{}: found {}, expected {} to {}", field, value, low, high));
    };
    check("width", page.widthMm, 20.0, 2000.0);
    check("columns", page.columns, 1, mostColumns);
    check("font", page.fontPoints, 3.0, 72.0);
    check("line_width", page.lineWidth, 0.05, 10.0);
    check("dpi", page.dpi, 30, 2400);
    if (page.panels.empty() || page.panels.size() > mostPagePanels)
        throw FigureError(fmt::format("panels: found {}, expected 1 to {}", page.panels.size(), mostPagePanels));
    placesOf(page);
}

PageSpec pageFromJson(std::string_view text, const std::filesystem::path& source)
{
    SpecFields fields(text, source);
    std::string name;
    fields.text("figure", name);
    if (name != pageFigureName)
        throw FigureError(fmt::format("{}: field \"figure\" is \"{}\", expected page", source.string(), name));
    PageSpec page;
    fields.real("width", page.widthMm);
    fields.integer("columns", page.columns);
    fields.real("font", page.fontPoints);
    fields.real("line_width", page.lineWidth);
    fields.integer("dpi", page.dpi);
    fields.boolean("share_range", page.shareRange);
    fields.boolean("letters", page.letters);
    const Json* panels = fields.find("panels");
    if (panels == nullptr || !panels->is_array())
        throw FigureError(fmt::format("{}: field \"panels\" is {}, expected a list of figures", source.string(),
            panels == nullptr ? "missing" : panels->type_name()));
    if (panels->size() > mostPagePanels)
        throw FigureError(fmt::format("{}: field \"panels\" has {} figures, expected at most {}", source.string(),
            panels->size(), mostPagePanels));
    for (std::size_t index = 0; index < panels->size(); ++index) {
        SpecFields panel((*panels)[index], fmt::format("{}: panels[{}]", source.string(), index), source);
        page.panels.push_back(readPanel(panel));
    }
    fields.rejectUnknown();
    try {
        checkPage(page);
    } catch (const FigureError& error) {
        throw FigureError(fmt::format("{}: {}", source.string(), error.what()));
    }
    return page;
}

std::string pageToJson(const PageSpec& page, const std::filesystem::path& folder)
{
    Json object;
    object["figure"] = pageFigureName;
    object["width"] = page.widthMm;
    object["columns"] = page.columns;
    object["font"] = page.fontPoints;
    object["line_width"] = page.lineWidth;
    object["dpi"] = page.dpi;
    object["share_range"] = page.shareRange;
    object["letters"] = page.letters;
    object["panels"] = Json::array();
    for (const PagePanel& panel : page.panels) {
        Json written = panel.figure->toJson();
        writePaths(written, folder);
        if (panel.column)
            written["column"] = *panel.column;
        if (panel.row)
            written["row"] = *panel.row;
        if (panel.columnSpan != 1)
            written["column_span"] = panel.columnSpan;
        if (panel.letter)
            written["letter"] = *panel.letter;
        if (panel.title)
            written["title"] = *panel.title;
        object["panels"].push_back(std::move(written));
    }
    return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace kvloupe
