// SPDX-License-Identifier: GPL-3.0-or-later

// Many branches of one prompt as one batch against as many separate runs, decoding of one stream, and the attention of
// a small cache against that of the full one. All in one run on the same threads. Prints one JSON object.
//
//   branch_benchmark MODEL [--tokens 1024] [--generate 64] [--separate 36] [--long 4096] [--ids FILE]

#include "capture/cache/batch_decoder.h"
#include "capture/cache/cpu_live_model.h"
#include "capture/cache/live_prompt.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/blas_info.h"
#include "capture/model/transformer.h"
#include "core/methods/method_registry.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <random>
#include <vector>

namespace {

using namespace kvloupe;
using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point begin)
{
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values)
{
    std::ranges::sort(values);
    return values[values.size() / 2];
}

/// One prompt, every method at every budget: what a user waits for.
nlohmann::json together(const Transformer& model, std::span<const std::int32_t> ids, const std::vector<Method>& methods,
    const std::vector<std::string>& keeps, std::int64_t tokens)
{
    const auto begin = Clock::now();
    const LivePrompt prompt(onCpu(model), ids, PromptLayout(std::ssize(ids)), methods);
    const double prefill = secondsSince(begin);
    std::vector<Branch> branches;
    for (std::size_t method = 0; method < methods.size(); ++method)
        for (const std::string& keep : keeps)
            branches.push_back(prompt.branch(method, Budget::keep(keep)));
    const double cut = secondsSince(begin) - prefill;
    std::int64_t bytes = 0;
    double held = 0.0;
    for (const Branch& branch : branches) {
        bytes += branch.bytes();
        held += branch.meanTokens();
    }
    BatchDecoder(onCpu(model)).generateGreedy(pointersTo(branches), {.maxTokens = tokens});
    const double all = secondsSince(begin);
    return {{"branches", branches.size()}, {"prefill_seconds", prefill}, {"cut_seconds", cut},
        {"decode_seconds", all - prefill - cut}, {"seconds", all}, {"cache_bytes", bytes},
        {"mean_tokens", held / static_cast<double>(branches.size())}};
}

/// The first `runs` of the same pairs, each with a prefill of its own.
double apart(const Transformer& model, std::span<const std::int32_t> ids, const std::vector<Method>& methods,
    const std::vector<std::string>& keeps, std::int64_t tokens, std::size_t runs)
{
    const auto begin = Clock::now();
    for (std::size_t run = 0; run < runs; ++run) {
        const LivePrompt prompt(
            onCpu(model), ids, PromptLayout(std::ssize(ids)), {methods[run / keeps.size() % methods.size()]});
        std::vector<Branch> branch{prompt.branch(0, Budget::keep(keeps[run % keeps.size()]))};
        BatchDecoder(onCpu(model)).generateGreedy(pointersTo(branch), {.maxTokens = tokens});
    }
    return secondsSince(begin);
}

/// Tokens one after the other, without compression: through the plain cache and as a branch.
nlohmann::json oneStream(const Transformer& model, std::span<const std::int32_t> ids, std::int64_t tokens)
{
    KvCache cache = model.makeCache(std::ssize(ids) + tokens);
    const auto begin = Clock::now();
    const PrefillResult prefill = model.prefill(ids, cache, {.positionLogits = false});
    const double prefillSeconds = secondsSince(begin);
    const auto decodeBegin = Clock::now();
    model.generateGreedy(cache, prefill.lastLogits, tokens + 1, {});
    const double plain = secondsSince(decodeBegin);

    const LivePrompt prompt(onCpu(model), ids, PromptLayout(std::ssize(ids)), {parseMethod("full")});
    std::vector<Branch> branch{prompt.branch(0, Budget::keep("1"))};
    const auto branchBegin = Clock::now();
    BatchDecoder(onCpu(model)).generateGreedy(pointersTo(branch), {.maxTokens = tokens + 1});
    return {{"prefill_seconds", prefillSeconds}, {"plain_seconds_per_token", plain / static_cast<double>(tokens)},
        {"branch_seconds_per_token", secondsSince(branchBegin) / static_cast<double>(tokens)}};
}

