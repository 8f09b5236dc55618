// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/half.h"
#include "core/recording/recording.h"
#include "core/replay/attention_tiles.h"
#include "tests/support/make_recording.h"
#include "tests/views/results/written_results.h"
#include "tests/views/widget_test.h"
#include "views/composer/page_figure.h"
#include "views/figure/figure_spec.h"
#include "views/figure/point_painter.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QImage>
#include <QProcess>
#include <QRegularExpression>
#include <QStandardPaths>
#include <QXmlStreamReader>

#include <gmock/gmock.h>

#include <csignal>
#include <sys/resource.h>

namespace kvloupe {
namespace {

using testing::HasSubstr;

class PageFigureTest : public WidgetTest {
protected:
    PageFigureTest()
    {
        allowSlowEvents();
        makeRecording(place("a.h5"), {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 300});
        makeRecording(
            place("b.h5"), {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 200, .seed = 2});
        writeResults(place("r.jsonl"), 10);
    }

    std::filesystem::path place(const char* name) const { return temporaryPath(QString::fromUtf8(name)).toStdString(); }

    /// Two maps over a chart.
    PageSpec page(const char* more = "") const
    {
        const std::string text = std::string(R"({"figure": "page", "dpi": 150, )") + more + R"( "panels": [
            {"recording": "a.h5", "layer": 1, "head": 2, "methods": ["snapkv", "h2o"]},
            {"recording": "b.h5", "layer": 0, "low": 0.001, "title": "The other"},
            {"figure": "accuracy", "inputs": ["r.jsonl"], "column_span": 2}]})";
        return pageFromJson(text, place("page.json"));
    }

    static MadePage made(const PageSpec& spec)
    {
        PanelCache cache;
        return *makePage(spec, cache, [] { return true; });
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

    static QByteArray bytesOf(const std::filesystem::path& path)
    {
        QFile file(QString::fromStdString(path.string()));
        EXPECT_TRUE(file.open(QIODevice::ReadOnly)) << path;
        return file.readAll();
    }

    QString outputOf(const QString& program, const QStringList& arguments) const
    {
        QProcess process;
        process.start(program, arguments);
        EXPECT_TRUE(process.waitForFinished());
        EXPECT_EQ(process.exitCode(), 0);
        return QString::fromUtf8(process.readAllStandardOutput());
    }
};

TEST_F(PageFigureTest, TheSamePageGivesTheSameBytesInEveryFormat)
{
    writePageFigure(page(), {place("a.pdf"), place("a.svg"), place("a.png"), place("a.csv"), place("a.tex")});
    // What was read for another size, or is known already, makes no difference.
    PanelCache cache;
    makePage(page(R"("width": 140,)"), cache, [] { return true; });
    const std::optional<MadePage> again = makePage(page(), cache, [] { return true; });
    writePage(again->page, {place("b.pdf"), place("b.svg"), place("b.png"), place("b.csv")});
    for (const char* suffix : {".pdf", ".svg", ".png", ".csv"})
        EXPECT_EQ(
            bytesOf(place((std::string("a") + suffix).c_str())), bytesOf(place((std::string("b") + suffix).c_str())))
            << suffix;
}

TEST_F(PageFigureTest, PanelsStandInTheirColumnsAndRowsLineUp)
{
    const MadePage two = made(page());
    EXPECT_NEAR(two.size.width(), 174.0 * pointsPerMillimetre, 0.01);
    ASSERT_EQ(two.panels.size(), 3U);
    EXPECT_EQ(two.panels[0].body.top(), two.panels[1].body.top());
    EXPECT_GT(two.panels[1].body.left(), two.panels[0].body.right());
    EXPECT_NEAR(two.panels[0].body.width(), two.panels[1].body.width(), 0.01);
    EXPECT_GE(two.panels[2].header.top(), std::max(two.panels[0].body.bottom(), two.panels[1].body.bottom()));
    EXPECT_NEAR(two.panels[2].body.right(), two.panels[1].body.right(), 0.01) << "a span covers the gap";
    EXPECT_LE(two.panels[2].body.bottom(), two.size.height() + 0.01);
    const MadePage one = made(page(R"("width": 84, "columns": 2, "font": 5,)"));
    EXPECT_NEAR(one.size.width(), 84.0 * pointsPerMillimetre, 0.01);
}

