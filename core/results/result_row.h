// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <nlohmann/json_fwd.hpp>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

class JsonFields;

/// Version of the row format that is written and read (docs/results.md).
inline constexpr std::int64_t resultsVersion = 1;

/// Which model a row was measured on. Two rows with any difference but `device` stand in different cells of a summary.
struct ResultModel {
    std::string name;
    std::string fileSha256;
    std::optional<std::string> adapterSha256;
    std::string tokenizerSha256;
    std::string architecture; ///< "llama"
    std::string dtype; ///< of the computation: "float32"
    std::string device; ///< "cpu", "cuda"

    bool operator==(const ResultModel&) const = default;
};

struct ResultPrompt {
    std::string sha256; ///< of the UTF-8 text that was tokenized, chat template applied
    std::int64_t tokens = 0;
    bool chat = false;
    std::string compressSpan = "prompt"; ///< what the budget is a share of: "prompt" or "context"
};

struct ResultMethod {
    std::string name; ///< registry name; "full" is the uncompressed run that others are compared with
    std::string spec; ///< as the user wrote it
    std::map<std::string, std::string> parameters; ///< every parameter with its effective value
    std::string granularity; ///< "kv_head", "q_head", "layer"
    std::string fidelity; ///< "exact", "renormalised", "approximate"
};

struct ResultBudget {
    std::string kind; ///< "keep", "capacity", "compression_ratio"
    std::string text; ///< as the user wrote it: "0.3"
    double keep = 1.0; ///< share of the prompt's tokens that was asked for, (0, 1]
    std::int64_t requestedTokens = 0; ///< the same in tokens per head
};

/// What was measured of a run that was not skipped.
struct ResultOutcome {
    std::vector<double> realisedPerLayer; ///< [layers] prompt tokens that stayed, mean over the layer's heads
    double realisedShare = 1.0; ///< of the prompt, over all layers and heads

    std::string text; ///< what was generated; bytes that are not UTF-8 are written as U+FFFD
    std::vector<std::int64_t> ids; ///< tokens of it
    std::string stop; ///< why it ended: "eos", "stop" (a stop text), "length" (the limit), "context" (no room left)
    std::string extracted; ///< what the judge took for the answer
    double score = 0.0; ///< 0 to 1; a share where one response answers several questions
    bool correct = false;

    double nllGoldSum = 0.0; ///< nats, the gold answer teacher-forced through this cache
    std::int64_t nllGoldTokens = 0; ///< 0 = not measured
    std::optional<double> klToFull; ///< nats per token along the full run's tokens; none for the full run itself
    double meanCachedTokens = 0.0; ///< per layer and head while decoding, mean over steps

    double promptSeconds = 0.0;
    double decodeSeconds = 0.0;
};

/// A sample of a suite, as far as the items of a run are concerned.
struct SampleKey {
    std::string task;
    std::string sample;
    std::int64_t shots = 0;
    std::int64_t level = 0;
    std::uint64_t seed = 0;

    auto operator<=>(const SampleKey&) const = default;
};

/// One sample under one method and budget, with all that is needed to do it again: a line of a results file.
struct ResultRow {
    std::string suite;
    SampleKey key;
    std::optional<std::string> dataSha256; ///< of the file that the items came from; none for generated ones
    std::int64_t branch = 0; ///< index into the run's branches
    std::int64_t branches = 1; ///< number of them
    ResultModel model;
    ResultPrompt prompt;
    ResultMethod method;
    ResultBudget budget;
    std::optional<std::string> decodeKeep; ///< share of the generated tokens to keep, as written
    std::string firstToken = "full"; ///< the cache that the first generated token was read from: "full", "compressed"
    std::int64_t maxNewTokens = 0;
    std::string reference; ///< gold answer
    std::string skipped; ///< why nothing was run, for example a prompt beyond the context; empty = it was
    std::optional<ResultOutcome> outcome; ///< none exactly when skipped
    std::map<std::string, std::string> versions; ///< "kvloupe": "0.1.0", ...
};

/// The row as one JSON object on one line, without a line break. Times stand in the object "time" and nowhere else.
/// Throws ResultsError when a number is not finite, or when `outcome` and `skipped` do not fit each other.
std::string resultLine(const ResultRow& row);

/// Reads a line's object. Throws ResultsError with `where` (a file and a line) and the field.
ResultRow resultRowFromJson(const nlohmann::json& object, const std::string& where);

/// A JSON object with everything that two equal measurements have in common: the row without "time".
nlohmann::json withoutTimes(const std::string& line);

nlohmann::ordered_json modelJson(const ResultModel& model);
ResultModel modelFromJson(const JsonFields& fields);

} // namespace kvloupe
