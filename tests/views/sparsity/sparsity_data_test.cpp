// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/error.h"
#include "core/metrics/analysis.h"
#include "core/metrics/pair_comparison.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"
#include "tests/views/widget_test.h"
#include "views/figure/figure_spec.h"
#include "views/sparsity/sparsity_chart.h"
#include "views/sparsity/sparsity_data.h"
#include "views/sparsity/sparsity_figure.h"
#include "views/sparsity/sparsity_model.h"

#include <QApplication>
#include <QFile>
#include <QSignalSpy>

#include <gmock/gmock.h>

#include <cmath>
#include <map>

namespace kvloupe {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::size_t gini = 2;

double sumOfSpans(const std::vector<Band>& spans, std::size_t layer)
{
    double sum = 0.0;
    for (const Band& band : spans)
        sum += std::isnan(band[layer].mean) ? 0.0 : band[layer].mean;
    return sum;
}

class SparsityTest : public WidgetTest {
protected:
    std::filesystem::path record(const char* name, std::uint64_t seed, int heads = 4, int samples = 2)
    {
        const std::filesystem::path path = temporaryPath(QString::fromUtf8(name)).toStdString();
        SyntheticRecording options;
        options.layers = 3;
        options.heads = heads;
        options.kvHeads = 2;
        options.headDim = 16;
        options.promptTokens = 96;
        options.samples = samples;
        options.seed = seed;
        makeRecording(path, options);
        return path;
    }

