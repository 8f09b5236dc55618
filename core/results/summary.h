// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/bootstrap.h"
#include "core/results/result_file.h"
#include "core/results/statistics.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// What the rows of a summary may be split by. Models, adapters, data types, suites, data files and the settings that
/// the paper leaves open (chat template, first token, span to compress, share of generated tokens) are always kept
/// apart.
enum class SummaryField { Task, Shots, Level, Seed, MaxNewTokens, Method, Budget };
std::string_view summaryFieldName(SummaryField field); ///< "task", ..., "max_new_tokens", "method", "keep"
std::vector<std::string> summaryFieldNames();
/// Takes "budget" for "keep" as well.
std::optional<SummaryField> summaryFieldFromName(std::string_view name);
/// All but Seed.
std::set<SummaryField> defaultSummaryFields();

/// One row of a summary: the samples that share a model, settings, method and budget.
///
/// The unit is the sample. Where rows of one sample fall into one cell (methods or budgets are not split by) they are
/// averaged first, so `samples` never counts a sample twice. Comparisons are with the same samples' full-cache run.
struct SummaryCell {
    ResultModel model; ///< of the first row; `device` may differ in others
    std::string modelLabel; ///< name, adapter, and the file's hash where names collide
    std::string suite;
    std::optional<std::string> dataSha256;
    bool chat = false;
    std::string firstToken;
    std::string compressSpan;
    std::optional<std::string> decodeKeep;

    std::optional<std::string> task; ///< none: not split by; likewise below
    std::optional<std::int64_t> shots;
    std::optional<std::int64_t> level;
    std::optional<std::uint64_t> seed;
    std::optional<std::int64_t> maxNewTokens;
    std::optional<std::string> method; ///< spec of the first row with these parameters
    std::optional<std::string> budgetKind;
    std::optional<std::string> budget;
    bool full = false; ///< the uncompressed runs that others are compared with
    std::string granularity; ///< joined by '+' where methods differ
    std::string fidelity;

    std::vector<std::size_t> rows; ///< those that count, by their numbers in the order of SummaryBuilder::add
    std::int64_t samples = 0; ///< that were run
    std::int64_t skipped = 0;
    double promptTokens = 0.0; ///< mean
    double requestedShare = 1.0; ///< of the prompt, mean
    double requestedTokens = 0.0; ///< per head, mean
    double realisedShare = 1.0;
    double realisedTokens = 0.0; ///< per layer and head, mean
    double meanCachedTokens = 0.0; ///< while decoding, per layer and head, mean

    double accuracy = 0.0; ///< mean score, 0 to 1; NaN without samples
    Interval accuracyInterval; ///< Wilson, 95 %
    double limitShare = 0.0; ///< of the outputs that ended at the limit of new tokens
    std::optional<double> nll; ///< nats per token of the gold answer, mean over samples

    std::int64_t pairs = 0; ///< samples with a full-cache run; 0 in a cell of full-cache runs
    std::optional<double> relativeDrop; ///< Eq. 1 of the paper over the pairs, a fraction
    std::int64_t lost = 0; ///< pairs that score lower than the full cache
    std::int64_t gained = 0; ///< pairs that score higher
    std::optional<McNemar> mcnemar;
    std::optional<double> pHolm; ///< corrected over the methods of the same budget and settings
    std::optional<BootstrapMean> nllDifference; ///< nats per token, paired, 95 % percentile interval over samples
    std::optional<double> klToFull; ///< nats per token, mean over samples
    std::optional<double> lengthRatio; ///< generated tokens / those of the full runs
};

struct Summary {
    std::vector<SummaryCell> cells; ///< full-cache run first, then methods as they were met, larger budgets first
    std::int64_t repeatedRows = 0; ///< the same measurement in several runs: the last was taken
};

/// Collects runs and makes their summary.
class SummaryBuilder {
public:
    explicit SummaryBuilder(std::set<SummaryField> by);
    ~SummaryBuilder();
    SummaryBuilder(const SummaryBuilder&) = delete;
    SummaryBuilder& operator=(const SummaryBuilder&) = delete;

    /// Rows are numbered from 0 over all runs.
    void add(const ResultRun& run);
    Summary build() const;

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
