// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/bounded_json.h"

#include "capture/checkpoint/checkpoint_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace kvloupe {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(BoundedJson, ParsesWhatNlohmannParses)
{
    for (const char* const text :
        {"null", "true", "-1.5e3", "\"a\\u00e9\\n\"", "[]", "{}", R"([1,[2,{"a":[3]}],{"b":{}}])",
            R"({"a":{"b":[{"c":1},{"c":2}],"d":null},"e":[[],[[]]],"f":18446744073709551615})"})
        EXPECT_EQ(parseJson(text, "t"), nlohmann::json::parse(text)) << text;
}

TEST(BoundedJson, RefusesWhatIsTooDeepTooLongRepeatedOrDamaged)
{
    const auto parse = [](std::string text, JsonLimits limits = {}) {
        return [text, limits] { parseJson(text, "f.json", limits); };
    };
    EXPECT_NO_THROW(parse("[[1]]", {.depth = 2})());
    EXPECT_THAT(
        parse("[[[1]]]", {.depth = 2}), ThrowsMessage<CheckpointError>(HasSubstr("f.json: JSON is nested deeper")));
    EXPECT_THAT(parse(std::string(1 << 20, '{')), ThrowsMessage<CheckpointError>(HasSubstr("not valid JSON")));
    EXPECT_THAT(parse(std::string(1 << 20, '[')), ThrowsMessage<CheckpointError>(HasSubstr("deeper than 32")));
    EXPECT_THAT(
        parse("[1,2,3]", {.bytes = 6}), ThrowsMessage<CheckpointError>(HasSubstr("7 bytes of JSON, at most 6")));
    EXPECT_THAT(parse(R"({"a":{"b":1,"b":2}})"), ThrowsMessage<CheckpointError>(HasSubstr("the key 'b' occurs twice")));
    EXPECT_NO_THROW(parse(R"([{"b":1},{"b":2}])")());
    EXPECT_THAT(parse("{\"a\":\n\n]"), ThrowsMessage<CheckpointError>(HasSubstr("f.json: is not valid JSON at byte")));
    EXPECT_THAT(parse("\"\xff\""), ThrowsMessage<CheckpointError>(HasSubstr("not valid JSON")));
    EXPECT_THAT(parse("1e999"), ThrowsMessage<CheckpointError>(HasSubstr("not valid JSON")));
    EXPECT_THAT(parse(""), ThrowsMessage<CheckpointError>(HasSubstr("not valid JSON")));
    EXPECT_THAT(parse("{} {}"), ThrowsMessage<CheckpointError>(HasSubstr("not valid JSON")));
}

TEST(InQuotes, MakesTextFromFilesSafeForOneLine)
{
    EXPECT_EQ(inQuotes("a\nb\x1b[31m\xe9"), "'a\\x0ab\\x1b[31m\\xe9'");
    EXPECT_EQ(inQuotes(std::string(100, 'x')), "'" + std::string(80, 'x') + "...'");
}

} // namespace
} // namespace kvloupe
