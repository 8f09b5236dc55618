// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/jobs/fake_program.h"
#include "tests/views/widget_test.h"
#include "views/jobs/evaluate_dialog.h"
#include "views/jobs/field_form.h"
#include "views/jobs/known_models.h"
#include "views/jobs/proposal_dialog.h"
#include "views/jobs/record_dialog.h"
#include "views/jobs/recording_estimate.h"
#include "views/jobs/recording_proposal.h"
#include "views/results/results_view.h"

#include <QApplication>
#include <QComboBox>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>

#include <gmock/gmock.h>

namespace kvloupe {
namespace {

using testing::HasSubstr;

/// Answers what the dialogs ask; an estimate of a prompt that says so fails.
constexpr char answeringScript[] = R"(
case "$*" in
models*) echo '[{"name":"large-model","state":"absent"},{"name":"small-model","state":"ready"},{"name":"--evil"},7]' ;;
*impossible*) echo 'kvloupe: error: prompt: found no text' >&2; exit 1 ;;
*--estimate*) echo '{"record":"full","file_bytes":2097152,"memory_bytes":1048576,"seconds":90.0}' ;;
esac
)";

class JobDialogTest : public WidgetTest {
protected:
    KvloupeProgram program()
    {
        return {writeFakeProgram(temporaryPath(QStringLiteral("kvloupe")), answeringScript), {}};
    }

    CaptureArguments capture() const
    {
        CaptureArguments arguments;
        arguments.out = temporaryPath(QStringLiteral("r.h5"));
        return arguments;
    }

    static QComboBox* model(JobDialog& dialog) { return dialog.findChild<QComboBox*>(QStringLiteral("jobModel")); }

    static void type(JobDialog& dialog, const char* field, const QString& text)
    {
        QTest::keyClicks(dialog.findChild<QWidget*>(QLatin1String(field)), text);
    }
};

TEST_F(JobDialogTest, RecordShowsTheCommandItWillRun)
{
    RecordDialog dialog(program(), capture());
    showAndWait(dialog, 760, 760);
    ASSERT_TRUE(waitFor([&] { return model(dialog)->count() == 2; })) << "names that read as options are no models";
    EXPECT_EQ(model(dialog)->currentText(), QStringLiteral("small-model")) << "the one that is there";
    type(dialog, "recordPrompt", QStringLiteral("What is 2 + 2?"));
    EXPECT_EQ(dialog.command(),
        QStringLiteral("kvloupe capture small-model --prompt 'What is 2 + 2?' --out ")
            + temporaryPath(QStringLiteral("r.h5")));
    EXPECT_EQ(dialog.findChild<QLineEdit*>(QStringLiteral("jobCommand"))->text(), dialog.command());
}

TEST_F(JobDialogTest, RecordEstimatesOnceTheFieldsAreComplete)
{
    RecordDialog dialog(program(), capture());
    showAndWait(dialog, 760, 760);
    ASSERT_TRUE(waitFor([&] { return model(dialog)->count() == 2; }));
    EXPECT_THAT(dialog.estimate().toStdString(), HasSubstr("once the fields are complete"));
    type(dialog, "recordPrompt", QStringLiteral("Hello"));
    EXPECT_THAT(dialog.estimate().toStdString(), HasSubstr("Estimating"));
    ASSERT_TRUE(waitFor([&] { return dialog.estimate().contains(QStringLiteral("2.0 MB")); }))
        << qPrintable(dialog.estimate());
    EXPECT_THAT(dialog.estimate().toStdString(), HasSubstr("1:30 min"));
    type(dialog, "recordPrompt", QStringLiteral(" impossible"));
    ASSERT_TRUE(waitFor([&] { return dialog.estimate().contains(QStringLiteral("found no text")); }));
}

