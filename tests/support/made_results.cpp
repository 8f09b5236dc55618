// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/support/made_results.h"

#include <fmt/format.h>

namespace kvloupe {

RunHeader madeHeader()
{
    RunHeader header;
    header.suite = "fundamental";
    header.tasks = {"ar"};
    header.samples = 4;
    header.seed = 18446744073709551615U;
    header.model = {"made-135m", std::string(64, 'a'), std::nullopt, std::string(64, 'b'), "llama", "float32", "cpu"};
    header.branches.push_back({"full", "full", {}, "keep", "1"});
    for (const char* keep : {"0.3", "0.1"}) {
        header.branches.push_back({"snapkv", "snapkv:window=8", {{"kernel", "7"}, {"window", "8"}}, "keep", keep});
        header.branches.push_back({"h2o", "h2o", {}, "keep", keep});
    }
    header.options = {{"extractor", "flexible"}};
    header.versions = {{"kvloupe", "0.1.0"}};
    header.created = "2026-01-02T03:04:05Z";
    return header;
}

ResultRow madeRow(const RunHeader& header, std::size_t branch, int sample)
{
    const ResultBranch& of = header.branches[branch];
    ResultRow row;
    row.suite = header.suite;
    row.key = {header.tasks.front(), fmt::format("ar-{}", sample), 5, 1, header.seed};
    row.branch = static_cast<std::int64_t>(branch);
    row.branches = static_cast<std::int64_t>(header.branches.size());
    row.model = header.model;
    row.prompt = {fmt::format("{:064x}", sample), 100, header.chat, header.compressSpan};
    row.method = {of.method, of.spec, of.parameters, "kv_head", of.method == "h2o" ? "renormalised" : "exact"};
    row.budget
        = {of.budgetKind, of.budget, std::stod(of.budget), static_cast<std::int64_t>(100 * std::stod(of.budget))};
    row.firstToken = header.firstToken;
    row.maxNewTokens = 32;
    row.reference = "The answer is 42.";
    row.versions = header.versions;

    ResultOutcome outcome;
    outcome.realisedPerLayer = {100.0 * row.budget.keep, 100.0 * row.budget.keep};
    outcome.realisedShare = row.budget.keep;
    outcome.text = "The answer is \"42\".\n\xc3\xa9";
    outcome.ids = {11, 22, 33, sample};
    outcome.stop = "eos";
    outcome.extracted = "42";
    outcome.score = 1.0;
    outcome.correct = true;
    outcome.nllGoldSum = 2.0 + 0.25 * static_cast<double>(branch) + sample;
    outcome.nllGoldTokens = 5;
    if (of.method != "full")
        outcome.klToFull = 0.1 * static_cast<double>(branch);
    outcome.meanCachedTokens = 100.0 * row.budget.keep + 2.0;
    outcome.promptSeconds = 0.5;
    outcome.decodeSeconds = 1.5;
    row.outcome = std::move(outcome);
    return row;
}

std::vector<ResultRow> madeSample(const RunHeader& header, int sample)
{
    std::vector<ResultRow> rows;
    for (std::size_t branch = 0; branch < header.branches.size(); ++branch)
        rows.push_back(madeRow(header, branch, sample));
    return rows;
}

ResultRow skippedRow(ResultRow row, std::string reason)
{
    row.outcome.reset();
    row.skipped = std::move(reason);
    return row;
}

} // namespace kvloupe
