// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/capture_arguments.h"
#include "views/jobs/evaluate_arguments.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>

#include <gmock/gmock.h>

namespace kvloupe {
namespace {

using testing::HasSubstr;

CaptureArguments captureOf(const QString& prompt)
{
    CaptureArguments arguments;
    arguments.model = QStringLiteral("smollm2-135m-instruct");
    arguments.prompt = prompt;
    arguments.out = QStringLiteral("r.h5");
    return arguments;
}

QString words(const QStringList& list)
{
    return list.join(QStringLiteral(" | "));
}

QStringList fieldsOf(const FieldProblems& problems)
{
    QStringList fields;
    for (const FieldProblem& problem : problems)
        fields << problem.field;
    return fields;
}

std::string messageOf(const QStringList& list)
{
    try {
        CaptureArguments::fromArguments(list);
    } catch (const ArgumentError& error) {
        return error.what();
    }
    return "nothing";
}

TEST(CaptureArguments, WriteOnlyWhatDiffersFromTheDefaults)
{
    EXPECT_EQ(words(captureOf(QStringLiteral("a b")).toArguments()),
        QStringLiteral("capture | smollm2-135m-instruct | --prompt | a b | --out | r.h5"));
}

TEST(CaptureArguments, WriteEveryOption)
{
    CaptureArguments arguments = captureOf({});
    arguments.source = PromptSource::Suite;
    arguments.suite = {QStringLiteral("fundamental"), {QStringLiteral("ar"), QStringLiteral("niah")}, 3, 8, 7, 2,
        QStringLiteral("d"), QStringLiteral("s"), QStringLiteral("p"), 0.5, 900, 4};
    arguments.record = QStringLiteral("qk");
    arguments.with = {QStringLiteral("row-order")};
    arguments.layers = QStringLiteral("0-5,8");
    arguments.heads = QStringLiteral("5:3");
    arguments.decodeRows = QStringLiteral("none");
    arguments.compression = QStringLiteral("small");
    arguments.generate = 64;
    arguments.spans = QStringLiteral("none");
    arguments.shotSeparator = QStringLiteral("\n\n");
    arguments.role = QStringLiteral("base");
    arguments.memory = QStringLiteral("4G");
    arguments.chat = true;
    arguments.adapter = QStringLiteral("a");
    arguments.threads = 2;
    arguments.existing = ExistingFile::Resume;
    EXPECT_EQ(words(arguments.toArguments()),
        QStringLiteral(
            "capture | smollm2-135m-instruct | --record | qk | --with | row-order | --layers | 0-5,8 | --heads "
            "| 5:3 | --decode-rows | none | --compression | small | --generate | 64 | --spans | none | "
            "--shot-separator | \n\n | --role | base | --memory | 4G | --suite | fundamental | --task | "
            "ar,niah | --samples | 3 | --shots | 8 | --seed | 7 | --level | 2 | --data | d | --shot-data | s | "
            "--prompt-data | p | --depth | 0.5 | --context-words | 900 | --questions | 4 | --chat | "
            "--adapter | a | --threads | 2 | --resume | --out | r.h5"));
    EXPECT_EQ(CaptureArguments::fromArguments(arguments.toArguments()), arguments);
}

TEST(CaptureArguments, KeepValuesFromBeingOptions)
{
    const CaptureArguments arguments = captureOf(QStringLiteral("--out=/etc/passwd"));
    EXPECT_EQ(words(arguments.toArguments()),
        QStringLiteral("capture | smollm2-135m-instruct | --prompt=--out=/etc/passwd | --out | r.h5"));
    EXPECT_EQ(CaptureArguments::fromArguments(arguments.toArguments()), arguments);
}

TEST(CaptureArguments, RefuseCommandLinesTheyCannotRead)
{
    const QString capture = QStringLiteral("capture");
    EXPECT_THAT(messageOf({}), HasSubstr("found nothing, expected the command capture"));
    EXPECT_THAT(messageOf({QStringLiteral("evaluate")}), HasSubstr("found evaluate"));
    EXPECT_THAT(messageOf({capture, QStringLiteral("m"), QStringLiteral("n")}), HasSubstr("second model \"n\""));
    EXPECT_THAT(messageOf({capture, QStringLiteral("--exec"), QStringLiteral("x")}), HasSubstr("\"--exec\""));
    EXPECT_THAT(messageOf({capture, QStringLiteral("--chat=yes")}), HasSubstr("\"--chat=yes\""));
    EXPECT_THAT(messageOf({capture, QStringLiteral("--out")}), HasSubstr("--out: found nothing"));
    EXPECT_THAT(messageOf({capture, QStringLiteral("--out"), QStringLiteral("--chat")}), HasSubstr("found nothing"));
    EXPECT_THAT(messageOf({capture, QStringLiteral("--generate"), QStringLiteral("ten")}), HasSubstr("found \"ten\""));
    EXPECT_THAT(messageOf({capture, QStringLiteral("--prompt"), QStringLiteral("x"), QStringLiteral("--suite"),
                    QStringLiteral("s")}),
        HasSubstr("a prompt and a suite"));
}

class CaptureProblems : public testing::Test {
protected:
    QString path(const char* name) const { return m_folder.filePath(QLatin1String(name)); }
    void write(const char* name) const { ASSERT_TRUE(QFile(path(name)).open(QIODevice::WriteOnly)); }

    CaptureArguments sound() const
    {
        CaptureArguments arguments = captureOf(QStringLiteral("Hello"));
        arguments.out = path("r.h5");
        return arguments;
    }

