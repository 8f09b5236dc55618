// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/support/make_recording.h"
#include "tests/views/widget_test.h"
#include "views/figure/attention_figure.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QImageReader>
#include <QProcess>
#include <QRegularExpression>
#include <QStandardPaths>
#include <QTest>
#include <QXmlStreamReader>

#include <cmath>

namespace kvloupe {
namespace {

class AttentionFigureTest : public WidgetTest {
protected:
    /// A figure of a recording that is made once for all tests.
    AttentionFigure figure(FigureSpec spec = {}, std::int64_t tokens = 300)
    {
        const std::filesystem::path path = temporaryPath(QStringLiteral("r.h5")).toStdString();
        makeRecording(path, {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = tokens});
        spec.recording = path;
        const Recording recording = Recording::open(path);
        AttentionTiles tiles(recording);
        return AttentionFigure(gatherFigure(recording, tiles, spec));
    }

    static FigureSpec withMethods()
    {
        FigureSpec spec;
        spec.layer = 1;
        spec.head = 2;
        spec.methods = {"snapkv", "h2o", "streaming_llm"};
        return spec;
    }

    static QStringList svgTexts(const QByteArray& svg)
    {
        QStringList texts;
        QXmlStreamReader reader(svg);
        while (!reader.atEnd()) {
            if (reader.readNext() == QXmlStreamReader::StartElement && reader.name() == QStringLiteral("text"))
                texts << reader.readElementText();
        }
        EXPECT_FALSE(reader.hasError()) << qPrintable(reader.errorString());
        return texts;
    }
};

TEST_F(AttentionFigureTest, SvgKeepsTextAsText)
{
    const QStringList texts = svgTexts(figure(withMethods()).render(FigureFormat::Svg));
    for (const char* expected :
        {"key (token)", "query (token)", "attention", "SnapKV", "H2O", "StreamingLLM", "0", "100", "200", "90 of 300"})
        EXPECT_TRUE(texts.contains(QString::fromUtf8(expected)))
            << expected << " in " << qPrintable(texts.join(QLatin1Char('|')));
    EXPECT_TRUE(texts.filter(QStringLiteral("shot")).size() > 0);
}

TEST_F(AttentionFigureTest, SvgHasTheWantedSize)
{
    FigureSpec spec;
    spec.widthMm = 84.0;
    spec.heightMm = 90.0;
    const QByteArray svg = figure(spec).render(FigureFormat::Svg);
    const QRegularExpressionMatch size
        = QRegularExpression(QStringLiteral("<svg width=\"([0-9.]+)mm\" height=\"([0-9.]+)mm\""))
              .match(QString::fromUtf8(svg));
    ASSERT_TRUE(size.hasMatch()) << svg.left(300).constData();
    EXPECT_NEAR(size.captured(1).toDouble(), 84.0, 0.1);
    EXPECT_NEAR(size.captured(2).toDouble(), 90.0, 0.1);
}

TEST_F(AttentionFigureTest, PdfHasTheWantedSizeAndItsFontsInIt)
{
    FigureSpec spec = withMethods();
    spec.widthMm = 84.0;
    spec.heightMm = 100.0;
    const QByteArray pdf = figure(spec).render(FigureFormat::Pdf);
    const QRegularExpressionMatch box
        = QRegularExpression(QStringLiteral("/MediaBox \\[0 0 ([0-9.]+) ([0-9.]+)\\]")).match(QString::fromLatin1(pdf));
    ASSERT_TRUE(box.hasMatch());
    EXPECT_NEAR(box.captured(1).toDouble(), 84.0 / 25.4 * 72.0, 1.0);
    EXPECT_NEAR(box.captured(2).toDouble(), 100.0 / 25.4 * 72.0, 1.0);
    EXPECT_TRUE(pdf.contains("/FontFile")) << "fonts are embedded";
    EXPECT_FALSE(pdf.contains("/DCTDecode")) << "the map is not squeezed into a JPEG";
}

TEST_F(AttentionFigureTest, PdfTextCanBeReadBack)
{
    const QString reader = QStandardPaths::findExecutable(QStringLiteral("pdftotext"));
    if (reader.isEmpty())
        GTEST_SKIP() << "pdftotext (poppler-utils) is not installed";
    const QString path = temporaryPath(QStringLiteral("f.pdf"));
    figure(withMethods()).save(path.toStdString());
    QProcess process;
    process.start(reader, {QStringLiteral("-layout"), path, QStringLiteral("-")});
    ASSERT_TRUE(process.waitForFinished());
    const QString text = QString::fromUtf8(process.readAllStandardOutput());
    for (const char* expected : {"key (token)", "SnapKV", "90 of 300"})
        EXPECT_TRUE(text.contains(QString::fromUtf8(expected))) << expected << " in " << qPrintable(text);
}

TEST_F(AttentionFigureTest, PngHasTheWantedDensityAndColours)
{
    FigureSpec spec;
    spec.dpi = 200;
    spec.colorMap = ColorMap::Magma;
    const AttentionFigure drawn = figure(spec);
    const QImage image = QImage::fromData(drawn.render(FigureFormat::Png), "PNG");
    EXPECT_NEAR(image.dotsPerMeterX(), 200 / 0.0254, 1.0);
    EXPECT_NEAR(image.width(), 120.0 / 25.4 * 200, 1.5);
    EXPECT_TRUE(image.text(QStringLiteral("Description")).contains(QStringLiteral("layer 0, head 0")));

    const ColorTable table(spec.colorMap, spec.scale, spec.range);
    const QRectF map = drawn.layout().map;
    const double scale = 200 / 72.0;
    ASSERT_EQ(drawn.data().level, 0);
    for (const auto& [query, key] : std::vector<std::pair<int, int>>{{299, 0}, {150, 150}, {250, 40}}) {
        const int x = static_cast<int>((map.left() + (key + 0.5) / 300.0 * map.width()) * scale);
        const int y = static_cast<int>((map.top() + (query + 0.5) / 300.0 * map.height()) * scale);
        const QColor expected(table.color(drawn.data().cell(query, key)));
        const QColor found(image.pixel(x, y));
        // Neighbouring cells may share a pixel at the edge, so the best of the eight around counts.
        int difference = 1000;
        for (int dy = -1; dy <= 1; ++dy) {
            for (int dx = -1; dx <= 1; ++dx) {
                const QColor near(image.pixel(x + dx, y + dy));
                difference = std::min(difference,
                    std::abs(near.red() - expected.red()) + std::abs(near.green() - expected.green())
                        + std::abs(near.blue() - expected.blue()));
            }
        }
        EXPECT_LE(difference, 6) << "query " << query << " key " << key << " found " << qPrintable(found.name())
                                 << " expected " << qPrintable(expected.name());
    }
    const QPointF above(map.left() + 0.8 * map.width(), map.top() + 0.2 * map.height());
    EXPECT_EQ(image.pixelColor((above * scale).toPoint()), QColor(Qt::white)) << "no attention above the diagonal";
}

TEST_F(AttentionFigureTest, ShowsASinkOfOneColumnAtAnyDensity)
{
    // 3,000 tokens on 96 pixels: the sink is a thirtieth of a pixel wide.
    FigureSpec spec;
    spec.dpi = 30;
    spec.scale = ColorScale::Linear;
    const AttentionFigure drawn = figure(spec, 3'000);
    EXPECT_GE(drawn.data().level, 5);
    EXPECT_FALSE(drawn.data().poolingText().isEmpty());
    const FigureData& data = drawn.data();
    const Recording recording = Recording::open(data.spec.recording);
    AttentionTiles tiles(recording);
    for (const std::int64_t row : {data.rows / 3, data.rows / 2, data.rows - 2}) {
        float largest = 0.0F;
        const std::int64_t bin = std::int64_t{1} << data.level;
        for (std::int64_t query = row * bin; query < (row + 1) * bin; ++query) {
            const std::vector<float> values = tiles.row(0, 0, 0, query);
            for (std::int64_t key = 0; key < bin; ++key)
                largest = std::max(largest, values[static_cast<std::size_t>(key)]);
        }
        EXPECT_NEAR(halfToFloat(data.cell(row, 0)), largest, 2e-3F * largest + 1e-5F) << "row " << row;
    }
}

TEST_F(AttentionFigureTest, TheSameDataGiveTheSameBytes)
{
    const AttentionFigure drawn = figure(withMethods());
    for (const FigureFormat format : {FigureFormat::Pdf, FigureFormat::Svg, FigureFormat::Png, FigureFormat::Csv}) {
        const QByteArray first = drawn.render(format);
        QTest::qWait(1100);
        EXPECT_EQ(drawn.render(format), first);
    }
}

TEST_F(AttentionFigureTest, PalesWhatTheFirstMethodDrops)
{
    FigureSpec spec = withMethods();
    const QImage shaded = figure(spec).mapImage();
    spec.shadeDropped = false;
    const AttentionFigure plain = figure(spec);
    const QImage unshaded = plain.mapImage();
    const std::vector<std::int32_t>& kept = plain.data().strips.front().kept;
    int paler = 0;
    int same = 0;
    for (std::int64_t key = 0; key < 250; ++key) {
        const QPoint pixel(
            static_cast<int>((static_cast<double>(key) + 0.5) / 300.0 * shaded.width()), shaded.height() - 2);
        if (std::ranges::binary_search(kept, key))
            same += shaded.pixel(pixel) == unshaded.pixel(pixel) ? 1 : 0;
        else
            paler += qGray(shaded.pixel(pixel)) > qGray(unshaded.pixel(pixel)) ? 1 : 0;
    }
    const auto keptBefore = std::ranges::lower_bound(kept, 250) - kept.begin();
    EXPECT_EQ(same, keptBefore);
    EXPECT_EQ(paler, 250 - keptBefore);
}

TEST_F(AttentionFigureTest, CsvHoldsExactlyWhatIsShown)
{
    FigureSpec spec = withMethods();
    spec.queries = TokenRange{100, 103};
    spec.keys = TokenRange{0, 101};
    const AttentionFigure drawn = figure(spec);
    const QStringList lines
        = QString::fromUtf8(drawn.render(FigureFormat::Csv)).split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    ASSERT_EQ(lines.front(),
        QStringLiteral(
            "query_begin,query_end,key_begin,key_end,attention,\"kept snapkv\",\"kept h2o\",\"kept streaming_llm\""));
    EXPECT_EQ(lines.size(), 1 + 3 * 101);
    const QStringList cells = lines[1].split(QLatin1Char(','));
    EXPECT_EQ(cells.mid(0, 4),
        QStringList({QStringLiteral("100"), QStringLiteral("101"), QStringLiteral("0"), QStringLiteral("1")}));
    EXPECT_FLOAT_EQ(cells[4].toFloat(), halfToFloat(drawn.data().cell(0, 0)));
    EXPECT_EQ(cells[7], QStringLiteral("1")) << "StreamingLLM keeps the first token";
}

TEST_F(AttentionFigureTest, ShowsTokenTextWhereItFits)
{
    FigureSpec spec;
    spec.queries = TokenRange{100, 120};
    spec.keys = TokenRange{90, 110};
    const AttentionFigure drawn = figure(spec);
    EXPECT_TRUE(drawn.layout().keyTokens);
    EXPECT_TRUE(drawn.layout().queryTokens);
    EXPECT_EQ(drawn.layout().keyTicks.size(), 20U);
    EXPECT_FALSE(figure().layout().keyTokens) << "300 tokens do not fit on 12 cm";
}

TEST_F(AttentionFigureTest, SaysWhyAFileCannotBeWritten)
{
    const AttentionFigure drawn = figure();
    try {
        drawn.save("/nonexistent-folder/f.svg");
        FAIL() << "nothing was thrown";
    } catch (const FigureError& error) {
        EXPECT_TRUE(QString::fromUtf8(error.what())
                        .startsWith(QStringLiteral("/nonexistent-folder/f.svg: cannot be written: ")))
            << error.what();
    }
    EXPECT_THROW(drawn.save(temporaryPath(QStringLiteral("f.gif")).toStdString()), FigureError);
    const QString folder = temporaryPath(QStringLiteral("taken.svg"));
    QDir().mkdir(folder);
    EXPECT_THROW(drawn.save(folder.toStdString()), FigureError);
    EXPECT_EQ(QFileInfo(folder).absoluteDir().entryList({QStringLiteral("taken*")}, QDir::Files).size(), 0)
        << "nothing half-written stays";
}

TEST_F(AttentionFigureTest, SaysWhatARecordingDoesNotHold)
{
    const auto problemOf = [this](FigureSpec spec) -> std::string {
        try {
            figure(std::move(spec));
        } catch (const Error& error) {
            return error.what();
        }
        return "nothing was thrown";
    };
    FigureSpec spec;
    spec.layer = 9;
    EXPECT_TRUE(problemOf(spec).find("layer 9 was not recorded, expected one of 0, 1") != std::string::npos)
        << problemOf(spec);
    spec = {};
    spec.head = 4;
    EXPECT_TRUE(problemOf(spec).find("head 4, expected 0 to 3") != std::string::npos) << problemOf(spec);
    spec = {};
    spec.sample = "seven";
    EXPECT_TRUE(problemOf(spec).find("no sample \"seven\"") != std::string::npos) << problemOf(spec);
    spec = {};
    spec.keys = TokenRange{0, 400};
    EXPECT_TRUE(problemOf(spec).find("300 tokens") != std::string::npos) << problemOf(spec);
    spec = {};
    spec.widthMm = 20;
    spec.fontPoints = 20;
    EXPECT_TRUE(problemOf(spec).find("width") != std::string::npos) << problemOf(spec);
}

} // namespace
} // namespace kvloupe
