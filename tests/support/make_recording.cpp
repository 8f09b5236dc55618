// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/support/make_recording.h"

#include "core/attention/attention_rows.h"
#include "core/recording/attention_recorder.h"
#include "core/recording/recording_writer.h"

#include <fmt/format.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

namespace {

constexpr std::int64_t vocabulary = 1000;
constexpr double ropeTheta = 1e6;
constexpr std::int64_t blockRows = 256;

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// SplitMix64: a few instructions per number and the same numbers with every standard library.
class Random {
public:
    explicit Random(std::uint64_t seed)
        : m_state(seed)
    {
    }

    std::uint64_t next()
    {
        m_state += 0x9E3779B97F4A7C15U;
        std::uint64_t z = m_state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31);
    }
    /// In [0, 1).
    float uniform() { return static_cast<float>(next() >> 40) * 0x1p-24F; }
    /// Mean 0, variance 1, near enough to a normal distribution.
    float gaussian() { return (uniform() + uniform() + uniform() + uniform() - 2.0F) * 1.7320508F; }

private:
    std::uint64_t m_state;
};

std::uint64_t mixed(std::uint64_t seed, int sample, int layer, int what, int head)
{
    Random random(seed);
    for (const int part : {sample, layer, what, head}) {
        random = Random(random.next() ^ static_cast<std::uint64_t>(part));
    }
    return random.next();
}

std::vector<double> inverseFrequencies(int headDim)
{
    std::vector<double> result;
    for (int i = 0; i < headDim / 2; ++i) {
        result.push_back(std::pow(ropeTheta, -2.0 * i / headDim));
    }
    return result;
}

/// Rotates pairs (i, i + dim / 2) of one vector by position * frequency.
void rotate(std::span<float> vector, std::int64_t position, std::span<const double> frequencies)
{
    const std::size_t half = vector.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(position) * frequencies[i];
        const auto cosine = static_cast<float>(std::cos(angle));
        const auto sine = static_cast<float>(std::sin(angle));
        const float a = vector[i];
        const float b = vector[half + i];
        vector[i] = a * cosine - b * sine;
        vector[half + i] = b * cosine + a * sine;
    }
}

/// What a query head looks at.
struct HeadCharacter {
    float local = 0.0F; ///< logit of a query's own position, from the quickly turning pairs
    float sink = 0.0F; ///< logit of the first tokens
    float hitters = 0.0F; ///< logit of heavy hitters
};

HeadCharacter characterOf(std::uint64_t seed)
{
    Random random(seed);
    return {4.0F + 6.0F * random.uniform(), 3.0F + 5.0F * random.uniform(), 1.0F + 4.0F * random.uniform()};
}

/// Queries, keys and values of a layer, [heads or kv_heads, T, dim].
struct SyntheticLayer {
    std::vector<float> queriesBeforeRope;
    std::vector<float> queries;
    std::vector<float> keys;
    std::vector<float> values;
};

