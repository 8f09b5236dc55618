// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/evaluation/evaluation.h"

#include "capture/adapter/adapter.h"
#include "capture/cache/cpu_live_model.h"
#include "capture/cache/live_device.h"
#include "capture/cache/live_prompt.h"
#include "capture/evaluation/data_hash.h"
#include "capture/evaluation/prompt_run.h"
#include "capture/model/memory_plan.h"
#include "capture/model/model_error.h"
#include "capture/model/transformer.h"
#include "capture/recorder/item_prompt.h"
#include "capture/recorder/model_files.h"
#include "capture/recorder/prompt_preparation.h"
#include "capture/tasks/isolated_run.h"
#include "core/methods/method_error.h"
#include "core/methods/method_registry.h"
#include "core/recording/recording_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>

namespace kvloupe {

namespace {

constexpr std::int64_t usualPrompt = 4096; ///< tokens, for the question whether weights fit into memory

double secondsSince(std::chrono::steady_clock::time_point began)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

std::string_view firstTokenName(FirstToken firstToken)
{
    return firstToken == FirstToken::Auto ? "auto" : firstToken == FirstToken::Full ? "full" : "compressed";
}

std::string_view compressSpanName(CompressSpan span)
{
    return span == CompressSpan::Prompt ? "prompt" : "context";
}

/// Tokens before the question.
std::int64_t contextTokens(const PreparedPrompt& prompt)
{
    const auto question = std::ranges::find(prompt.spans, SpanKind::Question, &Span::kind);
    const bool hasBos = !prompt.spans.empty() && prompt.spans.front().kind == SpanKind::Bos;
    if (question == prompt.spans.end() || question->begin <= (hasBos ? 1 : 0))
        throw TaskError(
            fmt::format("sample {}: --compress-span context: the prompt has nothing before its question, expected "
                        "a task with a context",
                prompt.input.id));
    return question->begin;
}

/// Where the parts of the first `tokens` tokens lie.
PromptLayout layoutOf(const PreparedPrompt& prompt, std::int64_t tokens)
{
    std::vector<Span> spans;
    for (Span span : prompt.spans) {
        span.end = std::min(span.end, tokens);
        if (span.begin < span.end)
            spans.push_back(span);
    }
    return {tokens, tokens, std::move(spans)};
}

} // namespace

struct Evaluation::State {
    State(EvaluationOptions evaluationOptions, RunEvents evaluationEvents);

    void requireRunnableCode() const;
    void makeBranches();
    RunHeader makeHeader() const;
    bool thinks() const { return options.thinks.value_or(options.adapter && options.adapter->thinks()); }
    const std::shared_ptr<const LiveModel>& liveModel();

    struct Sample {
        const Task* task = nullptr;
        TaskItem item;
        SampleKey key;
    };
    /// A sample as it is run.
    struct Preparation {
        PreparedPrompt prompt;
        std::int64_t compressed = 0; ///< tokens of it that budgets are shares of
        std::vector<std::int32_t> gold;
        std::int64_t maxTokens = 0;
        bool repeatLastToken = false;
        std::string skipped; ///< why it cannot be run
    };
    Preparation prepare(const Sample& sample) const;
    ResultRow row(const Sample& sample, const Preparation& preparation, std::size_t branch) const;
    std::vector<ResultRow> measure(const Sample& sample, const std::function<bool(double)>& progress);