TEST_F(JobDialogTest, ProblemsStandBelowTheirFieldsOnceTheyWereTouchedOrStartWasPressed)
{
    RecordDialog dialog(program(), capture());
    showAndWait(dialog, 760, 760);
    ASSERT_TRUE(waitFor([&] { return model(dialog)->count() == 2; }));
    EXPECT_TRUE(dialog.form()->problemOf(QStringLiteral("prompt")).isEmpty()) << "nothing was typed yet";
    QSignalSpy started(&dialog, &JobDialog::startRequested);
    QTest::mouseClick(dialog.startButton(), Qt::LeftButton);
    EXPECT_EQ(started.count(), 0);
    EXPECT_THAT(dialog.form()->problemOf(QStringLiteral("prompt")).toStdString(), HasSubstr("Type the prompt"));
    EXPECT_TRUE(dialog.findChild<QPlainTextEdit*>(QStringLiteral("recordPrompt"))->hasFocus());
    type(dialog, "recordPrompt", QStringLiteral("Hello"));
    EXPECT_TRUE(dialog.form()->problemOf(QStringLiteral("prompt")).isEmpty());
    QTest::mouseClick(dialog.startButton(), Qt::LeftButton);
    ASSERT_EQ(started.count(), 1);
    const auto request = started[0][0].value<JobRequest>();
    EXPECT_EQ(request.arguments, dialog.captureArguments().toArguments());
    EXPECT_EQ(request.result, temporaryPath(QStringLiteral("r.h5")).toStdString());
    EXPECT_FALSE(dialog.isVisible());
}

TEST_F(JobDialogTest, AnExistingFileIsLeftAloneUntilThePersonSaysWhatToDo)
{
    ASSERT_TRUE(QFile(temporaryPath(QStringLiteral("r.h5"))).open(QIODevice::WriteOnly));
    RecordDialog dialog(program(), capture());
    showAndWait(dialog, 760, 760);
    ASSERT_TRUE(waitFor([&] { return model(dialog)->count() == 2; }));
    type(dialog, "recordPrompt", QStringLiteral("Hello"));
    QTest::mouseClick(dialog.startButton(), Qt::LeftButton);
    EXPECT_TRUE(dialog.isVisible());
    EXPECT_THAT(dialog.form()->problemOf(QStringLiteral("out")).toStdString(), HasSubstr("This file exists"));
}

TEST_F(JobDialogTest, FieldsOfASuiteShowOnlyForSuites)
{
    RecordDialog dialog(program(), capture());
    showAndWait(dialog, 760, 900);
    ASSERT_TRUE(waitFor([&] { return model(dialog)->count() == 2; }));
    auto* source = dialog.findChild<QComboBox*>(QStringLiteral("recordSource"));
    auto* prompt = dialog.findChild<QPlainTextEdit*>(QStringLiteral("recordPrompt"));
    EXPECT_TRUE(prompt->isVisible());
    source->setFocus();
    QTest::keyClick(source, Qt::Key_End);
    EXPECT_FALSE(prompt->isVisible());
    EXPECT_EQ(dialog.command(),
        QStringLiteral("kvloupe capture small-model --suite fundamental --out ")
            + temporaryPath(QStringLiteral("r.h5")));
}

TEST_F(JobDialogTest, ValuesWithoutAFieldSurvive)
{
    CaptureArguments arguments = capture();
    arguments.model = QStringLiteral("small-model");
    arguments.source = PromptSource::Suite;
    arguments.suite.name = QStringLiteral("fundamental");
    arguments.suite.tasks = {QStringLiteral("niah")};
    arguments.suite.shots = 4;
    arguments.suite.seed = 18'446'744'073'709'551'615U;
    arguments.suite.depth = 0.25;
    arguments.suite.contextWords = 800;
    arguments.decodeRows = QStringLiteral("none");
    arguments.role = QStringLiteral("base");
    arguments.generate = 12;
    const RecordDialog dialog(program(), arguments);
    EXPECT_EQ(dialog.captureArguments(), arguments);
}

TEST_F(JobDialogTest, WithoutTheProgramItSaysWhichPackageIsMissingBeforeAnythingIsTyped)
{
    RecordDialog dialog({QString(), QStringLiteral("Install the package kvloupe-run.")}, capture());
    showAndWait(dialog, 760, 760);
    EXPECT_EQ(dialog.notice(), QStringLiteral("Install the package kvloupe-run."));
    EXPECT_TRUE(dialog.findChild<QLabel*>(QStringLiteral("jobNotice"))->isVisible());
    EXPECT_FALSE(dialog.startButton()->isEnabled());
    EXPECT_FALSE(dialog.form()->isEnabled());
}

