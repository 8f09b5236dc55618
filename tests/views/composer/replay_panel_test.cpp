// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/method_registry.h"
#include "core/recording/recording.h"
#include "core/replay/replay.h"
#include "tests/support/make_recording.h"
#include "tests/views/widget_test.h"
#include "views/composer/replay_panel.h"
#include "views/figure/figure_spec.h"
#include "views/figure/spec_fields.h"
#include "views/methods/overlap_model.h"

#include <QImage>
#include <QRegularExpression>
#include <QXmlStreamReader>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace kvloupe {
namespace {

using testing::HasSubstr;

class ReplayPanelTest : public WidgetTest {
protected:
    ReplayPanelTest()
    {
        allowSlowEvents();
        makeRecording(place("r.h5"),
            {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 300, .generatedTokens = 6});
    }

    std::filesystem::path place(const char* name) const { return temporaryPath(QString::fromUtf8(name)).toStdString(); }

    ReplayPanel panel(const char* name, std::vector<std::string> methods, bool isOneHead = false) const
    {
        ReplaySpec spec;
        spec.recording = place("r.h5");
        spec.methods = std::move(methods);
        if (isOneHead) {
            spec.layer = 1;
            spec.head = 3;
        }
        return {name, spec};
    }

    static FigurePage page(const ReplayPanel& panel) { return pageOf(*panel.read(panel.frame()), panel.frame()); }

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

