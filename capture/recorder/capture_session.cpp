// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/recorder/capture_session.h"

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/memory_plan.h"
#include "capture/model/model_error.h"
#include "capture/model/transformer.h"
#include "capture/recorder/capture_device.h"
#include "capture/recorder/model_files.h"
#include "capture/recorder/recording_observer.h"
#include "core/recording/recording.h"
#include "core/recording/recording_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

namespace kvloupe {

namespace {

constexpr std::uint64_t automaticMapLimit = std::uint64_t{2} << 30;
constexpr std::int64_t timedTokens = 128; // of a timed estimate

std::uint64_t product(std::initializer_list<std::int64_t> factors)
{
    return std::accumulate(factors.begin(), factors.end(), std::uint64_t{1},
        [](std::uint64_t a, std::int64_t b) { return a * static_cast<std::uint64_t>(b); });
}

/// Tiles on and below the diagonal of an n x n map.
std::int64_t causalTiles(std::int64_t edge)
{
    const std::int64_t tiles = (edge + tileSize - 1) / tileSize;
    return tiles * (tiles + 1) / 2;
}

std::uint64_t tileBytes(std::int64_t edge)
{
    return product({causalTiles(edge), tileSize * tileSize, 2});
}

std::string samplePrefix(int sample, std::size_t samples)
{
    return samples == 1 ? std::string() : fmt::format("sample {} of {}: ", sample + 1, samples);
}

void checkSelection(const CaptureOptions& options, const ModelConfig& config)
{
    const auto check = [](std::string_view what, int found, int limit) {
        if (found < 0 || found >= limit) {
            throw PromptError(fmt::format("{}: found {}, expected 0 to {}", what, found, limit - 1));
        }
    };
    for (const int layer : options.layers) {
        check("--layers", layer, config.numLayers);
    }
    for (const auto& [layer, heads] : options.mapHeads) {
        check("--heads: layer", layer, config.numLayers);
        for (const int head : heads) {
            check("--heads: head", head, config.numHeads);
        }
    }
}

class CpuRunner final : public SampleRunner {
public:
    CpuRunner(const Transformer& model, AttentionRecorder& recorder, std::vector<LayerOptions> layers,
        std::int64_t capacity, bool outputNorms)
        : m_model(model)
        , m_cache(model.makeCache(capacity))
        , m_observer(recorder, std::move(layers), outputNorms ? &model : nullptr)
    {
    }

    PrefillResult prefill(std::span<const std::int32_t> ids, const std::function<bool(double)>& progress) override
    {
        PrefillOptions options;
        options.progress = progress;
        return m_model.prefill(ids, m_cache, options, &m_observer);
    }
    DecodeResult decode(std::int32_t id) override { return m_model.decode(id, m_cache, &m_observer); }

private:
    const Transformer& m_model;
    KvCache m_cache;
    RecordingObserver m_observer;
};

} // namespace

struct CaptureSession::State {
    State(CaptureOptions captureOptions, RunEvents captureEvents, std::shared_ptr<Transformer> loaded);

    void say(std::string_view message) const
    {
        if (events.say) {
            events.say(message);
        }
    }
    bool report(std::string_view stage, double fraction) const
    {
        return !events.progress || events.progress(stage, fraction);
    }

    Transformer& transformer();
    CaptureDevice& device();
    std::unique_ptr<SampleRunner> runner(AttentionRecorder& recorder, std::int64_t promptTokens);
    ModelInfo modelInfo() const;
    AttentionRecorder::Options recorderOptions() const;
    std::uint64_t layerCount() const; ///< of the recorded ones
    std::vector<std::vector<float>> ropeVariants() const;
    std::vector<LayerOptions> layersAt(std::int64_t promptTokens) const;
    std::uint64_t mapBytes(std::int64_t promptTokens) const;
    std::uint64_t fileBytes(std::int64_t promptTokens) const;
    MemoryNeeds memory() const;
    std::int64_t longestPrompt() const;
    bool isComplete(RecordingWriter& writer, int sample) const;
    double record(RecordingWriter& writer, int sample);

