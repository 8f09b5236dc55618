// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/chart/made_chart.h"
#include "views/chart/chart_layout.h"
#include "views/figure/figure_spec.h"
#include "views/methods/method_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace kvloupe {
namespace {

using testing::DoubleEq;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(Chart, RangesAndTicksAreRoundNumbers)
{
    EXPECT_THAT(niceRange(3.0, 47.0), ElementsAre(DoubleEq(0.0), DoubleEq(50.0)));
    EXPECT_THAT(niceRange(-0.031, 0.012), ElementsAre(DoubleNear(-0.04, 1e-12), DoubleNear(0.02, 1e-12)));
    EXPECT_THAT(niceRange(0.0, 0.0), ElementsAre(DoubleEq(-0.6), DoubleEq(0.6))) << "one value has room on both sides";
    EXPECT_THAT(niceRange(INFINITY, -INFINITY), ElementsAre(0.0, 1.0)) << "no values at all";
    EXPECT_THAT(niceTicks(0.0, 100.0, 6), ElementsAre(0.0, 20.0, 40.0, 60.0, 80.0, 100.0));
    EXPECT_THAT(niceTicks(0.0, 100.0, 3), ElementsAre(0.0, 50.0, 100.0));
    EXPECT_THAT(niceTicks(0.13, 0.47, 4), ElementsAre(DoubleNear(0.2, 1e-12), DoubleNear(0.4, 1e-12)));
    EXPECT_EQ(tickLabel(0.2, {0.0, 0.2, 0.4}), QStringLiteral("0.2"));
    EXPECT_EQ(tickLabel(20.0, {0.0, 20.0}), QStringLiteral("20"));
}

TEST(Chart, IsPrintedAsText)
{
    EXPECT_EQ(chartText(madeLines()).toStdString(),
        "a model\n"
        "# ar\n"
        "kept (%) 100 to 0, accuracy (%) 0 to 100\n"
        "-- full cache at 80\n"
        "SnapKV: 10=30 [25, 35] n=40; 30=50 [45, 55] n=40; 50=75 [70, 80] n=40\n"
        "H2O: 10=20 [15, 25] n=40; 30=60 [55, 65] n=40; 50=70 [65, 75] n=40\n"
        "# wk\n"
        "kept (%) 100 to 0, accuracy (%) 0 to 100\n"
        "-- full cache at 80\n"
        "SnapKV: 10=30 [25, 35] n=40; 30=50 [45, 55] n=40; 50=75 [70, 80] n=40\n"
        "H2O: 10=20 [15, 25] n=40; 30=60 [55, 65] n=40; 50=70 [65, 75] n=40\n"
        "# WK | from arXiv, Table 7\n"
        "kept (%) 100 to 0, accuracy (%) 0 to 100\n"
        "-- full cache at 80\n"
        "SnapKV (dashed): 10=30 n=40; 30=50 n=40; 50=75 n=40\n"
        "Whiskers: 95 %.\n");
    EXPECT_THAT(chartText(madeMatrix()).toStdString(), HasSubstr("5: 0.3636 - 0.5455 0.6364"));
}

TEST(Chart, CsvHasEveryPointWithItsIntervalAndSource)
{
    const QStringList lines = QString::fromUtf8(chartCsv(madeLines())).split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    ASSERT_THAT(lines, SizeIs(1 + 3 * 1 + 5 * 3));
    EXPECT_EQ(lines[0], QStringLiteral("panel,source,series,x_name,x,row_name,row,value_name,value,low,high,samples"));
    EXPECT_EQ(lines[1], QStringLiteral("\"ar\",\"\",\"full cache\",\"kept (%)\",,,,\"accuracy (%)\",80,,,"));
    EXPECT_EQ(lines[2], QStringLiteral("\"ar\",\"\",\"SnapKV\",\"kept (%)\",10,,,\"accuracy (%)\",30,25,35,40"));
    EXPECT_EQ(lines.last(),
        QStringLiteral("\"WK\",\"arXiv, Table 7\",\"SnapKV\",\"kept (%)\",50,,,\"accuracy (%)\",75,,,40"));
    for (const QString& line : lines) // no comma of a name but those in "arXiv, Table 7"
        EXPECT_EQ(line.count(QLatin1Char(',')), line.contains(QStringLiteral("arXiv")) ? 12 : 11) << qPrintable(line);

    const QStringList cells = QString::fromUtf8(chartCsv(madeMatrix())).split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    ASSERT_THAT(cells, SizeIs(13));
    EXPECT_EQ(cells[6], QStringLiteral("\"instruct\",\"\",,\"head\",1,\"layer\",5,\"Gini index\",,,,"))
        << "not measured is empty";
    EXPECT_EQ(cells[12], QStringLiteral("\"instruct\",\"\",,\"head\",3,\"layer\",9,\"Gini index\",1,,,"));
}

TEST(Chart, LinesOfDifferentNamesNeverLookTheSame)
{
    SeriesStyles styles;
    EXPECT_EQ(styles.of("SnapKV", "snapkv").color, methodColor("snapkv", 5)) << "as everywhere in the window";
    EXPECT_EQ(styles.of("full cache", "full").color, methodColor("full", 5));
    std::set<std::pair<QRgb, int>> seen;
    for (int line = 0; line < 22; ++line) {
        const SeriesStyles::Style style = styles.of("line " + std::to_string(line));
        EXPECT_TRUE(seen.emplace(style.color.rgb(), static_cast<int>(style.mark)).second) << line;
        EXPECT_NE(style.color, methodColor("full", 0)) << "the full cache alone is grey";
    }
    const SeriesStyles::Style again = styles.of("line 3");
    EXPECT_TRUE(seen.contains({again.color.rgb(), static_cast<int>(again.mark)}));
    EXPECT_EQ(styles.of("line 3").color, again.color);
}

TEST(Chart, ADifferenceIsBlueBelowRedAboveAndPaleAtZero)
{
    const ChartMatrix matrix = *madeMatrix(true).panels[0].matrix;
    EXPECT_GT(matrixColor(matrix, -1.0)->blue(), matrixColor(matrix, -1.0)->red());
    EXPECT_GT(matrixColor(matrix, 1.0)->red(), matrixColor(matrix, 1.0)->blue());
    EXPECT_GT(matrixColor(matrix, 0.0)->lightness(), 240);
    EXPECT_FALSE(matrixColor(matrix, std::nan("")).has_value());
}

} // namespace
} // namespace kvloupe