/// The last pair hardly turns, so its two dimensions carry what does not depend on the distance: the sink and the heavy
/// hitters. The other pairs point all the same way, which after RoPE is a band around the diagonal.
SyntheticLayer makeLayer(const SyntheticRecording& options, int sample, int layer, std::int64_t tokens)
{
    const std::int64_t dim = options.headDim;
    const std::int64_t half = dim / 2;
    const std::vector<double> frequencies = inverseFrequencies(options.headDim);
    const float rootOfScale = std::pow(static_cast<float>(dim), 0.25F);
    const std::uint64_t hitterSeed = mixed(options.seed, sample, 0, 9, 0);
    const auto isHitter
        = [&](std::int64_t token) { return Random(hitterSeed + static_cast<std::uint64_t>(token)).uniform() < 0.01F; };

    SyntheticLayer result;
    result.queries.resize(index(options.heads * tokens * dim));
    result.keys.resize(index(options.kvHeads * tokens * dim));
    result.values.resize(result.keys.size());
    const float turning = 1.0F / std::sqrt(static_cast<float>(std::max<std::int64_t>(1, half - 1)));
    tbb::parallel_for(0, options.heads, [&](int head) {
        const HeadCharacter character = characterOf(mixed(options.seed, 0, layer, 1, head));
        Random random(mixed(options.seed, sample, layer, 2, head));
        for (std::int64_t token = 0; token < tokens; ++token) {
            const auto query = std::span(result.queries).subspan(index((head * tokens + token) * dim), index(dim));
            for (float& value : query) {
                value = 0.35F * rootOfScale * random.gaussian();
            }
            for (std::int64_t i = 0; i < half - 1; ++i) {
                query[index(i)] += character.local * turning * rootOfScale;
            }
            query[index(half - 1)] += character.sink * rootOfScale;
            query[index(dim - 1)] += character.hitters * rootOfScale;
        }
    });
    tbb::parallel_for(0, options.kvHeads, [&](int head) {
        Random random(mixed(options.seed, sample, layer, 3, head));
        for (std::int64_t token = 0; token < tokens; ++token) {
            const auto at = index((head * tokens + token) * dim);
            const auto key = std::span(result.keys).subspan(at, index(dim));
            for (float& value : key) {
                value = 0.35F * rootOfScale * random.gaussian();
            }
            for (std::int64_t i = 0; i < half - 1; ++i) {
                key[index(i)] += turning * rootOfScale;
            }
            key[index(half - 1)] = (token == 0 ? 1.0F : token < sinkTokens ? 0.5F : 0.0F) * rootOfScale;
            key[index(dim - 1)] = (isHitter(token) ? 1.0F : 0.0F) * rootOfScale;
            for (float& value : std::span(result.values).subspan(at, index(dim))) {
                value = (token == 0 ? 0.05F : 1.0F) * random.gaussian();
            }
        }
    });
    result.queriesBeforeRope = result.queries;
    const auto rotateAll = [&](std::vector<float>& vectors) {
        tbb::parallel_for(std::int64_t{0}, std::ssize(vectors) / dim, [&](std::int64_t vector) {
            rotate(std::span(vectors).subspan(index(vector * dim), index(dim)), vector % tokens, frequencies);
        });
    };
    rotateAll(result.queries);
    rotateAll(result.keys);
    return result;
}

/// Tokens [begin, begin + count) of a [heads, tokens, dim] array.
std::vector<float> slice(
    const std::vector<float>& array, std::int64_t heads, std::int64_t dim, std::int64_t begin, std::int64_t count)
{
    const std::int64_t tokens = std::ssize(array) / (heads * dim);
    std::vector<float> part;
    part.reserve(index(heads * count * dim));
    for (std::int64_t head = 0; head < heads; ++head) {
        const auto first = array.begin() + (head * tokens + begin) * dim;
        part.insert(part.end(), first, first + count * dim);
    }
    return part;
}

class LayerReplay {
public:
    LayerReplay(const SyntheticRecording& options, AttentionRecorder& recorder)
        : m_options(options)
        , m_recorder(&recorder)
    {
    }

    void record(int sample, int layer)
    {
        const std::int64_t prompt = m_options.promptTokens;
        const std::int64_t total = prompt + m_options.generatedTokens;
        const SyntheticLayer vectors = makeLayer(m_options, sample, layer, total);
        m_keys.clear();
        for (std::int64_t head = 0; head < m_options.kvHeads; ++head) {
            m_keys.emplace_back(std::span(vectors.keys)
                                    .subspan(index(head * total * m_options.headDim), index(total * m_options.headDim)),
                m_options.headDim);
        }
        recordTokens(vectors, layer, 0, prompt);
        for (std::int64_t token = prompt; token < total; ++token) {
            recordTokens(vectors, layer, token, 1);
        }
    }

private:
    /// [heads, count]: head h weighs channel c of its values by 1 + (h + c) % 5.
    std::vector<float> outputNorms(std::span<const float> values, std::int64_t count) const
    {
        const std::int64_t dim = m_options.headDim;
        std::vector<float> norms(index(m_options.heads * count), 0.0F);
        for (std::int64_t head = 0; head < m_options.heads; ++head) {
            const std::int64_t kvHead = head / (m_options.heads / m_options.kvHeads);
            for (std::int64_t token = 0; token < count; ++token)
                for (std::int64_t channel = 0; channel < dim; ++channel)
                    norms[index(head * count + token)] += static_cast<float>(1 + (head + channel) % 5)
                        * std::abs(values[index((kvHead * count + token) * dim + channel)]);
        }
        return norms;
    }