    static std::shared_ptr<const SparsityData> measured(const SparsityRequest& request)
    {
        return measureSparsity(request, [](double) { return true; });
    }
};

/// The value of `column` in the rows that `kvloupe analyze --metric sparsity` would print, by sample, layer and head.
std::map<std::array<std::int64_t, 3>, double> analysed(const std::filesystem::path& path, const std::string& column)
{
    std::map<std::array<std::int64_t, 3>, double> values;
    const Recording recording = Recording::open(path);
    AnalysisOptions options;
    options.metrics = {Metric::Sparsity};
    const Analysis analysis(recording, options);
    for (int sample = 0; sample < recording.sampleCount(); ++sample) {
        const SampleInfo& info = recording.sample(sample);
        const PromptLayout layout(info.promptTokens, info.totalTokens, recording.readText(sample).spans);
        analysis.run(
            sample, layout,
            [&](const MeasureRow& row) {
                const auto cell = [&](const std::string& name) -> const MeasureCell& {
                    const auto found = std::ranges::find(row.metric->columns, name, &MetricColumn::name);
                    return row.cells[static_cast<std::size_t>(found - row.metric->columns.begin())];
                };
                if (std::get<std::string>(cell("queries")) == "prompt")
                    values[{sample, std::get<std::int64_t>(cell("layer")), std::get<std::int64_t>(cell("head"))}]
                        = std::get<double>(cell(column));
            },
            [](double) { return true; });
    }
    return values;
}

TEST_F(SparsityTest, AMapHoldsTheMeansOverSamplesThatAnalyzePrints)
{
    const std::filesystem::path path = record("a.h5", 1);
    const auto data = measured({{path}, {}});
    ASSERT_THAT(data->sides, SizeIs(1));
    const SparsityData::Side& side = data->sides[0];
    EXPECT_EQ(side.samples, 2);
    EXPECT_THAT(side.layers, testing::ElementsAre(0, 1, 2));
    auto expected = analysed(path, "gini_index");
    for (int layer = 0; layer < 3; ++layer)
        for (int head = 0; head < 4; ++head)
            EXPECT_NEAR(side.maps[gini][static_cast<std::size_t>(4 * layer + head)],
                0.5 * (expected[{0, layer, head}] + expected[{1, layer, head}]), 1e-12)
                << layer << " " << head;
    const auto one = measured({{path}, "1"});
    EXPECT_EQ(one->sides[0].samples, 1);
    EXPECT_NEAR((one->sides[0].maps[gini][5]), (expected[{1, 1, 1}]), 1e-12);
}

TEST_F(SparsityTest, ALayersMeanIsThatOfItsHeadsAndLiesInItsInterval)
{
    const auto data = measured({{record("a.h5", 1)}, {}});
    const SparsityData::Side& side = data->sides[0];
    for (std::size_t measure = 0; measure < allSparsityMeasures.size(); ++measure) {
        for (std::size_t layer = 0; layer < 3; ++layer) {
            double mean = 0.0;
            for (std::size_t head = 0; head < 4; ++head)
                mean += side.maps[measure][4 * layer + head] / 4.0;
            const BootstrapMean& band = side.byLayer[measure][layer];
            EXPECT_NEAR(band.mean, mean, 1e-9 * std::abs(mean) + 1e-12);
            EXPECT_LE(band.low, band.mean);
            EXPECT_GE(band.high, band.mean);
            EXPECT_LT(band.low, band.high);
        }
    }
}

TEST_F(SparsityTest, CumulativeCurvesRiseToOneAndSinksMakeThemSteeper)
{
    const auto data = measured({{record("a.h5", 1)}, {}});
    for (const Band& curve : data->sides[0].cumulative) {
        ASSERT_EQ(curve.size(), data->shares.size());
        for (std::size_t place = 1; place < curve.size(); ++place)
            EXPECT_GE(curve[place].mean, curve[place - 1].mean);
        EXPECT_NEAR(curve.back().mean, 1.0, 1e-6);
    }
    EXPECT_GT(data->sides[0].cumulative[0][3].mean, data->sides[0].cumulative[1][3].mean)
        << "without the first four tokens attention is more even";
}

TEST_F(SparsityTest, TwoRecordingsAreComparedInPairsAsAnalyzePairDoes)
{
    const std::filesystem::path first = record("a.h5", 1);
    const std::filesystem::path second = record("b.h5", 2);
    const auto data = measured({{first, second}, {}});
    EXPECT_EQ(data->pairs, 2);
    EXPECT_TRUE(data->sameShape());
    EXPECT_THAT(data->remark, IsEmpty());
    EXPECT_EQ(data->sides[0].label, "a") << "role and model are the same, so files tell them apart";
    for (std::size_t layer = 0; layer < 3; ++layer) {
        const BootstrapMean& difference = data->difference[gini][layer];
        EXPECT_NEAR(
            difference.mean, data->sides[1].byLayer[gini][layer].mean - data->sides[0].byLayer[gini][layer].mean, 1e-9);
        EXPECT_LT(difference.low, difference.high);
    }

    // The interval of the pairs' table, layer 1.
    PairComparison comparison(std::array{Metric::Sparsity});
    for (const auto side : {PairComparison::Side::First, PairComparison::Side::Second}) {
        const Recording recording = Recording::open(side == PairComparison::Side::First ? first : second);
        AnalysisOptions options;
        options.metrics = {Metric::Sparsity};
        const Analysis analysis(recording, options);
        for (int sample = 0; sample < 2; ++sample) {
            const SampleInfo& info = recording.sample(sample);
            analysis.run(
                sample, PromptLayout(info.promptTokens, info.totalTokens, recording.readText(sample).spans),
                [&](const MeasureRow& row) { comparison.add(side, sample, row); }, [](double) { return true; });
        }
    }
    bool seen = false;
    comparison.write({}, [&](const MeasureRow& row) {
        const auto cell = [&](const std::string& name) -> const MeasureCell& {
            const auto found = std::ranges::find(row.metric->columns, name, &MetricColumn::name);
            return row.cells[static_cast<std::size_t>(found - row.metric->columns.begin())];
        };
        const auto* layer = std::get_if<std::int64_t>(&cell("layer"));
        if (layer == nullptr || *layer != 1 || std::get<std::string>(cell("measure")) != "gini_index"
            || std::get<std::string>(cell("queries")) != "prompt")
            return;
        seen = true;
        EXPECT_EQ(data->difference[gini][1].low, std::get<double>(cell("difference_low")));
        EXPECT_EQ(data->difference[gini][1].high, std::get<double>(cell("difference_high")));
    });
    EXPECT_TRUE(seen);
}

TEST_F(SparsityTest, SpansOfAPairAreAlignedByKindAndTheirMassesSumToOne)
{
    const auto data = measured({{record("a.h5", 1), record("b.h5", 2)}, {}});
    ASSERT_THAT(data->spans, testing::Contains("shot"));
    EXPECT_LT(std::ranges::find(data->spans, "instruction"), std::ranges::find(data->spans, "question"))
        << "as a prompt has them";
    ASSERT_THAT(data->spanDifference, SizeIs(data->spans.size()));
    for (std::size_t layer = 0; layer < 3; ++layer) {
        for (const SparsityData::Side& side : data->sides)
            EXPECT_NEAR(sumOfSpans(side.spanMass, layer), 1.0, 1e-3);
        EXPECT_NEAR(sumOfSpans(data->spanDifference, layer), 0.0, 1e-3);
        for (std::size_t span = 0; span < data->spans.size(); ++span)
            EXPECT_NEAR(data->spanDifference[span][layer].mean,
                data->sides[1].spanMass[span][layer].mean - data->sides[0].spanMass[span][layer].mean, 1e-9);
    }
    const Chart chart = spanMassChart(*data);
    ASSERT_THAT(chart.panels, SizeIs(3));
    EXPECT_TRUE(chart.panels[2].matrix->diverging);
    EXPECT_EQ(chart.panels[0].matrix->high, chart.panels[1].matrix->high) << "one range for both";
    EXPECT_THAT(chartText(chart).toStdString(), HasSubstr("question"));
}

TEST_F(SparsityTest, ASpanThatOneRecordingLacksIsStillARowOfBoth)
{
    const std::filesystem::path plain = temporaryPath(QStringLiteral("plain.h5")).toStdString();
    SyntheticRecording options;
    options.layers = 2;
    options.headDim = 16;
    options.promptTokens = 96;
    options.shots = false;
    makeRecording(plain, options);
    const auto data = measured({{record("a.h5", 1), plain}, {}});
    EXPECT_EQ(data->pairs, 0) << "other numbers of layers";
    ASSERT_THAT(data->spans, testing::Contains("shot"));
    const auto shot = std::ranges::find(data->spans, "shot") - data->spans.begin();
    for (const SparsityData::Side& side : data->sides)
        ASSERT_THAT(side.spanMass, SizeIs(data->spans.size()));
    EXPECT_GT(data->sides[0].spanMass[static_cast<std::size_t>(shot)][0].mean, 0.0);
    EXPECT_TRUE(std::isnan(data->sides[1].spanMass[static_cast<std::size_t>(shot)][0].mean));
}

TEST_F(SparsityTest, RecordingsOfOtherShapesStandSideBySideAndSayWhy)
{
    const auto data = measured({{record("a.h5", 1), record("b.h5", 2, 6)}, {}});
    EXPECT_EQ(data->pairs, 0);
    EXPECT_FALSE(data->sameShape());
    EXPECT_THAT(data->remark, Not(IsEmpty()));
    EXPECT_THAT(data->difference[gini], IsEmpty());
    EXPECT_THAT(data->sides[1].maps[gini], SizeIs(18));
    const std::string text = chartText(sparsityChart(*data, SparsityMeasure::Gini)).toStdString();
    EXPECT_THAT(text, HasSubstr("Not compared in pairs: "));
    EXPECT_THAT(text, Not(HasSubstr("b - a")));
}

TEST_F(SparsityTest, StopsWhenItIsToldTo)
{
    int calls = 0;
    EXPECT_EQ(measureSparsity({{record("a.h5", 1)}, {}}, [&](double) { return ++calls < 2; }), nullptr);
    EXPECT_EQ(calls, 2);
    EXPECT_THROW(measured({{record("a.h5", 1)}, "no such sample"}), Error);
    EXPECT_THROW(measured({{"/nowhere.h5"}, {}}), Error);
}

TEST_F(SparsityTest, AChartHasMapsInOneRangeTheDifferenceAndMeansByLayer)
{
    const auto data = measured({{record("a.h5", 1), record("b.h5", 2)}, {}});
    const Chart chart = sparsityChart(*data, SparsityMeasure::Sink);
    ASSERT_THAT(chart.panels, SizeIs(5));
    EXPECT_EQ(chart.panels[0].matrix->low, chart.panels[1].matrix->low);
    EXPECT_EQ(chart.panels[0].matrix->high, chart.panels[1].matrix->high);
    const ChartMatrix& difference = *chart.panels[2].matrix;
    EXPECT_TRUE(difference.diverging);
    EXPECT_EQ(difference.low, -difference.high) << "white is no difference";
    EXPECT_NEAR(difference.at(1, 2), chart.panels[1].matrix->at(1, 2) - chart.panels[0].matrix->at(1, 2), 1e-12);
    EXPECT_THAT(chart.panels[3].series, SizeIs(2));
    for (const ChartSeries& series : chart.panels[3].series)
        EXPECT_TRUE(series.band);
    EXPECT_THAT(chart.panels[4].title.toStdString(), HasSubstr("b - a"));
    EXPECT_THAT(sparsityOverview(*data, SparsityMeasure::Sink).panels, SizeIs(10));
    EXPECT_THAT(chartText(cumulativeChart(*data)).toStdString(), HasSubstr("# without the first 4 tokens"));
}

TEST_F(SparsityTest, TheCommandLineAndASpecGiveTheSameFigure)
{
    const std::filesystem::path path = record("a.h5", 1);
    const auto place = [this](const char* name) {
        return std::filesystem::path(temporaryPath(QString::fromUtf8(name)).toStdString());
    };
    SparsityFigure figure = *sparsityFigureOf("sparsity");
    figure.request.recordings = {path};
    figure.measure = SparsityMeasure::Top8;
    writeSparsityFigure(figure, {place("a.pdf"), place("a.csv")});
    writeSparsityFigure(
        sparsityFigureFromJson(R"({"figure": "sparsity", "inputs": ["a.h5"], "measure": "top-8"})", place("s.json")),
        {place("b.pdf"), place("b.csv")});
    for (const auto& [a, b] : {std::pair("a.pdf", "b.pdf"), std::pair("a.csv", "b.csv")}) {
        QFile first(temporaryPath(QString::fromUtf8(a)));
        QFile second(temporaryPath(QString::fromUtf8(b)));
        ASSERT_TRUE(first.open(QIODevice::ReadOnly) && second.open(QIODevice::ReadOnly));
        EXPECT_EQ(first.readAll(), second.readAll());
    }
    EXPECT_EQ(sparsityCommandLine({{"a b.h5"}, "q-3"}, SparsityMeasure::Gini, "f.pdf"),
        "kvloupe figure sparsity 'a b.h5' --sample q-3 --measure gini --out f.pdf");
    EXPECT_THROW(writeSparsityFigure(*sparsityFigureOf("cumulative"), {place("c.pdf")}), FigureError);
    EXPECT_THROW(
        sparsityFigureFromJson(R"({"figure": "cumulative", "measure": "gini"})", place("s.json")), FigureError);
}

TEST_F(SparsityTest, TheModelMeasuresInTheBackgroundAndOnlyWhileItIsLookedAt)
{
    const std::filesystem::path path = record("a.h5", 1);
    SparsityModel model;
    QSignalSpy progressed(&model, &SparsityModel::progressed);
    model.setRequest({{path}, {}});
    EXPECT_FALSE(model.isBusy()) << "nobody looks";
    model.setActive(true);
    EXPECT_TRUE(model.isBusy());
    EXPECT_EQ(model.data(), nullptr);
    ASSERT_TRUE(waitFor([&] { return !model.isBusy(); }));
    ASSERT_NE(model.data(), nullptr);
    EXPECT_GT(progressed.count(), 0);
    EXPECT_THAT(model.chart().panels, SizeIs(5));

    model.setMeasure(SparsityMeasure::Gini);
    EXPECT_FALSE(model.isBusy()) << "another measure is another look at the same numbers";
    EXPECT_EQ(model.chart().panels[0].matrix->valueName, QStringLiteral("Gini index"));
}

TEST_F(SparsityTest, ANewerRequestSupersedesTheOneInHand)
{
    const std::filesystem::path first = record("a.h5", 1);
    const std::filesystem::path second = record("b.h5", 2);
    SparsityModel model;
    model.setActive(true);
    model.setRequest({{first}, {}});
    model.setRequest({{second}, {}});
    ASSERT_TRUE(waitFor([&] { return model.data() != nullptr; }));
    EXPECT_EQ(model.data()->sides[0].path, second);
    QApplication::processEvents();
    EXPECT_EQ(model.data()->sides[0].path, second) << "the first never arrives";
    model.setRequest({});
    EXPECT_EQ(model.data(), nullptr);
    EXPECT_TRUE(model.chart().panels.empty());
}

TEST_F(SparsityTest, TheModelSaysWhatIsWrong)
{
    SparsityModel model;
    model.setActive(true);
    model.setRequest({{"/nowhere/at/all.h5"}, {}});
    ASSERT_TRUE(waitFor([&] { return !model.problem().isEmpty(); }));
    EXPECT_THAT(model.problem().toStdString(), HasSubstr("/nowhere/at/all.h5"));
    EXPECT_FALSE(model.isBusy());
    model.setRequest({{record("a.h5", 1)}, {}});
    model.stop();
    EXPECT_FALSE(model.isBusy());
    EXPECT_EQ(model.problem(), QStringLiteral("Measuring was stopped"));
    EXPECT_EQ(model.data(), nullptr);
}

} // namespace
} // namespace kvloupe