/// Seconds that the attention of one token takes in all layers, on one thread, with a cache of the model's shape that
/// holds `kept` of `tokens` random keys.
double attentionSeconds(const ModelConfig& config, std::int64_t tokens, std::int64_t kept)
{
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    const auto draw = [&](std::int64_t count) {
        std::vector<float> values(static_cast<std::size_t>(count));
        std::ranges::generate(values, [&] { return normal(random); });
        return values;
    };
    KvCache cache(config.numLayers, config.numKvHeads, config.headDim, tokens);
    std::vector<std::int64_t> positions(static_cast<std::size_t>(tokens));
    std::ranges::generate(positions, [next = std::int64_t{0}]() mutable { return next++; });
    const std::vector<float> vectors = draw(tokens * config.headDim);
    KeepSet keep;
    for (int head = 0; head < config.numKvHeads; ++head) {
        std::vector<std::int32_t>& set = keep.sets.emplace_back();
        for (std::int64_t i = 0; i < kept; ++i)
            set.push_back(static_cast<std::int32_t>(i * tokens / kept));
        for (int layer = 0; layer < config.numLayers; ++layer)
            cache.append(layer, head, vectors, vectors, positions);
    }
    const CacheShape shape = cacheShape(config, tokens);
    const auto prompt = cpuPromptCache(std::move(cache));
    const Method method = parseMethod("snapkv");
    std::vector<LayerCache> layers;
    for (int layer = 0; layer < config.numLayers; ++layer)
        layers.emplace_back(shape, layer, *prompt, LayerCache::Cut{method, keep, tokens});

    const std::int64_t width = config.numHeads * config.headDim;
    const std::vector<float> row = draw(width);
    std::vector<float> context(static_cast<std::size_t>(width));
    StepScratch scratch;
    scratch.queries = AlignedFloats(static_cast<std::size_t>(width));
    scratch.attention.resize(static_cast<std::size_t>(config.numHeads));
    std::vector<double> seconds;
    for (std::int64_t step = 0; step < 25; ++step) {
        const auto begin = Clock::now();
        for (LayerCache& layer : layers) {
            for (int state = 0; state < layer.states(); ++state)
                layer.append(state, {row.data(), row.data(), row.data(), config.headDim, tokens + step, tokens + step},
                    true, scratch);
            for (int list = 0; list < layer.lists(); ++list)
                attendOnCpu({&layer, list, context.data() + list * width / layer.lists(), &scratch});
            for (int state = 0; state < layer.states(); ++state)
                layer.decide(state, tokens + step, scratch);
        }
        seconds.push_back(secondsSince(begin));
    }
    return median(seconds);
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App program("branch_benchmark");
    std::string modelPath;
    std::string idsPath;
    std::vector<std::string> specs{"streaming_llm", "h2o", "snapkv", "pyramidkv", "chunkkv", "expected_attention"};
    std::vector<std::string> keeps{"0.9", "0.7", "0.5", "0.3", "0.2", "0.1"};
    std::int64_t tokens = 1024;
    std::int64_t generate = 64;
    std::int64_t longTokens = 4096;
    std::size_t separate = 36;
    int threads = 2;
    program.add_option("model", modelPath)->required();
    program.add_option("--tokens", tokens);
    program.add_option("--generate", generate);
    program.add_option("--separate", separate, "runs made one by one; 0 = none");
    program.add_option("--long", longTokens, "tokens of the cache whose attention is timed");
    program.add_option("--methods", specs)->delimiter(';');
    program.add_option("--keep", keeps)->delimiter(',');
    program.add_option("--threads", threads);
    program.add_option("--ids", idsPath, "JSON list of token ids instead of made-up ones");
    CLI11_PARSE(program, argc, argv);

    const auto model = Transformer::load(*Checkpoint::open(modelPath), {threads, {}});
    std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens));
    for (std::size_t i = 0; i < ids.size(); ++i)
        ids[i] = static_cast<std::int32_t>(i * 7919 % static_cast<std::size_t>(model->config().vocabSize));
    if (!idsPath.empty())
        ids = nlohmann::json::parse(std::ifstream(idsPath)).get<std::vector<std::int32_t>>();
    std::vector<Method> methods;
    for (const std::string& spec : specs)
        methods.push_back(parseMethod(spec));

    nlohmann::json result{{"blas", loadedBlas().library}, {"kernels", loadedBlas().core}, {"threads", threads},
        {"tokens", ids.size()}, {"generate", generate}};
    result["one_stream"] = oneStream(*model, ids, generate);
    result["batch"] = together(*model, ids, methods, keeps, generate);
    if (separate > 0) {
        const double seconds = apart(*model, ids, methods, keeps, generate, separate);
        result["separate"] = {{"runs", separate}, {"seconds", seconds}};
        const double perBranch
            = result["batch"]["seconds"].get<double>() / static_cast<double>(methods.size() * keeps.size());
        result["times_faster"] = seconds / static_cast<double>(separate) / perBranch;
    }
    const double full = attentionSeconds(model->config(), longTokens, longTokens);
    const double tenth = attentionSeconds(model->config(), longTokens, longTokens / 10);
    result["attention"]
        = {{"tokens", longTokens}, {"full_seconds", full}, {"tenth_seconds", tenth}, {"saved", 1.0 - tenth / full}};
    fmt::print("{}\n", result.dump(2));
    return 0;
}
