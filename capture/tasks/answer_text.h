// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// How answers are read from what a model wrote. All functions take any bytes, UTF-8 or not.

std::string_view trimmedText(std::string_view text);
/// ASCII letters lowered, other bytes as they are.
std::string loweredText(std::string_view text);
/// The first line that is not blank, trimmed.
std::string_view firstLine(std::string_view text);
/// The text before the first occurrence of any stop.
std::string_view beforeStops(std::string_view text, std::span<const std::string> stops);
/// What comes behind the last "</think>"; the whole text if it never thinks; nothing if "<think>" is never closed.
std::optional<std::string_view> withoutThinking(std::string_view output);

/// The number behind the first "The answer is", as lm-evaluation-harness's strict filter of gsm8k_cot
/// (`The answer is (\-?[0-9\.\,]+).`) reads it, save that a number at the very end of the text keeps its last digit.
/// A currency sign in front of the number is passed over only by flexibleNumber. As written, cleaned by cleanNumber.
std::optional<std::string> strictNumber(std::string_view text);
/// The last number of the text, as the flexible filter (`(-?[$0-9.,]{2,})|(-?[0-9]+)`, last match) reads it; runs
/// without a digit are no numbers.
std::optional<std::string> flexibleNumber(std::string_view text);
/// Without "$", ",", anything up to "#### ", and the dot at the end: the harness's exact match ignores these.
std::string cleanNumber(std::string_view text);
/// Whether two decimal numbers have the same value ("18.0" and "18", "-0" and "0", "007" and "7").
bool sameNumber(std::string_view a, std::string_view b);

/// The letter of a multiple choice answer of `count` choices ("B", "(B)", "B. sofa", "The answer is B"); an "A" that
/// is an article is none.
std::optional<char> choiceLetter(std::string_view text, int count);

/// First byte of `wanted` in `text` as whole words; npos if it is not there. Letters and digits make words, so do bytes
/// outside ASCII.
std::size_t findWords(std::string_view text, std::string_view wanted);
/// The choice that is named first, of those that begin there the longest. Case is ignored.
std::optional<std::size_t> firstNamed(std::string_view text, std::span<const std::string> choices);

/// Lower case, without ASCII punctuation and the articles a, an, the, single blanks: how SQuAD and HotpotQA compare.
std::string normalisedAnswer(std::string_view text);

/// The phrase that makes a response a refusal, nothing if there is none. Case and the form of the apostrophe are
/// ignored.
std::optional<std::string_view> refusalPhrase(std::string_view text);
/// The phrases, for documentation and tests.
std::span<const std::string_view> refusalPhrases();

/// The code in a response: the first fenced block (``` with or without a language) if there is one, else all of it.
std::string_view codeBlock(std::string_view text);

} // namespace kvloupe
