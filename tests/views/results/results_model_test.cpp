// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/results/written_results.h"
#include "tests/views/widget_test.h"
#include "views/results/result_samples.h"
#include "views/results/results_model.h"

#include <QAbstractItemModelTester>
#include <QSignalSpy>

#include <gmock/gmock.h>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class ResultsModelTest : public WidgetTest {
protected:
    std::filesystem::path place(const char* name) const { return temporaryPath(QString::fromUtf8(name)).toStdString(); }
    void read(const std::vector<std::filesystem::path>& files)
    {
        model.setFiles(files);
        ASSERT_TRUE(waitFor([&] { return !model.isBusy(); }));
    }
    std::string text() const { return chartText(model.chart()).toStdString(); }

    /// The samples of a method at a kept share, in percent.
    std::vector<std::size_t> rowsAt(const QString& line, double kept) const
    {
        for (std::size_t series = 0; series < model.chart().panels[0].series.size(); ++series) {
            const ChartSeries& candidate = model.chart().panels[0].series[series];
            for (std::size_t point = 0; point < candidate.points.size(); ++point)
                if (candidate.name == line && std::abs(candidate.points[point].x - kept) < 1e-9)
                    return model.rowsOf({0, static_cast<int>(series), static_cast<int>(point), -1, -1});
        }
        ADD_FAILURE() << "no such point";
        return {};
    }

    ResultsModel model;
};

TEST_F(ResultsModelTest, ReadsSeveralFilesInTheBackground)
{
    writeResults(place("ar.jsonl"), 10);
    writeResults(place("wk.jsonl"), 10, headerOf("wk"));
    const QSignalSpy busy(&model, &ResultsModel::busyChanged);
    model.addFiles({place("ar.jsonl")});
    model.addFiles({place("wk.jsonl"), place("ar.jsonl")});
    EXPECT_TRUE(model.isBusy());
    EXPECT_TRUE(model.chart().panels.empty()) << "nothing is read on this thread";
    ASSERT_TRUE(waitFor([&] { return !model.isBusy(); }));
    EXPECT_THAT(model.files(), SizeIs(2)) << "none twice";
    EXPECT_THAT(model.chart().panels, SizeIs(2));
    EXPECT_EQ(busy.count(), 2) << "once begun, once done, whatever was superseded";
    EXPECT_TRUE(model.remarks().isEmpty());
}

TEST_F(ResultsModelTest, ReadsAFileAgainWhenItHasGrown)
{
    writeResults(place("r.jsonl"), 2);
    read({place("r.jsonl")});
    EXPECT_THAT(text(), HasSubstr("n = 2 at every point"));
    const QSignalSpy changed(&model, &ResultsModel::changed);
    model.checkFiles();
    EXPECT_FALSE(model.isBusy()) << "nothing has changed";
    writeResults(place("r.jsonl"), 3, madeHeader(), 2);
    model.checkFiles();
    ASSERT_TRUE(waitFor([&] { return !model.isBusy(); }));
    EXPECT_THAT(text(), HasSubstr("n = 5 at every point"));
    writeResults(place("r.jsonl"), 1, madeHeader(), 5);
    ASSERT_TRUE(waitFor([&] { return changed.count() == 2; })) << "it looks by itself, too";
    EXPECT_THAT(text(), HasSubstr("n = 6 at every point"));
}

TEST_F(ResultsModelTest, OneBadFileDoesNotHideTheOthers)
{
    writeResults(place("good.jsonl"), 10);
    std::ofstream(place("bad.jsonl")) << "{\"format\":\"something else\"}\n";
    read({place("bad.jsonl"), place("gone.jsonl"), place("good.jsonl")});
    EXPECT_THAT(model.chart().panels, SizeIs(1));
    const QStringList remarks = model.remarks().split(QLatin1Char('\n'));
    ASSERT_EQ(remarks.size(), 2);
    EXPECT_TRUE(remarks[0].contains(QStringLiteral("bad.jsonl, line 1, field type"))) << qPrintable(remarks[0]);
    EXPECT_TRUE(remarks[1].contains(QStringLiteral("gone.jsonl: cannot be opened"))) << qPrintable(remarks[1]);
}

TEST_F(ResultsModelTest, SaysWhatWasLeftOutOfAFileThatIsBeingWritten)
{
    writeResults(place("r.jsonl"), 3);
    std::ofstream(place("r.jsonl"), std::ios::app) << resultLine(madeRow(madeHeader(), 0, 7)) << "\n{\"version\":1,";
    read({place("r.jsonl")});
    EXPECT_EQ(model.remarks().toStdString(),
        "r.jsonl: the last line is not finished (13 bytes) and was left out\n"
        "r.jsonl: 1 row of samples that were not completed were left out");
    EXPECT_THAT(text(), HasSubstr("n = 3 at every point"));
}