    CaptureOptions options;
    RunEvents events;
    ModelFiles files;
    std::vector<PreparedPrompt> prompts;
    RecordKind kind = RecordKind::Full;
    std::shared_ptr<Transformer> model;
    bool deviceIsLoaded = false;
};

CaptureSession::State::State(
    CaptureOptions captureOptions, RunEvents captureEvents, std::shared_ptr<Transformer> loaded)
    : options(std::move(captureOptions))
    , events(std::move(captureEvents))
    , files(options.model)
    , model(std::move(loaded))
{
    const ModelConfig& config = files.config();
    checkSelection(options, config);
    if (options.adapter) {
        options.adapter->check(config);
    }
    if (options.prompts.empty()) {
        throw PromptError("no prompt: expected --prompt, --prompt-file, --prompts or --ids");
    }
    for (std::size_t i = 0; i < options.prompts.size(); ++i) {
        PromptInput& input = options.prompts[i];
        if (input.id.empty()) {
            input.id = fmt::format("{:06}", i);
        }
        if (input.text.empty() && input.messages.empty() && input.ids.empty()) {
            throw PromptError(fmt::format("prompt {}: it is empty, expected text, messages or token ids", input.id));
        }
    }
    const auto any = [this](const auto& holds) { return std::ranges::any_of(options.prompts, holds); };
    if (any([](const PromptInput& input) { return input.ids.empty(); }))
        files.requiredTokenizer();
    std::optional<ChatTemplate> chat;
    if (options.rules.chat || any([](const PromptInput& input) { return !input.messages.empty(); }))
        chat = files.chatTemplate(options.chatTemplate);
    for (const PromptInput& input : options.prompts) {
        prompts.push_back(preparePrompt(input, files.tokenizer(), chat, options.rules, config.vocabSize));
        requireRoom(prompts.back(), options.generate, config);
    }
    const std::uint64_t maps = mapBytes(longestPrompt());
    kind = options.kind.value_or(maps < automaticMapLimit ? RecordKind::Full : RecordKind::QueriesKeys);
    if (!options.kind && kind == RecordKind::QueriesKeys) {
        say(fmt::format("maps of the longest prompt would take {:.1f} GiB, so queries and keys are recorded without "
                        "maps (--record full stores them)",
            static_cast<double>(maps) / (1U << 30)));
    }
}

std::int64_t CaptureSession::State::longestPrompt() const
{
    std::size_t longest = 0;
    for (const PreparedPrompt& prompt : prompts) {
        longest = std::max(longest, prompt.ids.size());
    }
    return static_cast<std::int64_t>(longest);
}

std::uint64_t CaptureSession::State::layerCount() const
{
    return options.layers.empty() ? static_cast<std::uint64_t>(files.config().numLayers) : options.layers.size();
}

std::uint64_t CaptureSession::State::mapBytes(std::int64_t promptTokens) const
{
    const ModelConfig& config = files.config();
    std::uint64_t heads = layerCount() * static_cast<std::uint64_t>(config.numHeads);
    if (!options.mapHeads.empty()) {
        heads = 0;
        for (const auto& [layer, list] : options.mapHeads) {
            heads += list.size();
        }
    }
    return heads * tileBytes(promptTokens);
}

std::uint64_t CaptureSession::State::fileBytes(std::int64_t promptTokens) const
{
    const ModelConfig& config = files.config();
    const std::int64_t total = promptTokens + options.generate;
    std::uint64_t perLayer = product({total, 5 * config.numHeads + 2 * config.numKvHeads, 4});
    perLayer += product({config.numHeads, config.headDim, config.headDim + 1, 4});
    perLayer += product({config.numHeads, overviewEdge(promptTokens), overviewEdge(promptTokens), 4});
    for (const int factor : pyramidFactors(promptTokens, kind)) {
        perLayer += 2 * static_cast<std::uint64_t>(config.numHeads) * tileBytes((promptTokens + factor - 1) / factor);
    }
    if (kind != RecordKind::Statistics) {
        perLayer += product({total, config.numHeads + 2 * config.numKvHeads, config.headDim, 4});
    } else {
        perLayer += product({config.numHeads, std::min<std::int64_t>(promptTokens, 64), promptTokens, 4});
    }
    return perLayer * layerCount() + (kind == RecordKind::Full ? mapBytes(promptTokens) : 0);
}

/// Of the run with its recorder.
MemoryNeeds CaptureSession::State::memory() const
{
    const ModelConfig& config = files.config();
    const std::int64_t tokens = longestPrompt() + options.generate;
    const std::uint64_t bands
        = product({config.numHeads, tileSize, std::min<std::int64_t>(tokens / 4, 4096), 2 * 2 * 2});
    const std::uint64_t norms = product({config.numHeads, tokens, 4, options.outputNorms ? 2 : 1});
    const std::uint64_t recorder = bands + norms + RecordOptions().queueBytes;
    MemoryNeeds needs = memoryNeeds(config, tokens, options.threads);
    needs.resident += recorder;
    needs.streamed += recorder;
    return needs;
}

Transformer& CaptureSession::State::transformer()
{
    if (!model) {
        LoadOptions load;
        load.threads = options.threads;
        load.adapter = options.adapter;
        load.progress = [this](double fraction) { return report("loading the model", fraction); };
        const MemoryNeeds needs = memory();
        load.placement = placeWeights(needs, options.memoryLimit);
        if (load.placement == WeightPlacement::Streamed)
            say(streamingRemark(needs));
        model = Transformer::load(files.checkpoint(), load);
    }
    return *model;
}

CaptureDevice& CaptureSession::State::device()
{
    if (!deviceIsLoaded) {
        options.device->load(files.checkpoint(), options.adapter, options.threads,
            [this](double fraction) { return report("loading the model", fraction); });
        deviceIsLoaded = true;
    }
    return *options.device;
}

std::unique_ptr<SampleRunner> CaptureSession::State::runner(AttentionRecorder& recorder, std::int64_t promptTokens)
{
    const std::int64_t capacity = promptTokens + options.generate;
    if (options.device)
        return device().begin(recorder, layersAt(promptTokens), capacity, options.outputNorms);
    return std::make_unique<CpuRunner>(transformer(), recorder, layersAt(promptTokens), capacity, options.outputNorms);
}

ModelInfo CaptureSession::State::modelInfo() const
{
    const ModelConfig& config = files.config();
    ModelInfo info;
    info.name = options.modelName.empty() ? config.name : options.modelName;
    info.architecture = config.architecture;
    info.fileSha256 = files.weightsSha256();
    info.adapterSha256 = options.adapter ? options.adapter->sha256() : std::string();
    info.config = config.json;
    info.numLayers = config.numLayers;
    info.numHeads = config.numHeads;
    info.numKvHeads = config.numKvHeads;
    info.headDim = config.headDim;
    info.hiddenSize = config.hiddenSize;
    info.vocabSize = config.vocabSize;
    info.maxPositions = config.maxPositions;
    info.attentionImplementation = "kvloupe blocks of 256 rows, float32";
    if (options.device) {
        info.device = options.device->name();
        info.dtype = options.device->computeType();
        info.attentionImplementation = options.device->attentionImplementation();
    }
    for (const std::vector<float>& frequencies : ropeVariants())
        info.inverseFrequencies.emplace_back(frequencies.begin(), frequencies.end());
    info.attentionScaling = config.rope(0).attentionScaling;
    if (files.tokenizer() != nullptr) {
        info.tokenizerKind = files.tokenizer()->kind();
        info.tokenizerSha256 = files.tokenizer()->sha256();
    }
    return info;
}

/// Frequencies of RoPE that layers use in any of the prompts, each of them once: scaled ones depend on the length.
std::vector<std::vector<float>> CaptureSession::State::ropeVariants() const
{
    std::vector<std::vector<float>> variants;
    for (const RopeVariant& rope : files.config().ropes) {
        for (const PreparedPrompt& prompt : prompts) {
            std::vector<float> frequencies = rope.frequenciesOf(std::ssize(prompt.ids));
            if (std::ranges::find(variants, frequencies) == variants.end())
                variants.push_back(std::move(frequencies));
        }
    }
    return variants;
}

/// What a recording says of every layer in a prompt of this length.
std::vector<LayerOptions> CaptureSession::State::layersAt(std::int64_t promptTokens) const
{
    const ModelConfig& config = files.config();
    const std::vector<std::vector<float>> variants = ropeVariants();
    std::vector<LayerOptions> layers = config.layers;
    for (LayerOptions& layer : layers) {
        const auto frequencies = config.ropes[static_cast<std::size_t>(layer.rope)].frequenciesOf(promptTokens);
        layer.rope = static_cast<int>(std::ranges::find(variants, frequencies) - variants.begin());
    }
    return layers;
}

AttentionRecorder::Options CaptureSession::State::recorderOptions() const
{
    AttentionRecorder::Options result;
    result.kind = kind;
    result.compression = options.compression;
    result.layers = options.layers;
    result.decodeRows = options.decodeRows;
    result.rowOrder = options.rowOrder;
    if (!options.mapHeads.empty()) {
        result.mapHeads.resize(static_cast<std::size_t>(files.config().numLayers));
        for (const auto& [layer, heads] : options.mapHeads) {
            result.mapHeads[static_cast<std::size_t>(layer)] = heads;
        }
    }
    return result;
}

bool CaptureSession::State::isComplete(RecordingWriter& writer, int sample) const
{
    if (!writer.completeSamples().contains(sample)) {
        return false;
    }
    const SampleInfo there = writer.completeSample(sample);
    const PreparedPrompt& prompt = prompts[static_cast<std::size_t>(sample)];
    if (there.promptSha256 != prompt.sha256) {
        throw PromptError(
            fmt::format("--resume: sample {} of {} was recorded from another prompt (SHA-256 {}, expected {})", sample,
                options.out.string(), there.promptSha256, prompt.sha256));
    }
    return true;
}

double CaptureSession::State::record(RecordingWriter& writer, int sample)
{
    const auto started = std::chrono::steady_clock::now();
    const PreparedPrompt& prompt = prompts[static_cast<std::size_t>(sample)];
    const ModelConfig& config = files.config();
    const std::string prefix = samplePrefix(sample, prompts.size());
    const auto promptTokens = static_cast<std::int64_t>(prompt.ids.size());

    SampleInfo info;
    info.id = prompt.input.id;
    info.pairId = prompt.input.pairId;
    info.task = prompt.input.task;
    info.role = options.role.empty() && options.adapter ? options.adapter->role() : options.role;
    info.seed = prompt.input.seed;
    info.promptSha256 = prompt.sha256;
    info.promptTokens = promptTokens;
    info.totalTokens = promptTokens + options.generate;
    info.softmaxScale = config.attentionScale;

    const ModelInfo described = modelInfo();
    const auto sampleWriter = writer.beginSample(sample);
    sampleWriter->begin(info);
    AttentionRecorder recorder(*sampleWriter, described, promptTokens, info.totalTokens, recorderOptions());
    const std::unique_ptr<SampleRunner> forward = runner(recorder, promptTokens);
    PrefillResult prefill = forward->prefill(
        prompt.ids, [&](double fraction) { return report(prefix + "recording the prompt", fraction); });
    sampleWriter->writeLastLogits(prefill.lastLogits);

    SampleText text;
    text.text = prompt.text;
    text.ids = prompt.ids;
    text.pieces = prompt.pieces;
    text.offsets = prompt.offsets;
    text.spans = prompt.spans;
    text.nll = std::move(prefill.nll);
    text.topIds = std::move(prefill.topIds);
    text.topLogprobs = std::move(prefill.topLogprobs);
    std::vector<float> logits = std::move(prefill.lastLogits);
    for (std::int64_t step = 0; step < options.generate; ++step) {
        const auto next = static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
        const DecodeResult decoded = forward->decode(next);
        text.ids.push_back(next);
        text.nll.push_back(decoded.nll);
        text.topIds.insert(text.topIds.end(), decoded.topIds.begin(), decoded.topIds.end());
        text.topLogprobs.insert(text.topLogprobs.end(), decoded.topLogprobs.begin(), decoded.topLogprobs.end());
        logits = decoded.logits;
        if (!report(prefix + "generating", static_cast<double>(step + 1) / static_cast<double>(options.generate))) {
            throw Cancelled("interrupted");
        }
        if (std::find(config.eosIds.begin(), config.eosIds.end(), next) != config.eosIds.end()) {
            break;
        }
    }
    info.totalTokens = std::ssize(text.ids);
    recorder.finish(info.totalTokens);

    if (info.totalTokens > promptTokens) {
        const auto generatedIds = std::span(text.ids).subspan(prompt.ids.size());
        if (files.tokenizer() != nullptr) {
            TokenText whole = tokenText(*files.tokenizer(), text.ids);
            text.text = std::move(whole.text);
            text.pieces = std::move(whole.pieces);
            text.offsets = std::move(whole.offsets);
        } else {
            for (const std::int32_t id : generatedIds) {
                text.offsets.push_back({0, 0});
                text.pieces.push_back(fmt::format("<{}>", id));
            }
        }
        text.spans.push_back({promptTokens, info.totalTokens, SpanKind::Generated, -1, "generated"});
    }
    sampleWriter->writeText(text);
    info.wallSeconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    sampleWriter->commit(info);
    return info.wallSeconds;
}

CaptureSession::CaptureSession(CaptureOptions options, RunEvents events, std::shared_ptr<Transformer> model)
    : m_state(std::make_unique<State>(std::move(options), std::move(events), std::move(model)))
{
}

CaptureSession::~CaptureSession() = default;

std::span<const PreparedPrompt> CaptureSession::prompts() const
{
    return m_state->prompts;
}

RecordKind CaptureSession::kind() const
{
    return m_state->kind;
}

void CaptureSession::prepare()
{
    if (m_state->options.device)
        m_state->device();
    else
        m_state->transformer();
    m_state->files.weightsSha256();
}

CaptureEstimate CaptureSession::estimate(bool timed)
{
    State& state = *m_state;
    CaptureEstimate result;
    result.kind = state.kind;
    const MemoryNeeds needs = state.memory();
    if (state.options.device) {
        result.memoryBytes = needs.streamed; // weights are on the device
    } else {
        result.placement = placeWeights(needs, state.options.memoryLimit);
        result.memoryBytes = needs.of(result.placement);
    }
    double tokens = 0.0;
    for (const PreparedPrompt& prompt : state.prompts) {
        const auto length = static_cast<std::int64_t>(prompt.ids.size());
        result.fileBytes += state.fileBytes(length);
        result.mapBytes += state.kind == RecordKind::Full ? state.mapBytes(length) : 0;
        tokens += static_cast<double>(length + state.options.generate);
    }
    if (state.options.device) {
        DeviceJob job;
        job.longestPrompt = state.longestPrompt();
        job.generated = state.options.generate;
        job.kind = state.kind;
        job.rowOrder = state.options.rowOrder;
        job.mapBytes = result.mapBytes;
        for (const PreparedPrompt& prompt : state.prompts)
            job.prompts.push_back(static_cast<std::int64_t>(prompt.ids.size()));
        result.device = state.options.device->cost(state.files.checkpoint(), job);
    }
    if (timed && !state.options.device) {
        Transformer& runner = state.transformer();
        const auto& longest
            = std::max_element(state.prompts.begin(), state.prompts.end(), [](const auto& a, const auto& b) {
                  return a.ids.size() < b.ids.size();
              })->ids;
        const auto head = std::span(longest).first(std::min<std::size_t>(longest.size(), timedTokens));
        KvCache cache = runner.makeCache(static_cast<std::int64_t>(head.size()));
        const auto started = std::chrono::steady_clock::now();
        runner.prefill(head, cache, PrefillOptions());
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
        result.seconds = seconds / static_cast<double>(head.size()) * tokens;
    }
    return result;
}

CaptureSummary CaptureSession::run()
{
    State& state = *m_state;
    if (!state.options.device)
        placeWeights(state.memory(), state.options.memoryLimit); // refuses before anything is written

    RecordingInfo info;
    info.uuid = makeUuid();
    info.created = recordingTimestamp();
    info.generator = "kvloupe " KVLOUPE_VERSION;
    info.command = state.options.command;
    RecordOptions recordOptions;
    recordOptions.kind = state.kind;
    recordOptions.compression = state.options.compression;
    const auto existing = state.options.resume ? RecordingWriter::Existing::Resume
        : state.options.overwrite              ? RecordingWriter::Existing::Overwrite
                                               : RecordingWriter::Existing::Refuse;
    RecordingWriter writer(state.options.out, info, state.modelInfo(), recordOptions, existing);

    CaptureSummary summary;
    for (int sample = 0; sample < static_cast<int>(state.prompts.size()); ++sample) {
        if (state.isComplete(writer, sample)) {
            ++summary.resumed;
            continue;
        }
        summary.forwardSeconds += state.record(writer, sample);
        ++summary.recorded;
    }
    state.report("merging", 0.0);
    writer.finish(state.options.merge);
    std::error_code ignored;
    if (std::filesystem::is_regular_file(state.options.out, ignored)) {
        summary.fileBytes = std::filesystem::file_size(state.options.out, ignored);
    }
    return summary;
}

std::string describeSpans(const PreparedPrompt& prompt)
{
    std::string line = fmt::format("{}: {} tokens", prompt.input.id, prompt.ids.size());
    int shots = 0;
    for (const Span& span : prompt.spans) {
        if (span.kind == SpanKind::Shot) {
            ++shots;
        } else if (span.kind != SpanKind::ShotQuestion && span.kind != SpanKind::ShotAnswer) {
            line += fmt::format(", {} {}-{}", spanKindName(span.kind), span.begin, span.end);
        }
    }
    return line + (shots > 0 ? fmt::format(", {} shots", shots) : prompt.spans.empty() ? ", no spans" : "");
}

} // namespace kvloupe
