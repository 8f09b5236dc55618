// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/answer_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <tuple>

namespace kvloupe {

namespace {

constexpr std::string_view blanks = " \t\r\n\f\v";

bool isDigit(char c)
{
    return c >= '0' && c <= '9';
}
bool isLetter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}
bool isWordByte(char c)
{
    return isDigit(c) || isLetter(c);
}

/// Sign, digits before and after the point of a decimal number; digits without zeros that say nothing.
struct Decimal {
    bool negative = false;
    std::string whole;
    std::string fraction;

    bool operator==(const Decimal&) const = default;
};

std::optional<Decimal> decimalOf(std::string_view text)
{
    Decimal result;
    if (text.starts_with('-') || text.starts_with('+')) {
        result.negative = text.front() == '-';
        text.remove_prefix(1);
    }
    const std::size_t point = std::min(text.find('.'), text.size());
    const std::string_view whole = text.substr(0, point);
    const std::string_view fraction = point < text.size() ? text.substr(point + 1) : std::string_view();
    if ((whole.empty() && fraction.empty()) || !std::ranges::all_of(whole, isDigit)
        || !std::ranges::all_of(fraction, isDigit))
        return std::nullopt;
    result.whole = whole.substr(std::min(whole.find_first_not_of('0'), whole.size()));
    const std::size_t last = fraction.find_last_not_of('0');
    result.fraction = last == std::string_view::npos ? std::string_view() : fraction.substr(0, last + 1);
    if (result.whole.empty() && result.fraction.empty())
        result.negative = false;
    return result;
}

bool isNumberByte(char c)
{
    return isDigit(c) || c == '.' || c == ',';
}

constexpr std::array<std::string_view, 24> refusals{"i cannot", "i can't", "i can not", "i'm sorry", "i am sorry",
    "sorry, i", "sorry, but", "i apologize", "i apologise", "my apologies", "i won't", "i will not", "i'm unable",
    "i am unable", "i'm not able", "i am not able", "cannot help with", "can't help with", "cannot assist",
    "can't assist", "must decline", "have to decline", "i refuse", "not going to help"};

} // namespace

std::string_view trimmedText(std::string_view text)
{
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos)
        return {};
    return text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

std::string loweredText(std::string_view text)
{
    std::string result(text);
    std::ranges::transform(
        result, result.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return result;
}

std::string_view firstLine(std::string_view text)
{
    text = trimmedText(text);
    return trimmedText(text.substr(0, text.find('\n')));
}

std::string_view beforeStops(std::string_view text, std::span<const std::string> stops)
{
    for (const std::string& stop : stops)
        if (!stop.empty())
            text = text.substr(0, text.find(stop));
    return text;
}

std::optional<std::string_view> withoutThinking(std::string_view output)
{
    constexpr std::string_view opening = "<think>";
    constexpr std::string_view closing = "</think>";
    // A chat template may have opened the thinking in the prompt, so the closing tag counts on its own.
    if (const std::size_t end = output.rfind(closing); end != std::string_view::npos)
        output = output.substr(end + closing.size());
    if (output.find(opening) != std::string_view::npos)
        return std::nullopt;
    return output;
}

std::string cleanNumber(std::string_view text)
{
    if (const std::size_t mark = text.rfind("#### "); mark != std::string_view::npos)
        text = text.substr(mark + 5);
    std::string result;
    for (const char c : trimmedText(text))
        if (c != ',' && c != '$')
            result += c;
    if (result.ends_with('.'))
        result.pop_back();
    return result;
}

std::optional<std::string> strictNumber(std::string_view text)
{
    constexpr std::string_view phrase = "The answer is ";
    for (std::size_t at = text.find(phrase); at != std::string_view::npos; at = text.find(phrase, at + 1)) {
        const std::size_t begin = at + phrase.size();
        std::size_t end = begin;
        if (end < text.size() && text[end] == '-')
            ++end;
        const std::size_t digits = end;
        while (end < text.size() && isNumberByte(text[end]))
            ++end;
        const std::string_view run = text.substr(digits, end - digits);
        if (std::ranges::none_of(run, isDigit))
            continue;
        const std::size_t last = run.find_last_of("0123456789");
        return cleanNumber(text.substr(begin, digits - begin + last + 1));
    }
    return std::nullopt;
}

std::optional<std::string> flexibleNumber(std::string_view text)
{
    const auto inRun = [&](std::size_t i) { return isNumberByte(text[i]) || text[i] == '$'; };
    for (std::size_t end = text.size(); end > 0;) {
        if (!isDigit(text[end - 1])) {
            --end;
            continue;
        }
        std::size_t begin = end;
        while (begin > 0 && inRun(begin - 1))
            --begin;
        std::size_t first = begin;
        while (text[first] == ',' || text[first] == '$' || (text[first] == '.' && !isDigit(text[first + 1])))
            ++first;
        if (first > begin && text[first] == '.' && text[first - 1] == '.')
            ++first;
        // "3-4" is a difference, "-4" a number.
        const bool negative = begin > 0 && text[begin - 1] == '-' && (begin == 1 || !isWordByte(text[begin - 2]));
        const std::string number = cleanNumber(text.substr(first, end - first));
        return negative ? fmt::format("-{}", number) : number;
    }
    return std::nullopt;
}

bool sameNumber(std::string_view a, std::string_view b)
{
    const auto first = decimalOf(a);
    return first && first == decimalOf(b);
}

std::optional<char> choiceLetter(std::string_view text, int count)
{
    const auto isChoice = [&](char c) { return c >= 'A' && c < static_cast<char>('A' + count); };
    const auto letterAt = [&](std::size_t i) -> bool {
        if (i >= text.size() || !isChoice(text[i]) || (i > 0 && isWordByte(text[i - 1])))
            return false;
        if (i + 1 < text.size() && (isWordByte(text[i + 1]) || text[i + 1] == '\''))
            return false;
        return text[i] != 'A' || i + 2 >= text.size() || text[i + 1] != ' ' || !isLetter(text[i + 2]);
    };
    const std::string lowered = loweredText(text);
    for (const std::string_view phrase : {"answer is", "answer:", "correct option is"}) {
        const std::size_t at = lowered.find(phrase);
        if (at == std::string::npos)
            continue;
        const std::size_t place = text.find_first_not_of(" \t\n(*[\"':", at + phrase.size());
        if (place != std::string_view::npos && letterAt(place))
            return text[place];
    }
    for (std::size_t i = 0; i < text.size(); ++i)
        if (letterAt(i))
            return text[i];
    return std::nullopt;
}

std::size_t findWords(std::string_view text, std::string_view wanted)
{
    if (wanted.empty())
        return std::string_view::npos;
    for (std::size_t at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + 1)) {
        const std::size_t end = at + wanted.size();
        const bool begins = at == 0 || !isWordByte(text[at - 1]) || !isWordByte(wanted.front());
        const bool ends = end == text.size() || !isWordByte(text[end]) || !isWordByte(wanted.back());
        if (begins && ends)
            return at;
    }
    return std::string_view::npos;
}

