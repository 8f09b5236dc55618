// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/prompt/span_json.h"

#include "core/error.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>

namespace kvloupe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string messageOf(std::string_view text)
{
    try {
        spansFromJson(text, "spans.json");
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

TEST(SpanJson, ReadsAListAndAnObjectThatHoldsOne)
{
    const Span shot{3, 9, SpanKind::Shot, 1, "second"};
    const Span question{9, 12, SpanKind::Question, -1, ""};
    const std::string list = R"([{"begin":3,"end":9,"kind":"shot","shot":1,"label":"second"},)"
                             R"({"begin":9,"end":12,"kind":"question"}])";
    EXPECT_THAT(spansFromJson(list, "here"), ElementsAre(shot, question));
    EXPECT_THAT(spansFromJson(R"({"notes":"x","spans":)" + list + "}", "here"), ElementsAre(shot, question));
    EXPECT_TRUE(spansFromJson("[]", "here").empty());
}

TEST(SpanJson, NamesTheElementAndTheFieldThatIsWrong)
{
    EXPECT_THAT(messageOf("[1,"), HasSubstr("spans.json: is not valid JSON"));
    EXPECT_THAT(messageOf(R"([{"begin": )" + std::string(200'000, '[') + std::string(200'000, ']') + "}]"),
        HasSubstr("nested deeper"));
    EXPECT_THAT(messageOf("7"), HasSubstr("found number, expected a list of spans"));
    EXPECT_THAT(messageOf("[7]"), HasSubstr("span 0: found number, expected an object"));
    EXPECT_THAT(messageOf(R"([{"begin":0,"end":1,"kind":"shot"},{"begin":1.5,"end":2,"kind":"shot"}])"),
        HasSubstr("span 1: field \"begin\": found 1.5"));
    EXPECT_THAT(
        messageOf(R"([{"begin":0,"end":18446744073709551615,"kind":"shot"}])"), HasSubstr("\"end\": found 1844"));
    EXPECT_THAT(messageOf(R"([{"begin":4,"end":3,"kind":"shot"}])"),
        HasSubstr("\"end\": found 3, expected a whole number from 4"));
    EXPECT_THAT(messageOf(R"([{"begin":0,"end":3}])"), HasSubstr("\"kind\": found nothing, expected one of bos"));
    EXPECT_THAT(messageOf(R"([{"begin":0,"end":3,"kind":"shot","shot":-2}])"), HasSubstr("\"shot\": found -2"));
    EXPECT_THAT(
        messageOf(R"([{"begin":0,"end":3,"kind":"shot","shot":4294967296}])"), HasSubstr("\"shot\": found 4294967296"));
    EXPECT_THAT(messageOf(R"([{"begin":0,"end":3,"kind":"shot","label":3}])"), HasSubstr("\"label\": found number"));
}

TEST(SpanJson, SaysWhyAFileCannotBeRead)
{
    const TemporaryFolder folder;
    EXPECT_THROW(readSpanFile(folder.path() / "missing.json"), Error);
    EXPECT_THROW(readSpanFile(folder.path()), Error);
    EXPECT_EQ(readSpanFile(folder.write("s.json", R"([{"begin":0,"end":1,"kind":"bos"}])")).size(), 1U);
}

} // namespace
} // namespace kvloupe