    void recordTokens(const SyntheticLayer& vectors, int layer, std::int64_t begin, std::int64_t count)
    {
        const std::int64_t dim = m_options.headDim;
        const auto queries = slice(vectors.queries, m_options.heads, dim, begin, count);
        const auto beforeRope = slice(vectors.queriesBeforeRope, m_options.heads, dim, begin, count);
        const auto keys = slice(vectors.keys, m_options.kvHeads, dim, begin, count);
        const auto values = slice(vectors.values, m_options.kvHeads, dim, begin, count);
        LayerVectors recorded{layer, begin, count, queries, keys, values, beforeRope};
        std::vector<float> norms;
        if (m_options.outputNorms) {
            norms = outputNorms(values, count);
            recorded.outputValueNorms = norms;
        }
        m_recorder->beginLayer(recorded, m_options.window);
        const std::int64_t blocks = (count + blockRows - 1) / blockRows;
        tbb::parallel_for(std::int64_t{0}, m_options.heads * blocks, [&](std::int64_t work) {
            const auto head = static_cast<int>(work / blocks);
            const std::int64_t first = work % blocks * blockRows;
            const std::int64_t rows = std::min(blockRows, count - first);
            const std::int64_t stride = (begin + first + rows + 15) / 16 * 16;
            auto& probabilities = m_probabilities.local();
            auto& statistics = m_statistics.local();
            probabilities.resize(std::max(probabilities.size(), index(rows * stride)));
            statistics.resize(index(blockRows));
            attention_rows::softmaxRows(
                std::span(queries).subspan(index((head * count + first) * dim), index(rows * dim)),
                m_keys[index(head / (m_options.heads / m_options.kvHeads))], begin + first, rows,
                {1.0F / std::sqrt(static_cast<float>(dim)), m_options.window}, probabilities, stride, statistics);
            m_recorder->block(
                layer, head, begin + first, rows, probabilities, stride, std::span(statistics).first(index(rows)));
        });
        m_recorder->endLayer(layer);
    }

    const SyntheticRecording& m_options;
    AttentionRecorder* m_recorder;
    std::vector<PackedKeys> m_keys;
    tbb::enumerable_thread_specific<std::vector<float>> m_probabilities;
    tbb::enumerable_thread_specific<std::vector<RowStatistics>> m_statistics;
};

/// Appends tokens of one word each and remembers where spans begin.
class TextBuilder {
public:
    explicit TextBuilder(std::uint64_t seed)
        : m_random(seed)
    {
    }

    std::int64_t tokens() const { return std::ssize(m_text.ids); }

    void add(std::string_view piece, bool visible = true)
    {
        const std::int64_t begin = std::ssize(m_text.text);
        if (visible) {
            m_text.text += piece;
        }
        m_text.pieces.emplace_back(piece);
        m_text.offsets.push_back({begin, std::ssize(m_text.text)});
        std::uint64_t hash = 14695981039346656037U;
        for (const char c : piece) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
        }
        m_text.ids.push_back(static_cast<std::int32_t>(hash % vocabulary));
        m_text.nll.push_back(tokens() == 1 ? std::numeric_limits<float>::quiet_NaN() : 4.0F * m_random.uniform());
        for (int rank = 0; rank < 5; ++rank) {
            m_text.topIds.push_back(static_cast<std::int32_t>(m_random.next() % vocabulary));
            m_text.topLogprobs.push_back(-0.5F - static_cast<float>(rank));
        }
    }

    void addWords(std::int64_t count)
    {
        static constexpr std::array<std::string_view, 16> words{" apples", " Anna", " has", " seven", " more", " than",
            " the", " baker", " sells", " each", " day", " for", " two", " coins", " and", " keeps"};
        for (std::int64_t i = 0; i < count; ++i) {
            add(words[m_random.next() % words.size()]);
        }
    }

    void label(std::string_view name)
    {
        add(fmt::format("\n\n{}", name));
        add(":");
    }

    void span(std::int64_t begin, SpanKind kind, int shot = -1, std::string text = {})
    {
        if (begin < tokens()) {
            m_text.spans.push_back({begin, tokens(), kind, shot, std::move(text)});
        }
    }

    SampleText take() { return std::move(m_text); }

private:
    Random m_random;
    SampleText m_text;
};