TEST_F(JobDialogTest, EvaluateComparesTheMethodsThatAreTicked)
{
    EvaluateArguments arguments;
    arguments.model = QStringLiteral("small-model");
    arguments.out = temporaryPath(QStringLiteral("r.jsonl"));
    arguments.methods = {QStringLiteral("snapkv"), QStringLiteral("shotkv")};
    arguments.budgets = QStringLiteral("0.3");
    EvaluateDialog dialog(program(), arguments, {QStringLiteral("snapkv"), QStringLiteral("h2o")});
    showAndWait(dialog, 760, 900);
    auto* methods = dialog.findChild<QListWidget*>(QStringLiteral("evaluateMethods"));
    ASSERT_EQ(methods->count(), 3);
    methods->setFocus();
    methods->setCurrentRow(2);
    QTest::keyClick(methods, Qt::Key_Space);
    methods->setCurrentRow(0);
    QTest::keyClick(methods, Qt::Key_Space);
    EXPECT_EQ(dialog.command(),
        QStringLiteral(
            "kvloupe evaluate small-model --method shotkv --method h2o --keep 0.3 --suite fundamental --out ")
            + temporaryPath(QStringLiteral("r.jsonl")));
    QSignalSpy started(&dialog, &JobDialog::startRequested);
    QTest::mouseClick(dialog.startButton(), Qt::LeftButton);
    EXPECT_EQ(started.count(), 1);
}

TEST_F(JobDialogTest, EveryFieldHasAName)
{
    RecordDialog record(program(), capture());
    EvaluateDialog evaluate(program(), {}, {});
    for (QDialog* dialog : {static_cast<QDialog*>(&record), static_cast<QDialog*>(&evaluate)})
        for (const QWidget* widget : dialog->findChildren<QWidget*>()) {
            const bool isControl = qobject_cast<const QLineEdit*>(widget) || qobject_cast<const QComboBox*>(widget)
                || qobject_cast<const QPlainTextEdit*>(widget) || qobject_cast<const QListWidget*>(widget);
            const QWidget* parent = widget->parentWidget();
            if (isControl && !parent->inherits("QComboBox") && !parent->inherits("QAbstractSpinBox")) {
                EXPECT_FALSE(widget->accessibleName().isEmpty())
                    << widget->metaObject()->className() << " " << qPrintable(widget->objectName());
            }
        }
}

TEST(KnownModels, AreReadFromWhatModelsPrints)
{
    EXPECT_TRUE(knownModelsOfJson("garbage").isEmpty());
    EXPECT_TRUE(knownModelsOfJson("{}").isEmpty());
    EXPECT_EQ(knownModelsOfJson(R"([{"name":"m","state":"ready"},{"state":"ready"},{"name":5}])"),
        (QList<KnownModelName>{{QStringLiteral("m"), QStringLiteral("ready")}}));
}

