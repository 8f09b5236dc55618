// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/normalizers/read_normalizers.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/tokenizer/normalizers/lowercase_normalizer.h"
#include "capture/tokenizer/normalizers/precompiled_normalizer.h"
#include "capture/tokenizer/normalizers/prepend_normalizer.h"
#include "capture/tokenizer/normalizers/replace_normalizer.h"
#include "capture/tokenizer/normalizers/strip_accents_normalizer.h"
#include "capture/tokenizer/normalizers/strip_normalizer.h"
#include "capture/tokenizer/normalizers/unicode_form_normalizer.h"
#include "capture/tokenizer/vocabulary.h"

#include <fmt/format.h>

namespace kvloupe {

namespace {

using nlohmann::json;

std::string boundedString(const JsonNode& step, const char* name)
{
    std::string text = step.string(name);
    if (text.size() > longestToken)
        step.fail(fmt::format("{}: {} bytes, at most {} are allowed", name, text.size(), longestToken));
    return text;
}

std::string decodedBase64(const JsonNode& step, const char* name)
{
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::string text = step.string(name);
    std::string result;
    unsigned bits = 0;
    int count = 0; // of bits that wait for a whole byte
    for (const char c : text) {
        if (c == '=')
            break;
        const std::size_t digit = digits.find(c);
        if (digit == std::string_view::npos)
            step.fail(fmt::format("{}: is not base64", name));
        bits = bits << 6 | static_cast<unsigned>(digit);
        count += 6;
        if (count >= 8) {
            count -= 8;
            result += static_cast<char>(bits >> count & 0xffu);
        }
    }
    return result;
}

std::unique_ptr<const Normalizer> readStep(const JsonNode& step)
{
    const std::string type = step.string("type");
    if (type == "NFC")
        return std::make_unique<UnicodeFormNormalizer>(UnicodeForm::Nfc);
    if (type == "NFD")
        return std::make_unique<UnicodeFormNormalizer>(UnicodeForm::Nfd);
    if (type == "NFKC")
        return std::make_unique<UnicodeFormNormalizer>(UnicodeForm::Nfkc);
    if (type == "NFKD")
        return std::make_unique<UnicodeFormNormalizer>(UnicodeForm::Nfkd);
    if (type == "Lowercase")
        return std::make_unique<LowercaseNormalizer>();
    if (type == "StripAccents")
        return std::make_unique<StripAccentsNormalizer>();
    if (type == "Strip")
        return std::make_unique<StripNormalizer>(step.boolean("strip_left", true), step.boolean("strip_right", true));
    if (type == "Prepend")
        return std::make_unique<PrependNormalizer>(boundedString(step, "prepend"));
    if (type == "Replace") {
        const JsonNode pattern = step.member("pattern", json::value_t::object);
        const bool isRegex = pattern.has("Regex");
        return std::make_unique<ReplaceNormalizer>(
            SplitPattern(pattern.string(isRegex ? "Regex" : "String"),
                isRegex ? PatternSyntax::Regex : PatternSyntax::Literal, step.where()),
            boundedString(step, "content"));
    }
    if (type == "Precompiled")
        return std::make_unique<PrecompiledNormalizer>(decodedBase64(step, "precompiled_charsmap"), step.where());
    step.fail(fmt::format("the normalizer {} is not known (known: Lowercase, NFC, NFD, NFKC, NFKD, Precompiled, "
                          "Prepend, Replace, Sequence, Strip, StripAccents)",
        inQuotes(type)));
}

} // namespace

Normalizers readNormalizers(const JsonNode& root)
{
    Normalizers normalizers;
    if (root.has("normalizer"))
        for (const JsonNode& step : root.member("normalizer", json::value_t::object).components("normalizers"))
            normalizers.push_back(readStep(step));
    return normalizers;
}

} // namespace kvloupe