    EvaluationOptions options;
    RunEvents events;
    ModelFiles files;
    std::optional<ChatTemplate> chat;
    std::vector<Method> methods; ///< full first
    std::vector<BranchRequest> requests; ///< full at keep 1 first
    std::vector<Sample> samples;
    RunHeader header;
    std::unique_ptr<Transformer> model; ///< on the CPU
    std::shared_ptr<const LiveModel> live; ///< once it is loaded
};

Evaluation::State::State(EvaluationOptions evaluationOptions, RunEvents evaluationEvents)
    : options(std::move(evaluationOptions))
    , events(std::move(evaluationEvents))
    , files(options.model)
{
    files.requiredTokenizer();
    if (options.adapter)
        options.adapter->check(files.config());
    if (options.chat) {
        chat = files.chatTemplate(options.chatTemplate);
        if (!chat)
            throw PromptError(fmt::format("{}: --chat: the model has no chat template", options.model.string()));
    }
    if (options.firstToken == FirstToken::Full && options.compressSpan == CompressSpan::Context)
        throw TaskError("--first-token full: the question comes after the cut with --compress-span context, so the "
                        "first token always comes from the compressed cache");
    requireRunnableCode();
    options.items.chat = options.chat;
    for (const Task* task : options.tasks) {
        for (TaskItem& item : task->items(options.items)) {
            const SampleKey key{task->name(), item.id, item.shots, item.level, item.seed};
            samples.push_back({task, std::move(item), key});
        }
    }
    makeBranches();
    header = makeHeader();
}

void Evaluation::State::requireRunnableCode() const
{
    for (const Task* task : options.tasks) {
        if (!task->info().runsCode)
            continue;
        if (!options.judge.allowCodeExecution)
            throw TaskError(fmt::format("task {}: judging it runs code that the model wrote; --allow-code-execution "
                                        "allows that, in an isolated process",
                task->name()));
        const IsolatedRun isolation; // throws where nothing can be isolated
    }
}

void Evaluation::State::makeBranches()
{
    methods.push_back(parseMethod("full"));
    requests.push_back({0, Budget::keep("1")});
    for (const Method& method : options.methods) {
        if (method.name == "full")
            continue;
        for (const Budget& budget : options.budgets)
            requests.push_back({methods.size(), budget});
        methods.push_back(method);
    }
}

RunHeader Evaluation::State::makeHeader() const
{
    const ModelConfig& config = files.config();
    RunHeader result;
    result.suite = options.suite;
    for (const Task* task : options.tasks)
        result.tasks.push_back(task->name());
    if (options.items.shots)
        result.shots = *options.items.shots;
    if (options.items.level > 0)
        result.level = options.items.level;
    result.samples = options.items.samples;
    result.seed = options.items.seed;
    if (!options.items.data.empty())
        result.dataSha256 = dataSha256(options.items.data);

    result.model.name = options.modelName.empty() ? config.name : options.modelName;
    result.model.fileSha256 = files.weightsSha256();
    if (options.adapter)
        result.model.adapterSha256 = options.adapter->sha256();
    result.model.tokenizerSha256 = files.requiredTokenizer().sha256();
    result.model.architecture = config.architecture;
    result.model.dtype = options.device ? options.device->computeType() : "float32";
    result.model.device = options.device ? options.device->name() : "cpu";

    result.chat = options.chat;
    result.compressSpan = compressSpanName(options.compressSpan);
    result.firstToken = firstTokenName(options.firstToken);
    result.maxNewTokens = options.maxNewTokens;
    if (options.decodeBudget)
        result.decodeKeep = options.decodeBudget->text();
    for (const BranchRequest& request : requests) {
        const Method& method = methods[request.method];
        result.branches.push_back({method.name, method.spec, method.parameters,
            std::string(budgetKindName(request.budget.kind())), request.budget.text()});
    }

    auto& more = result.options;
    if (!options.items.shotData.empty())
        more["shot_data_sha256"] = dataSha256(options.items.shotData);
    if (!options.items.promptFile.empty())
        more["prompt_data_sha256"] = dataSha256(options.items.promptFile);
    if (options.items.depth)
        more["depth"] = fmt::format("{}", *options.items.depth);
    if (options.items.contextWords > 0)
        more["context_words"] = fmt::format("{}", options.items.contextWords);
    if (options.items.questions > 0)
        more["questions"] = fmt::format("{}", options.items.questions);
    if (!options.chatTemplate.empty())
        more["chat_template"] = options.chatTemplate;
    more["thinks"] = thinks() ? "yes" : "no";
    more["extraction"] = options.judge.extraction == NumberExtraction::Strict ? "strict" : "flexible";
    more["batch_bytes"] = fmt::format("{}", options.batchBytes);
    more["gold_likelihood"] = options.goldLikelihood ? "yes" : "no";
    more["divergence"] = options.divergence ? "yes" : "no";
    result.versions = {{"kvloupe", KVLOUPE_VERSION}, {"libtorch", KVLOUPE_TORCH_VERSION}};
    result.created = recordingTimestamp();
    return result;
}

const std::shared_ptr<const LiveModel>& Evaluation::State::liveModel()
{
    if (live)
        return live;
    const auto progress
        = [this](double fraction) { return !events.progress || events.progress("loading the model", fraction); };
    if (options.device) {
        live = options.device->load(files.checkpoint(), options.adapter, options.threads, progress);
        return live;
    }
    LoadOptions load;
    load.threads = options.threads;
    load.adapter = options.adapter;
    load.progress = progress;
    const MemoryNeeds needs
        = memoryNeeds(files.config(), std::min(files.config().maxPositions, usualPrompt), options.threads);
    load.placement = placeWeights(needs, options.memoryLimit);
    if (load.placement == WeightPlacement::Streamed && events.say)
        events.say(streamingRemark(needs));
    model = Transformer::load(files.checkpoint(), load);
    live = onCpu(*model);
    return live;
}

Evaluation::State::Preparation Evaluation::State::prepare(const Sample& sample) const
{
    const TaskItem& item = sample.item;
    const ModelConfig& config = files.config();
    const Tokenizer& tokenizer = files.requiredTokenizer();
    Preparation result;
    PromptRules rules;
    rules.chat = options.chat;
    result.prompt = preparePrompt(promptOfItem(item, options.chat), &tokenizer, chat, rules, config.vocabSize);
    const std::int64_t tokens = std::ssize(result.prompt.ids);
    result.compressed = options.compressSpan == CompressSpan::Prompt ? tokens : contextTokens(result.prompt);

    std::string gold = thinks() && !item.thinkingTrace.empty() ? item.thinkingTrace : item.answer;
    if (options.chat) // the turn begins where a plain prompt would go on with a blank
        gold.erase(0, gold.find_first_not_of(" \n"));
    if (options.goldLikelihood)
        result.gold = tokenizer.encode(gold, {.parseSpecial = false}).ids;

    result.maxTokens = options.maxNewTokens.value_or(thinks() ? item.maxThinkingTokens : item.maxNewTokens);
    result.repeatLastToken = options.compressSpan == CompressSpan::Prompt
        && (options.firstToken == FirstToken::Compressed
            || (options.firstToken == FirstToken::Auto && sample.task->info().answersAtOnce));
    if (tokens + std::max<std::int64_t>(1, std::ssize(result.gold)) > config.maxPositions)
        result.skipped
            = fmt::format("found {} tokens and {} of the answer, expected at most {}, the context of the model", tokens,
                result.gold.size(), config.maxPositions);
    else
        result.skipped = config.growthProblem(
            tokens, std::min(config.maxPositions, tokens + std::max(result.maxTokens, std::ssize(result.gold))));
    return result;
}

ResultRow Evaluation::State::row(const Sample& sample, const Preparation& preparation, std::size_t branch) const
{
    const BranchRequest& request = requests[branch];
    const Method& method = methods[request.method];
    ResultRow row;
    row.suite = options.suite;
    row.key = sample.key;
    row.dataSha256 = header.dataSha256;
    row.branch = static_cast<std::int64_t>(branch);
    row.branches = std::ssize(requests);
    row.model = header.model;
    row.prompt = {preparation.prompt.sha256, std::ssize(preparation.prompt.ids), options.chat, header.compressSpan};
    row.method = {method.name, method.spec, method.parameters, std::string(granularityName(method.granularity)),
        std::string(fidelityName(method.fidelity))};
    row.budget.kind = budgetKindName(request.budget.kind());
    row.budget.text = request.budget.text();
    row.budget.keep = request.budget.fractionKept(preparation.compressed);
    row.budget.requestedTokens = request.budget.tokensKept(preparation.compressed);
    row.decodeKeep = header.decodeKeep;
    row.firstToken
        = preparation.repeatLastToken || options.compressSpan == CompressSpan::Context ? "compressed" : "full";
    row.maxNewTokens = preparation.maxTokens;
    row.reference = sample.item.references.empty() ? sample.item.answer : sample.item.references.front();
    row.skipped = preparation.skipped;
    row.versions = header.versions;
    return row;
}

std::vector<ResultRow> Evaluation::State::measure(const Sample& sample, const std::function<bool(double)>& progress)
{
    constexpr double prefillShare = 0.2; // of a sample's time, roughly
    const Preparation preparation = prepare(sample);
    std::vector<ResultRow> rows;
    for (std::size_t branch = 0; branch < requests.size(); ++branch)
        rows.push_back(row(sample, preparation, branch));
    if (!preparation.skipped.empty())
        return rows;

    const auto began = std::chrono::steady_clock::now();
    const std::span<const std::int32_t> ids = preparation.prompt.ids;
    const auto compressed = static_cast<std::size_t>(preparation.compressed);
    const LivePrompt prompt(liveModel(), ids.first(compressed), layoutOf(preparation.prompt, preparation.compressed),
        methods, [&](double fraction) { return progress(prefillShare * fraction); });
    const double promptSeconds = secondsSince(began);

    const Tokenizer& tokenizer = files.requiredTokenizer();
    PromptRunOptions run;
    run.decodeBudget = options.decodeBudget;
    run.question.assign(ids.begin() + static_cast<std::ptrdiff_t>(compressed), ids.end());
    run.repeatLastToken = preparation.repeatLastToken;
    run.maxTokens = preparation.maxTokens;
    run.eosIds = files.config().eosIds;
    run.stops = sample.item.stops;
    run.bytesOf = [&](std::int32_t id) { return tokenizer.bytes(id); };
    run.gold = preparation.gold;
    run.divergence = options.divergence;
    run.batchBytes = options.batchBytes;
    run.progress = [&](double fraction) { return progress(prefillShare + (1.0 - prefillShare) * fraction); };
    std::vector<BranchRun> runs = runBranches(liveModel(), prompt, requests, run);

    for (std::size_t branch = 0; branch < runs.size(); ++branch) {
        BranchRun& measured = runs[branch];
        const Judgement judgement = sample.task->judge(sample.item, measured.text, options.judge);
        ResultOutcome& outcome = rows[branch].outcome.emplace();
        outcome.realisedPerLayer = std::move(measured.keptPerLayer);
        outcome.realisedShare = measured.keptShare;
        outcome.text = std::move(measured.text);
        outcome.ids.assign(measured.ids.begin(), measured.ids.end());
        outcome.stop = responseEndName(measured.end);
        outcome.extracted = judgement.extracted;
        outcome.score = judgement.score;
        outcome.correct = judgement.correct;
        outcome.nllGoldSum = -measured.goldLogProbability;
        outcome.nllGoldTokens = std::ssize(preparation.gold);
        outcome.klToFull = measured.divergence;
        outcome.meanCachedTokens = measured.meanTokens;
        outcome.promptSeconds = promptSeconds;
        outcome.decodeSeconds = measured.seconds;
    }
    return rows;
}

Evaluation::Evaluation(EvaluationOptions options, RunEvents events)
    : m_state(std::make_unique<State>(std::move(options), std::move(events)))
{
}

Evaluation::~Evaluation() = default;

std::int64_t Evaluation::samples() const
{
    return std::ssize(m_state->samples);
}

const RunHeader& Evaluation::header() const
{
    return m_state->header;
}

EvaluationSummary Evaluation::run()
{
    State& state = *m_state;
    const auto began = std::chrono::steady_clock::now();
    ResultStore store(state.options.out, state.header, state.options.mode);
    EvaluationSummary summary;
    summary.branches = std::ssize(state.requests);
    std::vector<const State::Sample*> missing;
    for (const State::Sample& sample : state.samples)
        if (!store.isComplete(sample.key))
            missing.push_back(&sample);
    summary.resumed = std::ssize(state.samples) - std::ssize(missing);
    if (!missing.empty())
        state.liveModel();

    const std::string stage = fmt::format("evaluating {} samples", missing.size());
    const auto report = [&](double samples) {
        return !state.events.progress || state.events.progress(stage, samples / static_cast<double>(missing.size()));
    };
    for (const State::Sample* sample : missing) {
        const auto done = static_cast<double>(summary.samples);
        std::vector<ResultRow> rows;
        try {
            rows = state.measure(*sample, [&](double fraction) { return report(done + fraction); });
        } catch (const MethodError& error) {
            throw MethodError(fmt::format("sample {}: {}", sample->key.sample, error.what()));
        }
        store.append(rows);
        ++summary.samples;
        summary.skipped += rows.front().skipped.empty() ? 0 : 1;
        if (!report(static_cast<double>(summary.samples)))
            throw Cancelled("interrupted");
    }
    summary.seconds = secondsSince(began);
    return summary;
}

} // namespace kvloupe
