// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/result_row.h"

#include "core/results/json_fields.h"
#include "core/results/results_error.h"

#include <fmt/format.h>

#include <cmath>

namespace kvloupe {

namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr std::int64_t mostTokens = std::int64_t{1} << 40;
constexpr std::int64_t mostBranches = std::int64_t{1} << 20;

template <typename Value> OrderedJson orNull(const std::optional<Value>& value)
{
    return value ? OrderedJson(*value) : OrderedJson();
}

OrderedJson finite(double value, const char* field)
{
    if (!std::isfinite(value))
        throw ResultsError(fmt::format("result row, field {}: found {}, expected a finite number", field, value));
    return value;
}

OrderedJson realisedJson(const ResultOutcome& outcome)
{
    OrderedJson layers = OrderedJson::array();
    for (const double tokens : outcome.realisedPerLayer)
        layers.push_back(finite(tokens, "budget.realised.tokens_per_layer"));
    return {{"tokens_per_layer", std::move(layers)}, {"share", finite(outcome.realisedShare, "budget.realised.share")}};
}

OrderedJson outcomeJson(const ResultOutcome& outcome)
{
    OrderedJson nll;
    if (outcome.nllGoldTokens > 0)
        nll = {{"sum_nats", finite(outcome.nllGoldSum, "result.nll_gold.sum_nats")}, {"tokens", outcome.nllGoldTokens}};
    OrderedJson kl;
    if (outcome.klToFull)
        kl = finite(*outcome.klToFull, "result.kl_to_full_nats_per_token");
    return {{"output",
                {{"text", outcome.text}, {"tokens", outcome.ids.size()}, {"ids", outcome.ids}, {"stop", outcome.stop}}},
        {"extracted", outcome.extracted}, {"score", finite(outcome.score, "result.score")},
        {"correct", outcome.correct}, {"nll_gold", std::move(nll)}, {"kl_to_full_nats_per_token", std::move(kl)},
        {"mean_cached_tokens", finite(outcome.meanCachedTokens, "result.mean_cached_tokens")}};
}

std::optional<std::string> optionalText(const JsonFields& fields, std::string_view field)
{
    return fields.has(field) ? std::optional(fields.text(field)) : std::nullopt;
}

std::optional<std::string> optionalSha256(const JsonFields& fields, std::string_view field)
{
    return fields.has(field) ? std::optional(fields.sha256(field)) : std::nullopt;
}

ResultPrompt promptFromJson(const JsonFields& fields)
{
    ResultPrompt prompt;
    prompt.sha256 = fields.sha256("sha256");
    prompt.tokens = fields.integer("tokens", 1, mostTokens);
    prompt.chat = fields.boolean("chat");
    prompt.compressSpan = fields.text("compress_span", {"prompt", "context"});
    return prompt;
}

ResultMethod methodFromJson(const JsonFields& fields)
{
    ResultMethod method;
    method.name = fields.text("name");
    method.spec = fields.text("spec");
    method.parameters = fields.textMap("parameters");
    method.granularity = fields.text("granularity", {"kv_head", "q_head", "layer"});
    method.fidelity = fields.text("fidelity", {"exact", "renormalised", "approximate"});
    return method;
}

ResultBudget budgetFromJson(const JsonFields& fields, std::int64_t promptTokens)
{
    ResultBudget budget;
    budget.kind = fields.text("kind", {"keep", "capacity", "compression_ratio"});
    budget.text = fields.text("text");
    budget.keep = fields.number("keep", 0.0, 1.0);
    budget.requestedTokens = fields.integer("requested_tokens", 0, promptTokens);
    return budget;
}

ResultOutcome outcomeFromJson(const JsonFields& fields, const JsonFields& realised, const JsonFields& time)
{
    ResultOutcome outcome;
    outcome.realisedPerLayer = realised.numbers("tokens_per_layer", 0.0);
    outcome.realisedShare = realised.number("share", 0.0, 1.0);

    const JsonFields output = fields.object("output");
    outcome.text = output.text("text");
    outcome.ids = output.integers("ids", 0, mostTokens);
    if (const auto tokens = output.integer("tokens", 0, mostTokens);
        tokens != static_cast<std::int64_t>(outcome.ids.size()))
        output.wrong("tokens", fmt::format("{}", tokens), fmt::format("the number of ids, {}", outcome.ids.size()));
    outcome.stop = output.text("stop", {"eos", "stop", "length", "context"});
    outcome.extracted = fields.text("extracted");
    outcome.score = fields.number("score", 0.0, 1.0);
    outcome.correct = fields.boolean("correct");
    if (fields.has("nll_gold")) {
        const JsonFields nll = fields.object("nll_gold");
        outcome.nllGoldSum = nll.number("sum_nats");
        outcome.nllGoldTokens = nll.integer("tokens", 1, mostTokens);
    }
    if (fields.has("kl_to_full_nats_per_token"))
        outcome.klToFull = fields.number("kl_to_full_nats_per_token");
    outcome.meanCachedTokens = fields.number("mean_cached_tokens", 0.0);
    outcome.promptSeconds = time.number("prompt_seconds", 0.0);
    outcome.decodeSeconds = time.number("decode_seconds", 0.0);
    return outcome;
}

} // namespace