TEST_F(PageFigureTest, MapsShareOneColourBarAndItsRange)
{
    const QStringList shared = svgTexts(renderPage(made(page()).page, FigureFormat::Svg));
    EXPECT_EQ(shared.filter(QRegularExpression(QStringLiteral("^attention"))).size(), 1)
        << qPrintable(shared.join(QLatin1Char('|')));
    EXPECT_EQ(shared.count(QStringLiteral("0.0001")), 1) << "the lower of both ends";
    const QStringList apart = svgTexts(renderPage(made(page(R"("share_range": false,)")).page, FigureFormat::Svg));
    EXPECT_EQ(apart.filter(QRegularExpression(QStringLiteral("^attention"))).size(), 2);
}

TEST_F(PageFigureTest, ChartsOfTheSameQuantityShareTheirAxis)
{
    RunHeader low = madeHeader();
    low.model.name = "other";
    writeResults(place("s.jsonl"), 3, low);
    const auto spec = [this](const char* share) {
        return pageFromJson(std::string(R"({"figure": "page", "share_range": )") + share + R"(, "panels": [
            {"figure": "accuracy", "inputs": ["r.jsonl"]}, {"figure": "accuracy", "inputs": ["s.jsonl"]}]})",
            place("page.json"));
    };
    PanelCache cache;
    const PageSpec both = spec("true");
    const auto first = cache.read(*both.panels[0].figure, PanelFrame());
    const auto second = cache.read(*both.panels[1].figure, PanelFrame());
    const double low1 = first->ranges().front().low;
    const double low2 = second->ranges().front().low;
    ASSERT_NE(low1, low2) << "else the test shows nothing";
    const QStringList texts = svgTexts(renderPage(made(both).page, FigureFormat::Svg));
    const QStringList own = svgTexts(renderPage(made(spec("false")).page, FigureFormat::Svg));
    const QString lowest = QString::number(std::min(low1, low2));
    EXPECT_EQ(texts.count(lowest), own.count(lowest) + 1);
}

TEST_F(PageFigureTest, LettersAndTitlesStandAboveThePanels)
{
    const QStringList texts = svgTexts(renderPage(made(page()).page, FigureFormat::Svg));
    for (const char* once : {"(a)", "(b)", "(c)", "The other", "SnapKV", "H2O"})
        EXPECT_GE(texts.count(QString::fromUtf8(once)), 1) << once;
    const QStringList bare = svgTexts(renderPage(made(page(R"("letters": false,)")).page, FigureFormat::Svg));
    EXPECT_EQ(bare.count(QStringLiteral("(a)")), 0);
    EXPECT_EQ(bare.count(QStringLiteral("The other")), 1);
}

TEST_F(PageFigureTest, LineWidthsArePoints)
{
    const auto widths = [this](const char* more) {
        const QString svg = QString::fromUtf8(renderPage(made(page(more)).page, FigureFormat::Svg));
        QSet<QString> found;
        auto matches = QRegularExpression(QStringLiteral("stroke-width=\"([0-9.]+)\"")).globalMatch(svg);
        while (matches.hasNext())
            found << matches.next().captured(1);
        return found;
    };
    // A tenth of a point is one unit of these files.
    EXPECT_TRUE(widths("").contains(QStringLiteral("5")));
    EXPECT_TRUE(widths(R"("line_width": 1,)").contains(QStringLiteral("10")));
    EXPECT_FALSE(widths(R"("line_width": 1,)").contains(QStringLiteral("5")));
}

TEST_F(PageFigureTest, TheCsvHasExactlyWhatAllPanelsShow)
{
    const QStringList lines = QString::fromUtf8(renderPage(made(page()).page, FigureFormat::Csv))
                                  .split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    EXPECT_EQ(lines.front(),
        QStringLiteral("figure_panel,query_begin,query_end,key_begin,key_end,attention,\"kept snapkv\",\"kept h2o\","
                       "panel,source,series,x_name,x,row_name,row,value_name,value,low,high,samples"));
    const auto count = [&lines](const char* letter) {
        return lines.filter(QRegularExpression(QStringLiteral("^\"\\(%1\\)\"").arg(QString::fromUtf8(letter)))).size();
    };
    EXPECT_EQ(count("a"), 150 * 151 / 2) << "bins of 2 x 2";
    EXPECT_EQ(count("b"), 200 * 201 / 2);
    EXPECT_GT(count("c"), 4);
    EXPECT_EQ(lines.size(), 1 + count("a") + count("b") + count("c"));
    for (const QString& line : lines)
        ASSERT_GE(line.count(QLatin1Char(',')), 19) << qPrintable(line);
}

