// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/chart/made_chart.h"
#include "tests/views/widget_test.h"
#include "views/chart/chart_layout.h"
#include "views/chart/chart_painter.h"
#include "views/figure/figure_spec.h"

#include <QFile>
#include <QProcess>
#include <QRegularExpression>
#include <QStandardPaths>
#include <QXmlStreamReader>

#include <gmock/gmock.h>

#include <algorithm>

namespace kvloupe {
namespace {

using testing::HasSubstr;

class ChartFigureTest : public WidgetTest {
protected:
    static QByteArray drawn(const Chart& chart, FigureFormat format, ChartPage page = {})
    {
        return renderChart(chart, page, QStringLiteral("made for a test"), format);
    }

    static QStringList svgTexts(const QByteArray& svg)
    {
        QStringList texts;
        QXmlStreamReader reader(svg);
        while (!reader.atEnd())
            if (reader.readNext() == QXmlStreamReader::StartElement && reader.name() == QStringLiteral("text"))
                texts << reader.readElementText();
        EXPECT_FALSE(reader.hasError()) << qPrintable(reader.errorString());
        return texts;
    }
};

TEST_F(ChartFigureTest, TheSameChartGivesTheSameBytes)
{
    for (const FigureFormat format : {FigureFormat::Pdf, FigureFormat::Svg, FigureFormat::Png, FigureFormat::Csv}) {
        EXPECT_EQ(drawn(madeLines(), format), drawn(madeLines(), format));
        EXPECT_EQ(drawn(madeMatrix(), format), drawn(madeMatrix(), format));
    }
}

TEST_F(ChartFigureTest, SvgHasEveryNameAsTextOnce)
{
    const QStringList texts = svgTexts(drawn(madeLines(), FigureFormat::Svg));
    for (const char* once : {"a model", "SnapKV", "H2O", "ar", "wk", "WK", "arXiv, Table 7", "Whiskers: 95 %."})
        EXPECT_EQ(texts.count(QString::fromUtf8(once)), 1)
            << once << " in " << qPrintable(texts.join(QLatin1Char('|')));
    EXPECT_EQ(texts.count(QStringLiteral("kept (%)")), 3) << "under a row of which some panel has none below it";
    EXPECT_EQ(texts.count(QStringLiteral("accuracy (%)")), 2) << "beside the first of each row, and beside the last";
    const QStringList cells = svgTexts(drawn(madeMatrix(), FigureFormat::Svg));
    for (const char* label : {"instruct", "layer", "head", "Gini index", "5", "9", "0.6"})
        EXPECT_TRUE(cells.contains(QString::fromUtf8(label))) << label;
}

TEST_F(ChartFigureTest, CellsOfAMatrixAreVectors)
{
    const QByteArray svg = drawn(madeMatrix(), FigureFormat::Svg);
    EXPECT_FALSE(svg.contains("<image"));
    EXPECT_GE(svg.count("<rect"), 12);
}

TEST_F(ChartFigureTest, PdfHasTheWantedSizeFontsAndText)
{
    ChartPage page;
    page.widthMm = 84.0;
    page.heightMm = 120.0;
    page.columns = 1;
    const QByteArray pdf = drawn(madeLines(), FigureFormat::Pdf, page);
    const QRegularExpressionMatch box
        = QRegularExpression(QStringLiteral("/MediaBox \\[0 0 ([0-9.]+) ([0-9.]+)\\]")).match(QString::fromLatin1(pdf));
    ASSERT_TRUE(box.hasMatch());
    EXPECT_NEAR(box.captured(1).toDouble(), 84.0 / 25.4 * 72.0, 1.0);
    EXPECT_NEAR(box.captured(2).toDouble(), 120.0 / 25.4 * 72.0, 1.0);
    EXPECT_TRUE(pdf.contains("/FontFile")) << "fonts are embedded";
    EXPECT_TRUE(pdf.contains("D:19700101000000Z")) << "not the present moment";

    const QString reader = QStandardPaths::findExecutable(QStringLiteral("pdftotext"));
    if (reader.isEmpty())
        GTEST_SKIP() << "pdftotext (poppler-utils) is not installed";
    writeChart(madeLines(), page, {}, {temporaryPath(QStringLiteral("c.pdf")).toStdString()});
    QProcess process;
    process.start(reader, {QStringLiteral("-layout"), temporaryPath(QStringLiteral("c.pdf")), QStringLiteral("-")});
    ASSERT_TRUE(process.waitForFinished());
    const std::string text = process.readAllStandardOutput().toStdString();
    for (const char* expected : {"SnapKV", "arXiv, Table 7", "kept (%)", "Whiskers: 95 %."})
        EXPECT_THAT(text, HasSubstr(expected));
}

TEST_F(ChartFigureTest, PngShowsLinesAndCellsInTheirColoursWhereTheLayoutSays)
{
    ChartPage page;
    page.dpi = 200;
    const double scale = 200 / 72.0;
    const auto layoutOf = [&](const Chart& chart) {
        return layOutChart(chart, {page.widthMm * pointsPerMillimetre, 0.0, page.fontPoints, 0});
    };
    const Chart lines = madeLines();
    const QImage image = QImage::fromData(drawn(lines, FigureFormat::Png, page), "PNG");
    EXPECT_NEAR(image.dotsPerMeterX(), 200 / 0.0254, 1.0);
    const ChartLayout layout = layoutOf(lines);
    for (const ChartTarget& target : {ChartTarget{0, 0, 1, -1, -1}, ChartTarget{1, 1, 2, -1, -1}}) {
        const QColor expected = lines.panels[static_cast<std::size_t>(target.panel)]
                                    .series[static_cast<std::size_t>(target.series)]
                                    .color;
        const QPoint at = (placeOfTarget(lines, layout, target) * scale).toPoint();
        EXPECT_EQ(image.pixelColor(at), expected) << target.panel;
    }
    const QPoint hollow = (placeOfTarget(lines, layout, {2, 0, 1, -1, -1}) * scale).toPoint();
    EXPECT_EQ(image.pixelColor(hollow), QColor(Qt::white)) << "published marks are hollow";

    const Chart matrix = madeMatrix();
    const QImage cells = QImage::fromData(drawn(matrix, FigureFormat::Png, page), "PNG");
    const ChartLayout places = layoutOf(matrix);
    for (int row = 0; row < 3; ++row) {
        for (int column = 0; column < 4; ++column) {
            const auto expected = matrixColor(*matrix.panels[0].matrix, matrix.panels[0].matrix->at(row, column));
            const QPoint at = (placeOfTarget(matrix, places, {0, -1, -1, row, column}) * scale).toPoint();
            if (expected)
                EXPECT_EQ(cells.pixelColor(at), *expected) << row << " " << column;
            else
                EXPECT_NE(cells.pixelColor(at), QColor(Qt::white)) << "a cell that was not measured is grey";
        }
    }
}

TEST_F(ChartFigureTest, APngIsPaperToItsLastPixel)
{
    // Widths that end within a pixel: nothing may show through there, or bytes would differ from run to run.
    for (const double width : {84.0, 84.05, 119.99}) {
        ChartPage page;
        page.widthMm = width;
        page.dpi = 130;
        const QImage image = QImage::fromData(drawn(madeLines(), FigureFormat::Png, page), "PNG");
        for (int y = 0; y < image.height(); ++y)
            ASSERT_EQ(image.pixelColor(image.width() - 1, y), QColor(Qt::white)) << width << " mm, row " << y;
        for (int x = 0; x < image.width(); ++x)
            ASSERT_EQ(image.pixelColor(x, image.height() - 1), QColor(Qt::white)) << width << " mm, column " << x;
    }
}

TEST_F(ChartFigureTest, SaysWhatDoesNotFit)
{
    const auto problemOf = [](ChartPage page) -> std::string {
        try {
            drawn(madeLines(), FigureFormat::Svg, page);
        } catch (const FigureError& error) {
            return error.what();
        }
        return "nothing was thrown";
    };
    ChartPage narrow;
    narrow.widthMm = 40.0;
    narrow.columns = 2;
    EXPECT_THAT(problemOf(narrow), HasSubstr("width: 40 mm leave no room for 2 panels side by side"));
    ChartPage low;
    low.heightMm = 30.0;
    EXPECT_THAT(problemOf(low), HasSubstr("height: 30 mm leave no room for 2 rows of panels"));
    ChartPage tiny;
    tiny.fontPoints = 1.0;
    EXPECT_THAT(problemOf(tiny), HasSubstr("font: found 1"));
}

TEST_F(ChartFigureTest, AFileThatCannotBeWrittenLeavesNoOther)
{
    const std::string good = temporaryPath(QStringLiteral("good.svg")).toStdString();
    EXPECT_THROW(writeChart(madeLines(), {}, {}, {good, "/nowhere/at/all.pdf"}), FigureError);
    EXPECT_THROW(
        writeChart(madeLines(), {}, {}, {good, temporaryPath(QStringLiteral("c.jpg")).toStdString()}), FigureError);
    EXPECT_FALSE(QFile::exists(temporaryPath(QStringLiteral("c.jpg"))));
}

TEST_F(ChartFigureTest, PanelsOfAColumnLineUpAndNothingLeavesThePage)
{
    const Chart chart = madeLines();
    for (const int columns : {1, 2}) {
        const ChartLayout layout = layOutChart(chart, {450.0, 0.0, 8.0, columns});
        for (std::size_t index = 0; index < layout.panels.size(); ++index) {
            EXPECT_TRUE(QRectF(QPointF(), layout.page).contains(layout.panels[index].cell)) << index;
            EXPECT_TRUE(layout.panels[index].cell.contains(layout.panels[index].plot)) << index;
            for (std::size_t other = 0; other < index; ++other)
                EXPECT_FALSE(layout.panels[index]
                                 .cell.adjusted(0.5, 0.5, -0.5, -0.5)
                                 .intersects(layout.panels[other].cell.adjusted(0.5, 0.5, -0.5, -0.5)));
        }
        EXPECT_EQ(layout.panels[1].plot.left(), layout.panels[2].plot.left()) << "the counterpart stands below";
        EXPECT_GT(layout.panels[2].plot.top(), layout.panels[1].plot.bottom());
        EXPECT_EQ(columns == 2, layout.panels[0].plot.top() == layout.panels[1].plot.top());
    }
}

TEST_F(ChartFigureTest, WhiskersOfLinesAtOnePlaceStandBesideEachOther)
{
    const Chart chart = madeLines();
    const ChartLayout layout = layOutChart(chart, {450.0, 0.0, 8.0, 2});
    const double first = placeOfTarget(chart, layout, {0, 0, 0, -1, -1}).x();
    const double second = placeOfTarget(chart, layout, {0, 1, 0, -1, -1}).x();
    EXPECT_LT(first, second);
    EXPECT_NEAR(0.5 * (first + second), placeOfX(chart.panels[0], layout.panels[0], 10.0), 1e-9);
    EXPECT_EQ(placeOfTarget(chart, layout, {2, 0, 0, -1, -1}).x(), placeOfX(chart.panels[2], layout.panels[2], 10.0))
        << "without an interval a point stands where it belongs";
}

} // namespace
} // namespace kvloupe