OrderedJson modelJson(const ResultModel& model)
{
    return {{"name", model.name}, {"file_sha256", model.fileSha256}, {"adapter_sha256", orNull(model.adapterSha256)},
        {"tokenizer_sha256", model.tokenizerSha256}, {"architecture", model.architecture}, {"dtype", model.dtype},
        {"device", model.device}};
}

ResultModel modelFromJson(const JsonFields& fields)
{
    ResultModel model;
    model.name = fields.text("name");
    model.fileSha256 = fields.sha256("file_sha256");
    model.adapterSha256 = optionalSha256(fields, "adapter_sha256");
    model.tokenizerSha256 = fields.sha256("tokenizer_sha256");
    model.architecture = fields.text("architecture");
    model.dtype = fields.text("dtype");
    model.device = fields.text("device");
    return model;
}

std::string resultLine(const ResultRow& row)
{
    if (row.outcome.has_value() == !row.skipped.empty())
        throw ResultsError("result row: found a row that was skipped and has an outcome, or neither, expected one");
    OrderedJson line{{"version", resultsVersion}, {"type", "row"}};
    line["suite"] = row.suite;
    line["task"] = row.key.task;
    line["sample"] = row.key.sample;
    line["shots"] = row.key.shots;
    line["level"] = row.key.level;
    line["seed"] = row.key.seed;
    line["data_sha256"] = orNull(row.dataSha256);
    line["branch"] = row.branch;
    line["branches"] = row.branches;
    line["model"] = modelJson(row.model);
    line["prompt"] = {{"sha256", row.prompt.sha256}, {"tokens", row.prompt.tokens}, {"chat", row.prompt.chat},
        {"compress_span", row.prompt.compressSpan}};
    line["method"] = {{"name", row.method.name}, {"spec", row.method.spec}, {"parameters", row.method.parameters},
        {"granularity", row.method.granularity}, {"fidelity", row.method.fidelity}};
    line["budget"] = {{"kind", row.budget.kind}, {"text", row.budget.text},
        {"keep", finite(row.budget.keep, "budget.keep")}, {"requested_tokens", row.budget.requestedTokens},
        {"realised", row.outcome ? realisedJson(*row.outcome) : OrderedJson()}};
    line["decode_keep"] = orNull(row.decodeKeep);
    line["first_token"] = row.firstToken;
    line["max_new_tokens"] = row.maxNewTokens;
    line["reference"] = row.reference;
    line["skipped"] = row.skipped.empty() ? OrderedJson() : OrderedJson(row.skipped);
    line["result"] = row.outcome ? outcomeJson(*row.outcome) : OrderedJson();
    line["time"] = row.outcome
        ? OrderedJson{{"prompt_seconds", finite(row.outcome->promptSeconds, "time.prompt_seconds")},
            {"decode_seconds", finite(row.outcome->decodeSeconds, "time.decode_seconds")}}
        : OrderedJson();
    line["versions"] = row.versions;
    return line.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

ResultRow resultRowFromJson(const Json& object, const std::string& where)
{
    const JsonFields fields(object, where);
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    fields.integer("version", resultsVersion, resultsVersion);
    ResultRow row;
    row.suite = fields.text("suite");
    row.key.task = fields.text("task");
    row.key.sample = fields.text("sample");
    row.key.shots = fields.integer("shots", 0, most);
    row.key.level = fields.integer("level", 0, most);
    row.key.seed = fields.unsignedInteger("seed");
    row.dataSha256 = optionalSha256(fields, "data_sha256");
    row.branches = fields.integer("branches", 1, mostBranches);
    row.branch = fields.integer("branch", 0, row.branches - 1);
    row.model = modelFromJson(fields.object("model"));
    row.prompt = promptFromJson(fields.object("prompt"));
    row.method = methodFromJson(fields.object("method"));
    const JsonFields budget = fields.object("budget");
    row.budget = budgetFromJson(budget, row.prompt.tokens);
    row.decodeKeep = optionalText(fields, "decode_keep");
    row.firstToken = fields.text("first_token", {"full", "compressed"});
    row.maxNewTokens = fields.integer("max_new_tokens", 0, mostTokens);
    row.reference = fields.text("reference");
    row.versions = fields.textMap("versions");
    if (fields.has("skipped")) {
        row.skipped = fields.text("skipped");
        if (row.skipped.empty())
            fields.wrong("skipped", "\"\"", "a reason or null");
        if (fields.has("result"))
            fields.wrong("result", "a result", "null, because the row was skipped");
    } else {
        row.outcome = outcomeFromJson(fields.object("result"), budget.object("realised"), fields.object("time"));
    }
    return row;
}

Json withoutTimes(const std::string& line)
{
    Json object = Json::parse(line);
    object.erase("time");
    return object;
}

} // namespace kvloupe