TEST_F(PageFigureTest, TheLatexSnippetIncludesThePictureAndSaysWhatItShows)
{
    writePageFigure(page(), {place("my fig_1.tex"), place("my fig_1.pdf")});
    const QString tex = QString::fromUtf8(bytesOf(place("my fig_1.tex")));
    EXPECT_TRUE(tex.contains(QStringLiteral("\\begin{figure*}[tb]"))) << "174 mm are two columns";
    EXPECT_TRUE(tex.contains(QStringLiteral("\\includegraphics[width=174.0mm]{\\detokenize{my fig_1.pdf}}")));
    EXPECT_TRUE(tex.contains(QStringLiteral("\\label{fig:my-fig-1}")));
    for (const char* part : {"(a) Attention of layer 1, head 2 of", "SnapKV (90 of 300)", "at keep 0.3", "model "})
        EXPECT_TRUE(tex.contains(QString::fromUtf8(part))) << part << " in " << qPrintable(tex);
    EXPECT_TRUE(tex.startsWith(QStringLiteral("% "))) << "provenance is a comment";
    EXPECT_TRUE(tex.contains(QStringLiteral("recording ")));
    PageSpec one = page(R"("width": 84,)");
    one.panels.resize(1);
    one.columns = 1;
    EXPECT_TRUE(renderPage(made(one).page, FigureFormat::Tex).contains("\\begin{figure}[tb]"));
}

TEST_F(PageFigureTest, PopplerReadsTheSizeAndTheTextOfThePdf)
{
    const QString info = QStandardPaths::findExecutable(QStringLiteral("pdfinfo"));
    const QString reader = QStandardPaths::findExecutable(QStringLiteral("pdftotext"));
    const QString fonts = QStandardPaths::findExecutable(QStringLiteral("pdffonts"));
    if (info.isEmpty() || reader.isEmpty() || fonts.isEmpty())
        GTEST_SKIP() << "pdfinfo, pdftotext and pdffonts (poppler-utils) are not installed";
    const MadePage written = made(page());
    writePage(written.page, {place("f.pdf")});
    const QString path = temporaryPath(QStringLiteral("f.pdf"));
    const QRegularExpressionMatch size
        = QRegularExpression(QStringLiteral("Page size: +([0-9.]+) x ([0-9.]+) pts")).match(outputOf(info, {path}));
    ASSERT_TRUE(size.hasMatch());
    EXPECT_NEAR(size.captured(1).toDouble(), written.size.width(), 1.0);
    EXPECT_NEAR(size.captured(2).toDouble(), written.size.height(), 1.0);
    EXPECT_TRUE(outputOf(info, {path}).contains(QRegularExpression(QStringLiteral("Pages: +1\n"))));
    const QString text = outputOf(reader, {QStringLiteral("-layout"), path, QStringLiteral("-")});
    for (const char* part : {"(a)", "The other", "key (token)", "SnapKV", "90 of 300", "kept share asked for"})
        EXPECT_TRUE(text.contains(QString::fromUtf8(part))) << part << " in " << qPrintable(text);
    const QStringList used = outputOf(fonts, {path}).split(QLatin1Char('\n'), Qt::SkipEmptyParts).mid(2);
    EXPECT_FALSE(used.isEmpty());
    for (const QString& font : used)
        EXPECT_TRUE(font.contains(QStringLiteral("KVLoupe"))) << "not a font of this machine: " << qPrintable(font);
}

TEST_F(PageFigureTest, FewCellsAreVectors)
{
    PageSpec few = pageFromJson(
        R"({"figure": "page", "columns": 1, "width": 84, "panels": [{"recording": "a.h5", "keys": "0:64", "queries": "40:104"}]})",
        place("page.json"));
    EXPECT_FALSE(renderPage(made(few).page, FigureFormat::Svg).contains("<image"));
    EXPECT_FALSE(renderPage(made(few).page, FigureFormat::Pdf).contains("/Subtype /Image"));
    PageSpec more = pageFromJson(
        R"({"figure": "page", "columns": 1, "width": 84, "panels": [{"recording": "a.h5", "keys": "0:65", "queries": "40:104"}]})",
        place("page.json"));
    EXPECT_TRUE(renderPage(made(more).page, FigureFormat::Svg).contains("<image"));
}