TEST(RecordingEstimate, IsReadAndCheckedAgainstWhatIsFree)
{
    const auto estimate
        = estimateOfJson(R"({"record":"qk","file_bytes":3000000000,"memory_bytes":2000,"seconds":null})");
    ASSERT_TRUE(estimate);
    EXPECT_EQ(*estimate, (RecordingEstimate{QStringLiteral("qk"), 3'000'000'000, 2000, std::nullopt}));
    EXPECT_TRUE(estimateWarnings(*estimate, {4'000'000'000, 3000}).isEmpty());
    EXPECT_THAT(estimateWarnings(*estimate, {1'000'000'000, 1000}).join(u'|').toStdString(),
        testing::AllOf(HasSubstr("The disk has"), HasSubstr("of memory left")));
    for (const char* wrong : {"", "[]", "{}", R"({"file_bytes":-1,"memory_bytes":2})",
             R"({"file_bytes":1e300,"memory_bytes":2})", R"({"file_bytes":"1","memory_bytes":2})"})
        EXPECT_FALSE(estimateOfJson(wrong)) << wrong;
}

ChosenSample chosenSample()
{
    ChosenSample sample;
    sample.key = {"ar", "ar:7:12", 8, 1, 7};
    sample.suite = "fundamental";
    sample.model.name = "smollm2-135m-instruct";
    return sample;
}

TEST(RecordingProposal, RecordsAsManyItemsAsTheSampleNeeds)
{
    ChosenSample sample = chosenSample();
    EXPECT_EQ(proposedRecording(sample, QStringLiteral("/x/ar.h5")).toArguments().join(u' '),
        QStringLiteral(
            "capture smollm2-135m-instruct --generate 64 --suite fundamental --task ar --samples 13 --shots 8 "
            "--seed 7 --level 1 --out /x/ar.h5"));
    sample.prompt.chat = true;
    sample.key.sample = "question 3";
    EXPECT_THAT(proposedRecording(sample, {}).toArguments().join(u' ').toStdString(), HasSubstr("--samples 1 "));
    EXPECT_TRUE(proposedRecording(sample, {}).chat);
}

TEST(RecordingProposal, NothingInAResultsFileBecomesAnOptionOrAPath)
{
    const QTemporaryDir folder;
    const QString out = folder.filePath(QStringLiteral("r.h5"));
    EXPECT_TRUE(checkProposal(proposedRecording(chosenSample(), out)).isEmpty());
    for (const char* model : {"--out=/etc/passwd", "/etc/passwd", "../x", "", "a b", "x;rm", "m\n"}) {
        ChosenSample sample = chosenSample();
        sample.model.name = model;
        EXPECT_FALSE(checkProposal(proposedRecording(sample, out)).isEmpty()) << model;
    }
    ChosenSample sample = chosenSample();
    sample.suite = "--overwrite";
    EXPECT_FALSE(checkProposal(proposedRecording(sample, out)).isEmpty());
    EXPECT_THAT(
        proposedRecording(sample, out).toArguments().join(u' ').toStdString(), HasSubstr("--suite=--overwrite"));
    sample = chosenSample();
    sample.key.task = "-x";
    EXPECT_FALSE(checkProposal(proposedRecording(sample, out)).isEmpty());
    sample.key.task = "../../etc/--x";
    EXPECT_FALSE(checkProposal(proposedRecording(sample, out)).isEmpty());
    EXPECT_EQ(proposedFileName(sample), QStringLiteral("etcx.h5"));
    sample.key.task = "///";
    EXPECT_EQ(proposedFileName(sample), QStringLiteral("sample.h5"));
}

TEST(RecordingProposal, FilesThatAreThereOrUnfinishedAreNotTaken)
{
    const QTemporaryDir folder;
    EXPECT_EQ(unusedFile(folder.path(), QStringLiteral("ar.h5")), folder.filePath(QStringLiteral("ar.h5")));
    ASSERT_TRUE(QFile(folder.filePath(QStringLiteral("ar.h5"))).open(QIODevice::WriteOnly));
    ASSERT_TRUE(QFile(folder.filePath(QStringLiteral("ar-2.h5.parts"))).open(QIODevice::WriteOnly));
    EXPECT_EQ(unusedFile(folder.path(), QStringLiteral("ar.h5")), folder.filePath(QStringLiteral("ar-3.h5")));
}

TEST_F(JobDialogTest, AProposalListsEveryArgumentAndAsksFirst)
{
    const CaptureArguments arguments = proposedRecording(chosenSample(), temporaryPath(QStringLiteral("r.h5")));
    ProposalDialog dialog(program(), QStringLiteral("ar:7:12"), arguments, nullptr);
    showAndWait(dialog, 560, 480);
    QStringList lines;
    for (int row = 0; row < dialog.list()->count(); ++row)
        lines << dialog.list()->item(row)->text();
    EXPECT_EQ(lines, arguments.toArguments());
    QTest::keyClick(&dialog, Qt::Key_Return);
    EXPECT_EQ(dialog.result(), QDialog::Rejected) << "a stray Return starts nothing";
    dialog.show();
    QTest::mouseClick(dialog.recordButton(), Qt::LeftButton);
    EXPECT_EQ(dialog.result(), QDialog::Accepted);
}

TEST_F(JobDialogTest, AProposalThatIsWrongCannotBeRecordedAsItIs)
{
    ChosenSample sample = chosenSample();
    sample.model.name = "--help";
    const CaptureArguments arguments = proposedRecording(sample, temporaryPath(QStringLiteral("r.h5")));
    ProposalDialog dialog(program(), QStringLiteral("x"), arguments, nullptr);
    showAndWait(dialog, 560, 480);
    EXPECT_FALSE(dialog.recordButton()->isEnabled());
    EXPECT_THAT(dialog.findChild<QLabel*>(QStringLiteral("proposalProblem"))->text().toStdString(),
        HasSubstr("expected a plain name"));
}

} // namespace
} // namespace kvloupe