SampleText makeText(const SyntheticRecording& options, int sample)
{
    constexpr std::int64_t labelTokens = 2;
    constexpr std::int64_t smallestShot = 2 * labelTokens + 4;
    const std::int64_t prompt = options.promptTokens;
    TextBuilder text(mixed(options.seed, sample, 0, 5, 0));
    text.add("<s>", false);
    text.span(0, SpanKind::Bos);
    const std::int64_t shots = options.shots ? std::clamp<std::int64_t>(prompt / 64, 0, 8) : 0;
    const std::int64_t shotTokens = shots > 0 ? (prompt - prompt / 8) / (shots + 1) : 0;
    if (shotTokens < smallestShot) {
        const std::int64_t begin = text.tokens();
        text.addWords(prompt - begin);
        text.span(begin, SpanKind::Instruction);
    } else {
        const std::int64_t instruction = text.tokens();
        text.addWords(prompt - (shots + 1) * shotTokens - instruction);
        text.span(instruction, SpanKind::Instruction);
        for (int shot = 0; shot < shots; ++shot) {
            const std::int64_t begin = text.tokens();
            text.label("Question");
            text.addWords(shotTokens / 2 - labelTokens);
            text.span(begin, SpanKind::ShotQuestion, shot);
            const std::int64_t answer = text.tokens();
            text.label("Answer");
            text.addWords(begin + shotTokens - text.tokens());
            text.span(answer, SpanKind::ShotAnswer, shot);
            text.span(begin, SpanKind::Shot, shot, fmt::format("shot {}", shot + 1));
        }
        const std::int64_t question = text.tokens();
        text.label("Question");
        text.addWords(prompt - text.tokens() - labelTokens);
        text.label("Answer");
        text.span(question, SpanKind::Question);
    }
    text.addWords(options.generatedTokens);
    text.span(prompt, SpanKind::Generated);
    return text.take();
}

ModelInfo makeModel(const SyntheticRecording& options)
{
    ModelInfo model;
    model.name = "synthetic";
    model.architecture = "llama";
    model.fileSha256 = fmt::format("{:064x}", options.seed);
    model.config = fmt::format(R"({{"seed": {}}})", options.seed);
    model.numLayers = options.layers;
    model.numHeads = options.heads;
    model.numKvHeads = options.kvHeads;
    model.headDim = options.headDim;
    model.hiddenSize = options.heads * options.headDim;
    model.vocabSize = vocabulary;
    model.maxPositions = std::max<std::int64_t>(32768, options.promptTokens + options.generatedTokens);
    model.attentionImplementation = "synthetic";
    model.inverseFrequencies = {inverseFrequencies(options.headDim)};
    model.tokenizerKind = "words";
    model.tokenizerSha256 = fmt::format("{:064x}", 0);
    return model;
}

} // namespace

void makeRecording(const std::filesystem::path& path, const SyntheticRecording& options)
{
    const ModelInfo model = makeModel(options);
    RecordingWriter writer(path, {1, makeUuid(), recordingTimestamp(), "make_recording", ""}, model,
        {options.kind, options.compression}, RecordingWriter::Existing::Overwrite);
    for (int number = 0; number < options.samples; ++number) {
        const auto sample = writer.beginSample(number);
        SampleInfo info;
        info.id = fmt::format("synthetic-{}", number);
        info.pairId = info.id;
        info.task = "synthetic";
        info.role = "base";
        info.seed = static_cast<std::int64_t>(options.seed);
        info.promptSha256 = fmt::format("{:064x}", mixed(options.seed, number, 0, 7, 0));
        info.promptTokens = options.promptTokens;
        info.totalTokens = options.promptTokens + options.generatedTokens;
        info.softmaxScale = static_cast<double>(1.0F / std::sqrt(static_cast<float>(options.headDim)));
        sample->begin(info);
        AttentionRecorder::Options record;
        record.kind = options.kind;
        record.compression = options.compression;
        AttentionRecorder recorder(*sample, model, info.promptTokens, info.totalTokens, record);
        LayerReplay replay(options, recorder);
        for (int layer = 0; layer < options.layers; ++layer) {
            replay.record(number, layer);
        }
        recorder.finish(info.totalTokens);
        sample->writeText(makeText(options, number));
        Random random(mixed(options.seed, number, 0, 8, 0));
        std::vector<float> logits(index(vocabulary));
        std::ranges::generate(logits, [&random] { return random.gaussian(); });
        sample->writeLastLogits(std::move(logits));
        sample->commit(info);
    }
    writer.finish(options.merge);
}

} // namespace kvloupe