    static QStringList csvLines(const FigurePage& page)
    {
        return QString::fromUtf8(renderPage(page, FigureFormat::Csv)).split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    }
};

TEST_F(ReplayPanelTest, EveryKindIsTheSameTwiceAndSaysWhatItWasMadeFrom)
{
    for (const ReplayPanel& figure : {panel("overlap", {"snapkv", "h2o"}), panel("shots", {"snapkv"}),
             panel("timeline", {"h2o"}, true), panel("text", {"snapkv"}), panel("heads", {})}) {
        const FigurePage first = page(figure);
        const FigurePage second = page(figure);
        for (const FigureFormat format : {FigureFormat::Pdf, FigureFormat::Svg, FigureFormat::Png, FigureFormat::Csv})
            EXPECT_EQ(renderPage(first, format), renderPage(second, format)) << qPrintable(figure.label());
        EXPECT_TRUE(first.description.contains(QStringLiteral("recording "))) << qPrintable(figure.label());
        EXPECT_FALSE(first.caption.isEmpty());
        SpecFields fields(figure.toJson().dump(), "/data/x.json");
        const std::string name = figure.toJson()["figure"];
        EXPECT_EQ(ReplayPanel(name, replaySpecFromFields(fields)).toJson(), figure.toJson());
        fields.rejectUnknown();
    }
}

TEST_F(ReplayPanelTest, OverlapHasTheNumbersOfTheTable)
{
    const FigurePage figure = page(panel("overlap", {"snapkv", "h2o", "streaming_llm"}));
    const Recording recording = Recording::open(place("r.h5"));
    const std::vector<Method> methods{parseMethod("snapkv"), parseMethod("h2o")};
    std::vector<KeptOfMethod> kept;
    for (const ScoredSample& scored : Replay(recording).score(0, methods)) {
        std::vector<KeepSet> layers;
        for (auto& [layer, set] : scored.choose(Budget::keep("0.3")).kept)
            layers.push_back(set);
        kept.push_back(std::make_shared<const std::vector<KeepSet>>(std::move(layers)));
    }
    const double expected = overlapMatrix(kept, 300)[1];
    const QStringList lines = csvLines(figure);
    ASSERT_EQ(lines.size(), 1 + 9);
    EXPECT_TRUE(
        lines[2].startsWith(QStringLiteral("\"\",\"\",,\"method\",\"H2O\",\"method\",\"SnapKV\",\"Jaccard overlap\",")))
        << qPrintable(lines[2]);
    EXPECT_NEAR(lines[2].split(QLatin1Char(','))[8].toDouble(), expected, 1e-12);
    const QStringList texts = svgTexts(renderPage(figure, FigureFormat::Svg));
    EXPECT_GE(texts.count(QString::number(expected, 'f', 2)), 2) << "in both cells of the pair";
    EXPECT_EQ(texts.count(QStringLiteral("StreamingLLM")), 2) << "a row and a column";
}

TEST_F(ReplayPanelTest, ShotsShowWhatIsKeptOfEach)
{
    const FigurePage figure = page(panel("shots", {"shotkv", "snapkv"}));
    const QStringList lines = csvLines(figure);
    EXPECT_EQ(lines.front(),
        QStringLiteral(
            "method,shot,token_begin,token_end,kept_share,broken_share_of_heads,dropped_share_of_heads,heads"));
    double broken = 0.0;
    for (const QString& line : lines.filter(QRegularExpression(QStringLiteral("^\"ShotKV\""))))
        broken += line.split(QLatin1Char(','))[5].toDouble();
    EXPECT_EQ(broken, 0.0) << "ShotKV keeps shots whole or drops them";
    const QStringList texts = svgTexts(renderPage(figure, FigureFormat::Svg));
    EXPECT_TRUE(texts.contains(QStringLiteral("ShotKV")));
    EXPECT_TRUE(texts.contains(QStringLiteral("0.0 broken")));
    EXPECT_FALSE(texts.filter(QStringLiteral("shot 1")).isEmpty());
    EXPECT_FALSE(texts.filter(QRegularExpression(QStringLiteral("^[0-9]+ %$"))).isEmpty());
}

TEST_F(ReplayPanelTest, TextStaysTextAndDroppedTokensAreStruckThrough)
{
    const ReplayPanel figure = panel("text", {"streaming_llm"}, true);
    const FigurePage made = page(figure);
    const QByteArray svg = renderPage(made, FigureFormat::Svg);
    EXPECT_FALSE(svg.contains("<image"));
    const QStringList lines = csvLines(made);
    int dropped = 0;
    for (qsizetype line = 1; line < lines.size(); ++line)
        dropped += lines[line].section(QLatin1Char(','), -2, -2) == QStringLiteral("0") ? 1 : 0;
    EXPECT_GT(dropped, 0);
    EXPECT_LT(dropped, lines.size() - 1);
    EXPECT_TRUE(svg.contains("#707070")) << "lines through what no head keeps";
    ReplaySpec few;
    few.recording = place("r.h5");
    few.methods = {"snapkv"};
    few.keys = TokenRange{10, 20};
    EXPECT_LT(csvLines(page(ReplayPanel("text", few))).size(), 12);
}

TEST_F(ReplayPanelTest, TheTimelineTellsWhenTokensAreBornAndGone)
{
    const QStringList lines = csvLines(page(panel("timeline", {"streaming_llm"}, true)));
    EXPECT_EQ(lines.size(), 1 + 306);
    EXPECT_EQ(lines[1].section(QLatin1Char(','), 0, 2), QStringLiteral("0,0,")) << "a sink stays";
    EXPECT_EQ(lines[101].section(QLatin1Char(','), 0, 2), QStringLiteral("100,0,0")) << "dropped after the prompt";
    EXPECT_EQ(lines[306].section(QLatin1Char(','), 0, 1), QStringLiteral("305,6"));
}

TEST_F(ReplayPanelTest, HeadsShowsAThumbnailPerHead)
{
    const FigurePage figure = page(panel("heads", {}));
    const QByteArray svg = renderPage(figure, FigureFormat::Svg);
    EXPECT_EQ(svg.count("<image"), 2 * 4);
    const Recording recording = Recording::open(place("r.h5"));
    const std::int64_t edge = overviewEdge(300);
    EXPECT_EQ(csvLines(figure).size(), 1 + 2 * 4 * edge * (edge + 1) / 2);
}

TEST_F(ReplayPanelTest, SaysWhatAFigureNeeds)
{
    const auto problemOf = [](const ReplayPanel& figure) -> std::string {
        try {
            page(figure);
        } catch (const Error& error) {
            return error.what();
        }
        return "nothing was thrown";
    };
    EXPECT_THAT(problemOf(panel("overlap", {"snapkv"})), HasSubstr("found 1 methods, expected at least 2"));
    EXPECT_THAT(problemOf(panel("shots", {})), HasSubstr("found 0 methods"));
    EXPECT_THAT(problemOf(panel("text", {"snapkv", "h2o"})), HasSubstr("found 2 methods, expected one"));
    EXPECT_THAT(problemOf(panel("timeline", {"h2o"})), HasSubstr("expected one method, a layer and a head"));
    EXPECT_THAT(problemOf(panel("heads", {"h2o"})), HasSubstr("expected neither"));
    EXPECT_THAT(problemOf(panel("text", {"nonesuch"})), HasSubstr("nonesuch"));
    EXPECT_THROW(ReplayPanel("attention", {}), FigureError);
    ReplaySpec spec;
    spec.head = 3;
    EXPECT_THROW(checkReplaySpec(spec), FigureError);
    ReplaySpec empty;
    EXPECT_THAT(problemOf(ReplayPanel("heads", empty)), HasSubstr("no recording was given"));
}

} // namespace
} // namespace kvloupe