    QTemporaryDir m_folder;
};

TEST_F(CaptureProblems, AreNoneForSoundArguments)
{
    EXPECT_EQ(fieldsOf(sound().problems()), QStringList());
}

TEST_F(CaptureProblems, NameEveryFieldThatIsWrong)
{
    CaptureArguments arguments;
    arguments.layers = QStringLiteral("1-");
    arguments.heads = QStringLiteral("5");
    arguments.memory = QStringLiteral("much");
    arguments.spans = path("nothing.json");
    EXPECT_EQ(words(fieldsOf(arguments.problems())),
        QStringLiteral("model | prompt | layers | heads | spans | memory | out"));
}

TEST_F(CaptureProblems, SayWhatIsInTheWayOfTheFile)
{
    CaptureArguments arguments = sound();
    write("r.h5");
    EXPECT_EQ(fieldsOf(arguments.problems()), QStringList{QStringLiteral("out")});
    arguments.existing = ExistingFile::Overwrite;
    EXPECT_TRUE(arguments.problems().isEmpty());
    arguments.out = path("nowhere/r.h5");
    EXPECT_THAT(arguments.problems()[0].message.toStdString(), HasSubstr("There is no folder"));
    arguments.out = m_folder.path();
    EXPECT_THAT(arguments.problems()[0].message.toStdString(), HasSubstr("is a folder"));
    arguments.out = path("half.h5");
    arguments.existing = ExistingFile::Refuse;
    QDir(m_folder.path()).mkdir(QStringLiteral("half.h5.parts"));
    EXPECT_THAT(arguments.problems()[0].message.toStdString(), HasSubstr("unfinished run lies in half.h5.parts"));
}

TEST_F(CaptureProblems, KnowWhatACommandLineCannotCarry)
{
    CaptureArguments arguments = sound();
    arguments.prompt = QString(200'000, u'x');
    EXPECT_THAT(arguments.problems()[0].message.toStdString(), HasSubstr("save it in a file"));
    arguments.prompt = QStringLiteral("a") + QChar(0);
    EXPECT_EQ(fieldsOf(arguments.problems()), QStringList{QStringLiteral("prompt")});
    arguments = sound();
    arguments.model = QStringLiteral("--help");
    EXPECT_EQ(fieldsOf(arguments.problems()), QStringList{QStringLiteral("model")});
    arguments = sound();
    arguments.source = PromptSource::Suite;
    arguments.suite.name = QStringLiteral("fundamental");
    arguments.suite.tasks = {QStringLiteral("ar"), QStringLiteral("../x")};
    EXPECT_EQ(fieldsOf(arguments.problems()), QStringList{QStringLiteral("task")});
}

TEST(EvaluateArguments, AreWrittenAndReadBack)
{
    EvaluateArguments arguments;
    arguments.model = QStringLiteral("m.gguf");
    arguments.suite.name = QStringLiteral("fundamental");
    arguments.suite.samples = 50;
    arguments.methods = {QStringLiteral("snapkv:window=16"), QStringLiteral("shotkv")};
    arguments.budgets = QStringLiteral("0.5,0.1");
    arguments.decodeKeep = QStringLiteral("0.5");
    arguments.firstToken = QStringLiteral("full");
    arguments.compressSpan = QStringLiteral("context");
    arguments.maxNewTokens = 32;
    arguments.thinking = QStringLiteral("no");
    arguments.measures = {QStringLiteral("accuracy")};
    arguments.extraction = QStringLiteral("strict");
    arguments.allowCodeExecution = true;
    arguments.batchMemory = QStringLiteral("2G");
    arguments.existing = ExistingFile::Overwrite;
    arguments.out = QStringLiteral("r.jsonl");
    EXPECT_EQ(words(arguments.toArguments()),
        QStringLiteral(
            "evaluate | m.gguf | --method | snapkv:window=16 | --method | shotkv | --keep | 0.5,0.1 | "
            "--decode-keep | 0.5 | --first-token | full | --compress-span | context | --max-new-tokens | 32 | "
            "--thinking | no | --measure | accuracy | --extraction | strict | --allow-code-execution | "
            "--batch-memory | 2G | --suite | fundamental | --samples | 50 | --overwrite | --out | r.jsonl"));
    EXPECT_EQ(EvaluateArguments::fromArguments(arguments.toArguments()), arguments);
}

TEST(EvaluateArguments, NameWhatIsWrong)
{
    const QTemporaryDir folder;
    EvaluateArguments arguments;
    EXPECT_EQ(words(fieldsOf(arguments.problems())), QStringLiteral("model | suite | method | budget | out"));
    arguments.model = QStringLiteral("m");
    arguments.suite.name = QStringLiteral("fundamental");
    arguments.out = folder.filePath(QStringLiteral("r.jsonl"));
    arguments.methods = {QStringLiteral("snapkv"), QStringLiteral("nosuch")};
    arguments.budgets = QStringLiteral("0.5,2");
    arguments.measures.clear();
    const FieldProblems problems = arguments.problems();
    EXPECT_EQ(words(fieldsOf(problems)), QStringLiteral("method | budget | measure"));
    EXPECT_THAT(problems[0].message.toStdString(), HasSubstr("nosuch"));
    arguments.methods = {QStringLiteral("snapkv")};
    arguments.measures = {QStringLiteral("kl")};
    arguments.budgetOption = BudgetOption::Capacity;
    arguments.budgets = QStringLiteral("64,128");
    EXPECT_TRUE(arguments.problems().isEmpty());
}

} // namespace
} // namespace kvloupe