TEST_F(PageFigureTest, APageOfOneMapShowsItsCellsInTheirColours)
{
    const PageSpec spec = pageFromJson(
        R"({"figure": "page", "columns": 1, "width": 100, "dpi": 200, "panels": [{"recording": "a.h5", "keys": "0:20", "queries": "20:40", "tokens": false, "spans": false}]})",
        place("page.json"));
    const MadePage written = made(spec);
    const QImage image = QImage::fromData(renderPage(written.page, FigureFormat::Png), "PNG");
    EXPECT_NEAR(image.dotsPerMeterX(), 200 / 0.0254, 1.0);
    EXPECT_NEAR(image.width(), 100.0 / 25.4 * 200, 1.5);
    const Recording recording = Recording::open(place("a.h5"));
    AttentionTiles tiles(recording);
    const ColorTable table(ColorMap::Viridis, ColorScale::Logarithmic, {});
    // Every colour of a cell is found on the picture: cells are some 20 pixels wide.
    QSet<QRgb> found;
    for (int y = 0; y < image.height(); ++y)
        for (int x = 0; x < image.width(); ++x)
            found << (image.pixel(x, y) | 0xFF000000U);
    const std::vector<float> row = tiles.row(0, 0, 0, 30);
    for (std::size_t key = 0; key < 20; ++key)
        EXPECT_TRUE(found.contains(table.color(floatToHalf(row[key])) | 0xFF000000U)) << "key " << key;
}

TEST_F(PageFigureTest, SaysWhichPanelCannotBeRead)
{
    const auto problemOf = [this](const char* panels) -> std::string {
        try {
            writePageFigure(
                pageFromJson(std::string(R"({"figure": "page", "panels": [)") + panels + "]}", place("page.json")),
                {place("x.pdf"), place("x.csv")});
        } catch (const Error& error) {
            return error.what();
        }
        return "nothing was thrown";
    };
    EXPECT_THAT(problemOf(R"({"recording": "a.h5"}, {"recording": "none.h5"})"), HasSubstr("panels[1]: "));
    EXPECT_THAT(problemOf(R"({"recording": "a.h5"}, {"recording": "none.h5"})"), HasSubstr("none.h5"));
    EXPECT_THAT(problemOf(R"({"recording": "a.h5", "layer": 9})"), HasSubstr("panels[0]: "));
    EXPECT_THAT(problemOf(R"({"figure": "accuracy"})"), HasSubstr("panels[0]: figure: no results file was given"));
    EXPECT_FALSE(QFile::exists(temporaryPath(QStringLiteral("x.pdf")))) << "all or nothing";
}

TEST_F(PageFigureTest, ADiskThatIsFullLeavesWhatWasThereAndNoHalfFile)
{
    const MadePage written = made(page());
    QFile before(temporaryPath(QStringLiteral("f.pdf")));
    ASSERT_TRUE(before.open(QIODevice::WriteOnly));
    before.write("before");
    before.close();
    const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit small{4096, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    std::string problem = "nothing was thrown";
    try {
        writePage(written.page, {place("f.pdf")});
    } catch (const FigureError& error) {
        problem = error.what();
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, ignored);
    EXPECT_THAT(problem, HasSubstr("f.pdf: cannot be written: "));
    EXPECT_EQ(bytesOf(place("f.pdf")), "before");
    EXPECT_EQ(QFileInfo(before.fileName()).absoluteDir().entryList({QStringLiteral("f.pdf*")}, QDir::Files).size(), 1);
}

TEST_F(PageFigureTest, OnlyRegularFilesAreReplaced)
{
    const MadePage written = made(page());
    ASSERT_TRUE(QFile::link(QStringLiteral("/dev/null"), temporaryPath(QStringLiteral("null.pdf"))));
    EXPECT_THROW(writePage(written.page, {place("null.pdf")}), FigureError);
    EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
    EXPECT_THROW(writePage(written.page, {"/nonexistent-folder/f.pdf"}), FigureError);
}

TEST_F(PageFigureTest, StopsBetweenPanelsWhenNobodyWaitsAnyMore)
{
    PanelCache cache;
    int asked = 0;
    EXPECT_FALSE(makePage(page(), cache, [&asked] { return ++asked < 2; }));
    EXPECT_EQ(asked, 2);
}

} // namespace
} // namespace kvloupe