std::optional<std::size_t> firstNamed(std::string_view text, std::span<const std::string> choices)
{
    const std::string lowered = loweredText(text);
    std::optional<std::tuple<std::size_t, std::size_t, std::size_t>> best; // place, bytes not matched, choice
    for (std::size_t i = 0; i < choices.size(); ++i) {
        const std::size_t at = findWords(lowered, loweredText(choices[i]));
        if (at == std::string::npos)
            continue;
        const std::tuple found{at, text.size() - choices[i].size(), i};
        if (!best || found < *best)
            best = found;
    }
    return best ? std::optional(std::get<2>(*best)) : std::nullopt;
}

std::string normalisedAnswer(std::string_view text)
{
    std::string result;
    std::string word;
    const auto endWord = [&] {
        if (!word.empty() && word != "a" && word != "an" && word != "the")
            fmt::format_to(std::back_inserter(result), "{}{}", result.empty() ? "" : " ", word);
        word.clear();
    };
    for (const char c : loweredText(text)) {
        if (isWordByte(c))
            word += c;
        else if (blanks.find(c) != std::string_view::npos)
            endWord();
    }
    endWord();
    return result;
}

std::span<const std::string_view> refusalPhrases()
{
    return refusals;
}

std::optional<std::string_view> refusalPhrase(std::string_view text)
{
    constexpr std::string_view curly = "\xe2\x80\x99";
    std::string plain;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(curly, begin), text.size());
        plain += loweredText(text.substr(begin, end - begin));
        if (end < text.size())
            plain += '\'';
        begin = end + curly.size();
    }
    for (const std::string_view phrase : refusals)
        if (findWords(plain, phrase) != std::string_view::npos)
            return phrase;
    return std::nullopt;
}

std::string_view codeBlock(std::string_view text)
{
    constexpr std::string_view fence = "```";
    const std::size_t opening = text.find(fence);
    if (opening == std::string_view::npos)
        return text;
    const std::size_t lineEnd = text.find('\n', opening);
    if (lineEnd == std::string_view::npos)
        return text.substr(0, opening);
    const std::string_view inside = text.substr(lineEnd + 1);
    return inside.substr(0, inside.find(fence));
}

} // namespace kvloupe
