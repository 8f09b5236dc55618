// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/session.h"

#include "tests/views/window_models.h"

#include <QDir>
#include <QFile>
#include <QSignalSpy>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <random>

namespace kvloupe {
namespace {

std::vector<SampleInfo> twoSamples()
{
    SampleInfo info;
    info.id = "a";
    info.promptSha256 = "aa";
    info.promptTokens = 20;
    SampleInfo other = info;
    other.id = "b";
    other.promptSha256 = "bb";
    return {info, other};
}

const SessionContents contents{"u-1", "r.h5", {{1, {{0, 5}, {5, 20}}}}, {}};

std::string problemOf(const std::string& text)
{
    try {
        sessionFromJson(text, "r.kvsession", "u-1", twoSamples());
    } catch (const SessionError& error) {
        return error.what();
    }
    return "none";
}

/// The session's JSON with one value replaced, found by its JSON pointer.
std::string with(const char* pointer, const nlohmann::json& value)
{
    auto document = nlohmann::json::parse(sessionToJson(contents, twoSamples()));
    document[nlohmann::json::json_pointer(pointer)] = value;
    return document.dump();
}

TEST(SessionFile, ReadsWhatItWrote)
{
    EXPECT_EQ(sessionFromJson(sessionToJson(contents, twoSamples()), "s", "u-1", twoSamples()), contents);
}

TEST(SessionFile, HasSetsOfHeadsFromVersionTwoOn)
{
    SessionContents sets = contents;
    sets.headSets = {{"sinks", {{0, 1}, {0, 3}, {2, 0}}}, {"empty", {}}};
    const std::string text = sessionToJson(sets, twoSamples());
    EXPECT_EQ(sessionFromJson(text, "s", "u-1", twoSamples()), sets);
    auto document = nlohmann::json::parse(text);
    EXPECT_EQ(document["kvsession"], 2);
    EXPECT_EQ(nlohmann::json::parse(sessionToJson(contents, twoSamples()))["kvsession"], 1)
        << "older programs read what has no sets";
    const auto problemWith = [&](const char* pointer, const nlohmann::json& value) {
        auto changed = document;
        changed[nlohmann::json::json_pointer(pointer)] = value;
        return problemOf(changed.dump());
    };
    EXPECT_EQ(problemWith("/head_sets", 7), "r.kvsession.head_sets: found 7, expected a list of sets");
    EXPECT_EQ(problemWith("/head_sets/1/name", "sinks"),
        "r.kvsession.head_sets[1].name: found \"sinks\", expected a name that no other set has");
    EXPECT_EQ(problemWith("/head_sets/0/heads/0", nlohmann::json::array({0})),
        "r.kvsession.head_sets[0].heads[0]: found [0], expected [layer, head]");
    EXPECT_EQ(problemWith("/head_sets/0/heads/0/0", -1),
        "r.kvsession.head_sets[0].heads[0]: found [-1,1], expected [layer, head], each from 0 to 65535");
    EXPECT_EQ(problemWith("/head_sets/0/heads/2", nlohmann::json::array({0, 3})),
        "r.kvsession.head_sets[0].heads[2]: found [0,3], expected heads in ascending order, each once");
    document.erase("head_sets");
    EXPECT_EQ(problemOf(document.dump()), "r.kvsession: no field \"head_sets\", expected a list");
}

TEST(SessionFile, NamesTheFieldThatIsWrong)
{
    EXPECT_THAT(problemOf("{"), testing::StartsWith("r.kvsession: is not valid JSON"));
    EXPECT_EQ(problemOf("[]"), "r.kvsession: found [], expected an object");
    EXPECT_EQ(problemOf("{}"), "r.kvsession: no field \"kvsession\", expected the version of the format");
    EXPECT_EQ(problemOf(with("/kvsession", 3)), "r.kvsession.kvsession: found 3, expected version 1 or 2");
    EXPECT_EQ(problemOf(with("/kvsession", "1")), "r.kvsession.kvsession: found \"1\", expected a version");
    EXPECT_EQ(problemOf(with("/recording", 7)), "r.kvsession.recording: found 7, expected an object");
    EXPECT_EQ(problemOf(with("/recording/uuid", "u-2")),
        "r.kvsession.recording.uuid: found \"u-2\", expected \"u-1\": the session is of another recording");
    EXPECT_EQ(problemOf(with("/samples", 7)), "r.kvsession.samples: found 7, expected a list");
    EXPECT_EQ(problemOf(with("/samples/0/sample", 2)),
        "r.kvsession.samples[0].sample: found 2, expected a sample of the recording, 0 to 1");
    EXPECT_EQ(problemOf(with("/samples/0/sample", 18446744073709551615ULL)),
        "r.kvsession.samples[0].sample: found 18446744073709551615, expected a number");
    EXPECT_EQ(problemOf(with("/samples/0/prompt_sha256", "cc")),
        "r.kvsession.samples[0].prompt_sha256: found \"cc\", expected \"bb\": sample 1 has another prompt");
    EXPECT_EQ(problemOf(with("/samples/0/shots/1", {1, 2, 3})),
        "r.kvsession.samples[0].shots[1]: found [1,2,3], expected [begin, end]");
    EXPECT_EQ(problemOf(with("/samples/0/shots/1/0", 1.5)),
        "r.kvsession.samples[0].shots[1][0]: found 1.5, expected a token");
    EXPECT_EQ(problemOf(with("/samples/0/shots/1/1", 21)),
        "r.kvsession.samples[0].shots: shot 2: found tokens 5 to 21, expected a range within [5, 20)");
}

TEST(SessionFile, RefusesASampleTwice)
{
    auto document = nlohmann::json::parse(sessionToJson(contents, twoSamples()));
    document["samples"].push_back(document["samples"][0]);
    EXPECT_EQ(problemOf(document.dump()), "r.kvsession.samples[1].sample: found 1, expected each sample once");
}

TEST(SessionFile, CutsWhatIsFoundToALine)
{
    EXPECT_LT(problemOf(with("/recording", std::string(5000, 'x'))).size(), 200U);
    EXPECT_THAT(problemOf(std::string(200'000, '[')), testing::HasSubstr("nested deeper than 16 levels"));
    EXPECT_THAT(problemOf(R"({"kvsession": )" + std::string(200'000, '[') + std::string(200'000, ']') + "}"),
        testing::HasSubstr("nested deeper"))
        << "a value that is quoted in a message";
}

TEST(SessionFile, DamageIsAProblemOrASessionThatFits)
{
    const std::string whole = sessionToJson(contents, twoSamples());
    std::mt19937 random(7);
    int refused = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string text = whole;
        for (auto change = random() % 3; change < 3; ++change) {
            const std::size_t at = random() % text.size();
            switch (random() % 4) {
            case 0:
                text[at] = static_cast<char>(random());
                break;
            case 1:
                text.erase(at, random() % 9);
                break;
            case 2:
                text.insert(at, text.substr(random() % text.size(), random() % 40));
                break;
            default:
                text[at] = static_cast<char>('0' + random() % 10);
            }
        }
        try {
            const SessionContents read = sessionFromJson(text, "s", "u-1", twoSamples());
            for (const auto& [sample, shots] : read.shots) {
                ASSERT_TRUE(sample == 0 || sample == 1) << text;
                for (const TokenRange& shot : shots)
                    ASSERT_TRUE(shot.begin >= 0 && shot.begin < shot.end && shot.end <= 20) << text;
            }
        } catch (const SessionError&) {
            ++refused;
        }
    }
    EXPECT_GT(refused, 10'000);
}

TEST(SessionFile, LiesBesideTheRecording)
{
    EXPECT_EQ(sessionPathOf("/data/r.h5"), "/data/r.kvsession");
    EXPECT_EQ(sessionPathOf("/data/r.h5.parts"), "/data/r.kvsession");
    EXPECT_EQ(sessionPathOf("/data/r.h5.parts/"), "/data/r.kvsession");
    EXPECT_EQ(sessionPathOf("/data/r.b.h5"), "/data/r.b.kvsession");
}

class SessionTest : public WindowModelsTest {
protected:
    QString file() const { return temporaryPath(QStringLiteral("r.kvsession")); }

    Session m_session{&m_recording};
};

TEST_F(SessionTest, IsSavedAMomentAfterAnEdit)
{
    openAndWait();
    EXPECT_FALSE(QFile::exists(file())) << "looking leaves nothing behind";
    QSignalSpy saved(&m_session, &Session::saved);
    m_session.setShots({{3, 50}}, QStringLiteral("one"));
    EXPECT_FALSE(m_session.isSaved());
    ASSERT_TRUE(waitFor([&] { return saved.count() == 1; }));
    EXPECT_TRUE(QFile::exists(file()));
    m_session.setShots({{3, 60}}, QStringLiteral("one"));
    m_recording.close();
    EXPECT_EQ(saved.count(), 2) << "closing saves what is not saved yet";
}

TEST_F(SessionTest, SetsOfHeadsAreUndoneSavedAndReadAgain)
{
    openAndWait();
    QSignalSpy changed(&m_session, &Session::headSetsChanged);
    const std::vector<HeadSet> sets{{"sinks", {{0, 1}, {1, 3}}}};
    m_session.setHeadSets(sets, QStringLiteral("Save"));
    m_session.setHeadSets(sets, QStringLiteral("Nothing new"));
    EXPECT_EQ(changed.count(), 1);
    m_session.undoStack()->undo();
    EXPECT_TRUE(m_session.headSets().empty());
    m_session.undoStack()->redo();
    m_recording.close();
    EXPECT_TRUE(m_session.headSets().empty());
    openAndWait();
    EXPECT_EQ(m_session.headSets(), sets);
}

TEST_F(SessionTest, LeavesAFileAloneThatIsOfAnotherRecording)
{
    openAndWait();
    m_session.setShots({{3, 50}}, QStringLiteral("one"));
    m_session.saveNow();
    m_recording.close();
    QFile before(file());
    ASSERT_TRUE(before.open(QIODevice::ReadOnly));
    const QByteArray bytes = before.readAll();

    SyntheticRecording other = small();
    other.seed = 2;
    makeRecording(path(), other);
    QSignalSpy failed(&m_session, &Session::failed);
    openAndWait();
    ASSERT_EQ(failed.count(), 1);
    EXPECT_TRUE(failed.front().front().toString().contains(QStringLiteral("of another recording")))
        << qPrintable(failed.front().front().toString());
    EXPECT_FALSE(m_session.hasOwnShots());
    m_session.setShots({{7, 70}}, QStringLiteral("seven"));
    m_session.saveNow();
    QFile after(file());
    ASSERT_TRUE(after.open(QIODevice::ReadOnly));
    EXPECT_EQ(after.readAll(), bytes);
    EXPECT_EQ(QDir(QFileInfo(file()).path()).entryList({QStringLiteral("*.kvsession")}).size(), 2);
}

TEST_F(SessionTest, SaysWhenItCannotBeWrittenAndKeepsTheEdits)
{
    openAndWait();
    ASSERT_TRUE(QDir().mkpath(file())) << "a folder is in the way";
    QSignalSpy failed(&m_session, &Session::failed);
    m_session.setShots({{3, 50}}, QStringLiteral("one"));
    m_session.saveNow();
    ASSERT_EQ(failed.count(), 1);
    EXPECT_TRUE(failed.front().front().toString().contains(QStringLiteral("cannot be written")));
    EXPECT_TRUE(m_session.hasOwnShots());
}

} // namespace
} // namespace kvloupe
