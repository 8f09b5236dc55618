// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/commonsense_qa.h"
#include "capture/tasks/data_file.h"
#include "capture/tasks/essay_folder.h"
#include "capture/tasks/gsm8k.h"
#include "capture/tasks/hotpot_qa.h"
#include "capture/tasks/human_eval.h"
#include "capture/tasks/jailbreakv.h"
#include "capture/tasks/longgenbench.h"
#include "capture/tasks/mmlu.h"
#include "capture/tasks/task_suite.h"
#include "tests/capture/tasks/published_samples.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <functional>

namespace kvloupe {
namespace {

struct Reader {
    const char* name;
    std::function<void(const std::filesystem::path&)> read;
    std::string good;
};

std::vector<Reader> readers()
{
    return {
        {"gsm8k", [](const auto& file) { readGsm8k(file); }, gsm8kLines()},
        {"mmlu", [](const auto& file) { readMmlu(file); }, mmluRows()},
        {"commonsense_qa", [](const auto& file) { readCommonsenseQa(file); }, commonsenseQaLines()},
        {"humaneval", [](const auto& file) { readHumanEval(file); }, humanEvalLines()},
        {"humaneval packed", [](const auto& file) { readHumanEval(file); }, gzip(humanEvalLines())},
        {"jailbreakv", [](const auto& file) { readJailbreakV(file); }, jailbreakVRows()},
        {"longgenbench", [](const auto& file) { readLongGenBenchPrompt(file); }, longGenBenchPromptText()},
        {"hotpotqa", [](const auto& file) { readHotpotQa(file); }, hotpotQaList()},
        {"essays", [](const auto& file) { readEssayFolder(file); }, "A text. And more."},
    };
}

/// The message a file is refused with, "" if it is read. Anything but a TaskError ends the test.
std::string refusal(const Reader& reader, const std::filesystem::path& file)
{
    try {
        reader.read(file);
    } catch (const TaskError& error) {
        return error.what();
    }
    return "";
}

TEST(HostileData, GoodFilesAreRead)
{
    const TemporaryFolder folder;
    for (const Reader& reader : readers())
        EXPECT_EQ(refusal(reader, folder.write("good", reader.good)), "") << reader.name;
}

TEST(HostileData, IsRefusedInOneLineThatNamesTheFile)
{
    const TemporaryFolder folder;
    for (const Reader& reader : readers())
        for (const std::string& bad : {std::string(), std::string("\n \n"), std::string("\xff\xfe{}\n"),
                 std::string("ok\n\xc3\x28\n"), std::string("\x1f\x8b\x08 no gzip"), gzip(std::string(100, '\x80'))}) {
            const std::string message = refusal(reader, folder.write("bad.file", bad));
            EXPECT_NE(message.find("bad.file"), std::string::npos) << reader.name << ": " << message;
            EXPECT_EQ(message.find_first_of("\n\r"), std::string::npos) << message;
        }
    for (const Reader& reader : readers())
        EXPECT_NE(refusal(reader, folder.path() / "absent"), "") << reader.name;
}

TEST(HostileData, IsReadOrRefusedWhateverByteIsChangedOrCut)
{
    const TemporaryFolder folder;
    for (const Reader& reader : readers())
        for (std::size_t i = 0; i < reader.good.size(); ++i) {
            std::string bad = reader.good;
            bad[i] = static_cast<char>(bad[i] ^ (1 << i % 8));
            refusal(reader, folder.write("changed", bad));
            refusal(reader, folder.write("cut", reader.good.substr(0, i)));
        }
}

TEST(HostileData, NamesLineFieldFoundAndExpected)
{
    const TemporaryFolder folder;
    const auto messageOf = [&](const char* name, const std::string& bytes) {
        for (const Reader& reader : readers())
            if (reader.name == std::string(name))
                return refusal(reader, folder.write("x", bytes)).substr((folder.path() / "x").string().size());
        return std::string("no such reader");
    };
    EXPECT_EQ(messageOf("gsm8k", gsm8kLines() + "{\"question\": \"q\"}"),
        " line 6: answer: found nothing, expected this field");
    EXPECT_EQ(messageOf("gsm8k", "{\"question\": 5, \"answer\": \"#### 1\"}"),
        " line 1: question: found number, expected a string");
    EXPECT_EQ(messageOf("gsm8k", "{\"question\": \"q\", \"answer\": \"5\"}"),
        " line 1: answer: found no \"####\", expected a solution, \"####\" and the number");
    EXPECT_EQ(messageOf("gsm8k", "{\"question\": \"q\", \"answer\": \"#### five\"}"),
        " line 1: answer: found no number behind \"####\", expected a decimal number");
    EXPECT_EQ(messageOf("gsm8k", "[1]"), " line 1: line: found array, expected a JSON object");
    EXPECT_NE(messageOf("gsm8k", "\n{\"question\": ").find(" line 2: is not valid JSON"), std::string::npos);
    EXPECT_NE(messageOf("gsm8k", std::string(1000, '[')).find("nested deeper"), std::string::npos);
    EXPECT_EQ(messageOf("gsm8k", " \n"), ": found no samples, expected one JSON object per line");
    EXPECT_EQ(messageOf("mmlu", "q,a,b,c,d\n"), " line 1: fields: found 5, expected 6: question, A, B, C, D, answer");
    EXPECT_EQ(messageOf("mmlu", mmluRows() + "q,a,b,c,d,E\n"), " line 6: answer: found \"E\", expected A, B, C or D");
    EXPECT_EQ(
        messageOf("mmlu", "q,a,b,c,d,\"A\n"), " line 1: found a quote that is never closed, expected a closing quote");
    EXPECT_EQ(messageOf("commonsense_qa", R"({"question": {"stem": "s", "choices": []}, "answerKey": "A"})"),
        " line 1: choices: found 0 of them, expected a list of 2 to 10");
    EXPECT_EQ(
        messageOf("commonsense_qa",
            R"({"question": {"stem": "s", "choices": [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}]}})"),
        " line 1: answerKey: found nothing, expected this field");
    EXPECT_EQ(messageOf("commonsense_qa", R"({"question": 5, "answerKey": "A"})"),
        " line 1: stem: found number, expected an object that holds it");
    EXPECT_NE(
        messageOf("humaneval",
            R"x({"task_id": "t", "prompt": "p", "entry_point": "f)\nimport os", "canonical_solution": "s", "test": "t"})x")
            .find("expected the name of a function"),
        std::string::npos);
    EXPECT_EQ(messageOf("jailbreakv", "id,text\n1,x\n"),
        " line 1: header: found no column jailbreak_query, expected id, jailbreak_query, redteam_query, format, "
        "policy, ...");
    EXPECT_EQ(messageOf("jailbreakv", "jailbreak_query\n"), ": found no samples behind the header");
    EXPECT_EQ(messageOf("jailbreakv", "id,jailbreak_query\n1,x\n2\n"),
        " line 3: fields: found 1, expected 2 as in the header");
    EXPECT_NE(messageOf("longgenbench", "Question_1: a\nAnswer_2: b").find("found 1 questions and then 0 answers"),
        std::string::npos);
    EXPECT_EQ(messageOf("hotpotqa", "{}"), ": list: found object, expected a JSON list of questions");
    EXPECT_EQ(messageOf("hotpotqa", "[]"), ": list: found no samples, expected a JSON list of questions");
    EXPECT_EQ(messageOf("hotpotqa", R"([{"_id": "a", "question": "q", "answer": "x", "context": [["t"]]}])"),
        " entry 0: context: found array, expected a list of [title, sentences]");
    EXPECT_EQ(messageOf("essays", " \n"), ": found 1 .txt files without a sentence, expected essays as .txt files");
}

TEST(HostileData, OfAGzipBombIsRefusedBeforeItFillsTheMemory)
{
    // 300 MiB of blanks in some 300 KB.
    const TemporaryFolder folder;
    const auto file = folder.write("bomb.jsonl.gz", gzip(std::string(std::size_t{300} << 20, ' ')));
    try {
        readDataText(file);
        FAIL() << "unpacked";
    } catch (const TaskError& error) {
        EXPECT_NE(std::string(error.what()).find("bytes unpacked"), std::string::npos);
    }
}

TEST(HostileData, LeavesNoItemsWithoutAnError)
{
    const TemporaryFolder folder;
    TaskOptions options;
    options.data = folder.write("x.jsonl", gsm8kLines());
    const auto messageOf = [&](int shots) {
        options.shots = shots;
        try {
            findTask("gsm8k").items(options);
        } catch (const TaskError& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    EXPECT_EQ(messageOf(3), "");
    EXPECT_NE(messageOf(4).find("no record is left to ask"), std::string::npos);
    EXPECT_NE(messageOf(5).find("found 4 records, expected at least 5 for the examples"), std::string::npos);
    const TemporaryFolder empty;
    options.data = empty.path();
    EXPECT_THROW(findTask("mmlu").items(options), TaskError);
    EXPECT_THROW(findTask("niah").items(options), TaskError);
    EXPECT_THROW(findTask("gsm8k").items(options), TaskError);
}

} // namespace
} // namespace kvloupe
