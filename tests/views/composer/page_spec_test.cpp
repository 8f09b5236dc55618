// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/page_spec.h"
#include "views/figure/attention_panel.h"
#include "views/figure/figure_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A page of as many attention maps as there are spans; places as given, {-1, -1} = free.
PageSpec pageOfSpans(int columns, const std::vector<int>& spans)
{
    PageSpec page;
    page.columns = columns;
    for (const int span : spans) {
        PagePanel panel;
        panel.figure = std::make_shared<AttentionPanel>(FigureSpec{});
        panel.columnSpan = span;
        page.panels.push_back(std::move(panel));
    }
    return page;
}

/// "column,row+span" of every panel.
std::vector<std::string> placesText(const PageSpec& page)
{
    std::vector<std::string> texts;
    for (const PagePlace& place : placesOf(page))
        texts.push_back(
            std::to_string(place.column) + "," + std::to_string(place.row) + "+" + std::to_string(place.columnSpan));
    return texts;
}

std::string problemOf(std::string_view json)
{
    try {
        pageFromJson(json, "/data/page.json");
    } catch (const Error& error) {
        return error.what();
    }
    return "nothing was thrown";
}

TEST(PagePlaces, FillRowsInReadingOrder)
{
    EXPECT_THAT(placesText(pageOfSpans(2, {1, 1, 1})), ElementsAre("0,0+1", "1,0+1", "0,1+1"));
    EXPECT_THAT(placesText(pageOfSpans(2, {1, 2, 1})), ElementsAre("0,0+1", "0,1+2", "0,2+1"));
}

TEST(PagePlaces, FreePanelsGoAroundThoseWithAPlaceOfTheirOwn)
{
    PageSpec page = pageOfSpans(2, {1, 1, 1});
    page.panels[2].column = 0;
    page.panels[2].row = 0;
    EXPECT_THAT(placesText(page), ElementsAre("1,0+1", "0,1+1", "0,0+1"));
    std::vector<QString> letters = lettersOf(page, placesOf(page));
    EXPECT_THAT(letters, ElementsAre(QStringLiteral("(b)"), QStringLiteral("(c)"), QStringLiteral("(a)")))
        << "letters follow the eye, not the list";
    page.panels[0].letter = "";
    page.panels[1].letter = "B";
    letters = lettersOf(page, placesOf(page));
    EXPECT_THAT(letters, ElementsAre(QString(), QStringLiteral("B"), QStringLiteral("(a)")));
}

TEST(PagePlaces, PanelsOnEachOtherOrOutsideAreRefused)
{
    const auto problem = [](const PageSpec& page) -> std::string {
        try {
            placesOf(page);
        } catch (const FigureError& error) {
            return error.what();
        }
        return "nothing was thrown";
    };
    PageSpec page = pageOfSpans(3, {2, 1});
    for (PagePanel& panel : page.panels) {
        panel.column = 1;
        panel.row = 0;
    }
    EXPECT_EQ(problem(page), "panels[1]: column 1 of row 0 is taken by another panel");
    page.panels[1].column = 3;
    EXPECT_THAT(
        problem(page), HasSubstr("panels[1]: column 3 with column_span 1, expected to end within the 3 columns"));
    page.panels[1].row.reset();
    EXPECT_THAT(problem(page), HasSubstr("panels[1]: found only one of column and row"));
    EXPECT_THAT(problem(pageOfSpans(2, {3})), HasSubstr("panels[0]: column_span 3, expected 1 to the 2 columns"));
}

TEST(PageSpecFile, ReadsBackWhatItWrites)
{
    const char* text = R"({"figure": "page", "width": 84, "columns": 3, "font": 7, "line_width": 0.75, "dpi": 600,
        "share_range": false, "letters": false, "panels": [
        {"recording": "maps/r.h5", "layer": 3, "head": 2, "methods": ["snapkv"], "keep": "0.25", "column_span": 2},
        {"figure": "relative-drop", "inputs": ["r.jsonl", "/elsewhere/s.jsonl"], "lines": "tasks", "title": "x", "letter": "B"},
        {"figure": "cumulative", "inputs": ["maps/r.h5"], "column": 0, "row": 4, "columns": 1},
        {"figure": "published", "table": "10", "measure": "accuracy"}]})";
    const PageSpec page = pageFromJson(text, "/data/page.json");
    ASSERT_EQ(page.panels.size(), 4U);
    EXPECT_EQ(page.widthMm, 84.0);
    EXPECT_FALSE(page.shareRange);
    EXPECT_EQ(page.panels[2].row, 4);
    const std::string written = pageToJson(page, "/data");
    EXPECT_THAT(written, HasSubstr("\"maps/r.h5\"")) << "so that file and inputs can be moved together";
    EXPECT_THAT(written, HasSubstr("\"/elsewhere/s.jsonl\""));
    EXPECT_EQ(pageToJson(pageFromJson(written, "/data/other.json"), "/data"), written);
    EXPECT_EQ(pageToJson(pageFromJson(pageToJson(page, "/home"), "/home/p.json"), "/data"), written)
        << "from another folder, inputs are named in full";
}

TEST(PageSpecFile, NamesPanelAndFieldThatAreWrong)
{
    EXPECT_THAT(problemOf("{"), HasSubstr("/data/page.json: "));
    EXPECT_THAT(
        problemOf(R"({"figure": "page"})"), HasSubstr("field \"panels\" is missing, expected a list of figures"));
    EXPECT_THAT(problemOf(R"({"figure": "page", "panels": {}})"), HasSubstr("field \"panels\" is object"));
    EXPECT_THAT(problemOf(R"({"figure": "page", "panels": []})"), HasSubstr("panels: found 0, expected 1 to 64"));
    EXPECT_THAT(
        problemOf(R"({"figure": "page", "panels": [7]})"), HasSubstr("panels[0]: found number, expected an object"));
    EXPECT_THAT(problemOf(R"({"figure": "page", "panels": [{}, {"layer": "x"}]})"),
        HasSubstr("/data/page.json: panels[1]: field \"layer\" is \"x\", expected a whole number"));
    EXPECT_THAT(problemOf(R"({"figure": "page", "panels": [{"figure": "page"}]})"),
        HasSubstr("panels[0]: field \"figure\" is \"page\", expected one of attention"));
    EXPECT_THAT(problemOf(R"({"figure": "page", "panels": [{"width": 3}]})"),
        HasSubstr("panels[0]: field \"width\" is 3, expected no such field in a panel"));
    EXPECT_THAT(problemOf(R"({"figure": "page", "panels": [{"figure": "gini"}]})"), HasSubstr("expected one of"));
    EXPECT_THAT(problemOf(R"({"figure": "page", "panels": [{"colunm": 1}]})"), HasSubstr("unknown field \"colunm\""));
    EXPECT_THAT(problemOf(R"({"figure": "page", "colums": 1, "panels": [{}]})"), HasSubstr("unknown field \"colums\""));
    EXPECT_THAT(problemOf(R"({"figure": "page", "columns": 13, "panels": [{}]})"), HasSubstr("columns: found 13"));
    EXPECT_THAT(problemOf(R"({"figure": "page", "line_width": 0, "panels": [{}]})"), HasSubstr("line_width: found 0"));
    EXPECT_THAT(problemOf(R"({"figure": "page", "panels": [{"column": 99999999999999999999, "row": 0}]})"),
        HasSubstr("panels[0]: field \"column\""));
}

} // namespace
} // namespace kvloupe