TEST_F(ResultsModelTest, KnowsTheSamplesBehindAPoint)
{
    writeResults(place("r.jsonl"), 10);
    read({place("r.jsonl")});
    const std::vector<std::size_t> rows = rowsAt(QStringLiteral("H2O"), 10.0);
    ASSERT_THAT(rows, SizeIs(10));
    for (const std::size_t row : rows) {
        EXPECT_EQ(model.data()->rows[row].method.name, "h2o");
        EXPECT_EQ(model.data()->rows[row].budget.text, "0.1");
        EXPECT_EQ(model.data()->rows[*model.data()->fullRows[row]].method.name, "full");
        EXPECT_EQ(model.data()->rows[*model.data()->fullRows[row]].key, model.data()->rows[row].key);
    }
    ResultsSpec spec;
    spec.paper = true;
    model.setSpec(spec);
    EXPECT_THAT(model.rowsOf({1, 1, 0, -1, -1}), IsEmpty()) << "no sample of ours is behind a published number";
    EXPECT_THAT(model.rowsOf({}), IsEmpty());
}

TEST_F(ResultsModelTest, FindsAPointAgainInAnotherChart)
{
    writeResults(place("r.jsonl"), 10);
    read({place("r.jsonl")});
    const Chart before = model.chart();
    ResultsSpec spec;
    spec.measure = ResultMeasure::RelativeDrop; // has no line of the full cache
    model.setSpec(spec);
    EXPECT_EQ(model.sameTarget({0, 2, 1, -1, -1}, before), (ChartTarget{0, 1, 1, -1, -1}));
    EXPECT_FALSE(model.sameTarget({0, 0, 0, -1, -1}, before)) << "the full cache has no drop";
}

class ResultSamplesTest : public ResultsModelTest {
protected:
    void list(const QString& line, double kept)
    {
        writeResults(place("r.jsonl"), 10);
        read({place("r.jsonl")});
        samples.setRows(model.data(), rowsAt(line, kept));
    }
    std::string cell(int row, ResultSamples::Column column) const
    {
        return filtered.index(row, column).data().toString().toStdString();
    }

    ResultSamples samples;
    FilteredSamples filtered{&samples};
};

TEST_F(ResultSamplesTest, TellsHowEverySampleWentAndHowWithTheFullCache)
{
    const QAbstractItemModelTester tester(&filtered, QAbstractItemModelTester::FailureReportingMode::Warning);
    list(QStringLiteral("SnapKV"), 10.0);
    ASSERT_EQ(filtered.rowCount(), 10);
    EXPECT_EQ(cell(3, ResultSamples::SampleColumn), "ar-3");
    EXPECT_EQ(cell(3, ResultSamples::VerdictColumn), "right");
    EXPECT_EQ(cell(4, ResultSamples::VerdictColumn), "wrong");
    EXPECT_EQ(cell(4, ResultSamples::FullColumn), "right (lost)");
    EXPECT_EQ(cell(9, ResultSamples::FullColumn), "wrong");
    EXPECT_EQ(cell(4, ResultSamples::AnswerColumn), "41");
    EXPECT_EQ(cell(4, ResultSamples::ReferenceColumn), "The answer is 42.");
    EXPECT_EQ(cell(4, ResultSamples::OutputColumn), "The answer is \"42\". \xc3\xa9") << "on one line";
    EXPECT_EQ(cell(4, ResultSamples::LengthColumn), "4");
    EXPECT_THAT(samples.details(4).toStdString(), HasSubstr("With the full cache (right):"));
}

TEST_F(ResultSamplesTest, FiltersAndSorts)
{
    list(QStringLiteral("SnapKV"), 10.0);
    EXPECT_EQ(filtered.count(SampleFilter::Wrong), 6);
    EXPECT_EQ(filtered.count(SampleFilter::Lost), 4);
    EXPECT_EQ(filtered.count(SampleFilter::Gained), 0);
    EXPECT_EQ(filtered.count(SampleFilter::Skipped), 0);
    filtered.setFilter(SampleFilter::Lost);
    std::vector<std::string> lost;
    for (int row = 0; row < filtered.rowCount(); ++row)
        lost.push_back(cell(row, ResultSamples::SampleColumn));
    EXPECT_THAT(lost, ElementsAre("ar-4", "ar-5", "ar-6", "ar-7"));
    filtered.setFilter(SampleFilter::All);
    filtered.sort(ResultSamples::NllColumn, Qt::DescendingOrder);
    EXPECT_EQ(cell(0, ResultSamples::SampleColumn), "ar-9") << "later samples were made less likely";
}

TEST_F(ResultSamplesTest, ASkippedSampleSaysWhy)
{
    const RunHeader header = madeHeader();
    {
        ResultStore store(place("s.jsonl"), header, ResultStoreMode::New);
        std::vector<ResultRow> rows = judgedSample(header, 0);
        rows[1] = skippedRow(rows[1], "prompt of 9000 tokens beyond the context of 2048");
        store.append(rows);
        store.append(judgedSample(header, 1));
    }
    read({place("s.jsonl")});
    samples.setRows(model.data(), rowsAt(QStringLiteral("SnapKV"), 30.0));
    ASSERT_EQ(filtered.rowCount(), 2);
    EXPECT_EQ(cell(0, ResultSamples::VerdictColumn), "skipped");
    EXPECT_EQ(cell(0, ResultSamples::OutputColumn), "prompt of 9000 tokens beyond the context of 2048");
    EXPECT_EQ(filtered.count(SampleFilter::Skipped), 1);
    EXPECT_THAT(samples.details(0).toStdString(), HasSubstr("Skipped: prompt of 9000 tokens"));
}

} // namespace
} // namespace kvloupe
