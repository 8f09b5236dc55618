// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/evidence_builder.h"

#include "core/attention/attention_rows.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace kvloupe {

void OwnedEvidence::bind()
{
    view.lastRows = lastRows;
    view.columnSums = columnSums;
    view.keyNorms = keyNorms;
    view.valueNorms = valueNorms;
    view.outputValueNorms = outputValueNorms;
    view.lastQueries = lastQueries;
    view.keys = keys;
    view.values = values;
    view.queryMeans = queryMeans;
    view.queryCovariances = queryCovariances;
    view.inverseFrequencies = inverseFrequencies;
}

namespace {

/// One layer of one sample, and how its missing parts are reported.
class LayerReader {
public:
    LayerReader(const Recording& recording, int sample, int layer)
        : m_recording(recording)
        , m_sample(sample)
        , m_layer(layer)
        , m_info(recording.layer(sample, layer))
        , m_prompt(recording.sample(sample).promptTokens)
        , m_first(m_info.window > 0 ? std::max<std::int64_t>(0, m_prompt - m_info.window) : 0)
    {
    }

    std::int64_t firstPosition() const { return m_first; }
    std::int64_t tokens() const { return m_prompt - m_first; }
    std::int64_t prompt() const { return m_prompt; }

    /// The columns of the prompt that the layer's cache holds, of an array with one row per head: [heads, tokens].
    std::vector<float> tokenArray(TokenArray array, int heads, std::string_view option) const
    {
        if (!m_recording.has(m_sample, m_layer, array))
            throw missing(tokenArrayName(array), option);
        return promptColumns(m_recording.read(m_sample, m_layer, array), heads, tokenArrayName(array));
    }

    std::vector<float> vectors(VectorArray array, int heads, std::int64_t begin, std::int64_t end) const
    {
        const bool there = array == VectorArray::Values ? m_info.hasValues : m_info.hasQueriesKeys;
        if (!there)
            throw missing(vectorArrayName(array), "--record qk");
        const auto perHead = static_cast<std::size_t>((end - begin) * model().headDim);
        std::vector<float> result(perHead * static_cast<std::size_t>(heads));
        for (int head = 0; head < heads; ++head)
            m_recording.readVectors(m_sample, m_layer, array, head, begin, end,
                std::span(result).subspan(perHead * static_cast<std::size_t>(head), perHead));
        return result;
    }
    std::vector<float> vectors(VectorArray array, int heads) const { return vectors(array, heads, m_first, m_prompt); }

    /// [queryHeads, rows, tokens]: attention of the last `rows` prompt queries.
    std::vector<float> lastRows(std::int64_t rows) const
    {
        if (m_info.hasQueriesKeys)
            return computedRows(rows);
        if (!m_info.hasTail || m_info.tailRows < rows)
            throw RecordingError(
                fmt::format("{}: sample {}, layer {}: attention of the last {} prompt tokens is needed, found {} "
                            "rows and no queries and keys; record with --record qk",
                    m_recording.path().string(), m_sample, m_layer, rows, m_info.hasTail ? m_info.tailRows : 0));
        return tailRows(rows);
    }

    /// Frequencies that the layer's queries and keys were turned with, [headDim / 2].
    std::vector<double> inverseFrequencies() const
    {
        const auto& variants = model().inverseFrequencies;
        if (m_info.ropeVariant < 0 || static_cast<std::size_t>(m_info.ropeVariant) >= variants.size())
            throw RecordingError(
                fmt::format("{}: layer {}: rope_variant is {}, found {} variants in /model/rope/inv_freq",
                    m_recording.path().string(), m_layer, m_info.ropeVariant, variants.size()));
        return variants[static_cast<std::size_t>(m_info.ropeVariant)];
    }

    RecordingError missing(std::string_view what, std::string_view option) const
    {
        return RecordingError(fmt::format("{}: sample {}, layer {}: {} is needed and was not recorded; record with {}",
            m_recording.path().string(), m_sample, m_layer, what, option));
    }

    const ModelInfo& model() const { return m_recording.model(); }
    const Recording& recording() const { return m_recording; }
    int sample() const { return m_sample; }
    int layer() const { return m_layer; }

private:
    std::vector<float> promptColumns(std::vector<float> values, std::int64_t rows, std::string_view name) const
    {
        const auto columns = rows == 0 ? 0 : static_cast<std::int64_t>(values.size()) / rows;
        if (columns < m_prompt || columns * rows != static_cast<std::int64_t>(values.size()))
            throw RecordingError(
                fmt::format("{}: sample {}, layer {}: {} has {} values, expected {} rows of {} tokens or more",
                    m_recording.path().string(), m_sample, m_layer, name, values.size(), rows, m_prompt));
        if (columns == tokens())
            return values;
        std::vector<float> result(static_cast<std::size_t>(rows * tokens()));
        for (std::int64_t row = 0; row < rows; ++row)
            std::copy_n(values.begin() + row * columns + m_first, tokens(), result.begin() + row * tokens());
        return result;
    }

    std::vector<float> tailRows(std::int64_t rows) const
    {
        const std::int64_t heads = model().numHeads;
        const std::vector<float> tail
            = promptColumns(m_recording.readTail(m_sample, m_layer), heads * m_info.tailRows, "tail");
        std::vector<float> result(static_cast<std::size_t>(heads * rows * tokens()));
        for (std::int64_t head = 0; head < heads; ++head)
            std::copy_n(tail.begin() + (head * m_info.tailRows + m_info.tailRows - rows) * tokens(), rows * tokens(),
                result.begin() + head * rows * tokens());
        return result;
    }

    std::vector<float> computedRows(std::int64_t rows) const
    {
        const int dim = model().headDim;
        const auto perKvHead = static_cast<std::size_t>(m_prompt * dim);
        const auto perQueryHead = static_cast<std::size_t>(rows * dim);
        const std::vector<float> keys = vectors(VectorArray::Keys, model().numKvHeads, 0, m_prompt);
        const std::vector<float> queries = vectors(VectorArray::Queries, model().numHeads, m_prompt - rows, m_prompt);
        const AttentionShape shape{static_cast<float>(m_recording.sample(m_sample).softmaxScale), m_info.window};
        const std::int64_t stride
            = (m_prompt + PackedKeys::panelKeys - 1) / PackedKeys::panelKeys * PackedKeys::panelKeys;

        const int group = model().groupSize();
        std::vector<float> result(static_cast<std::size_t>(model().numHeads * rows * tokens()));
        tbb::parallel_for(0, model().numKvHeads, [&](int kvHead) {
            const auto keysOfHead = std::span(keys).subspan(perKvHead * static_cast<std::size_t>(kvHead), perKvHead);
            const PackedKeys packed(keysOfHead, dim);
            AlignedFloats block(static_cast<std::size_t>(rows * stride));
            std::vector<RowStatistics> statistics(static_cast<std::size_t>(rows));
            for (int head = kvHead * group; head < (kvHead + 1) * group; ++head) {
                attention_rows::softmaxRows(
                    std::span(queries).subspan(perQueryHead * static_cast<std::size_t>(head), perQueryHead), packed,
                    m_prompt - rows, rows, shape, block.span(), stride, statistics);
                for (std::int64_t row = 0; row < rows; ++row)
                    std::copy_n(block.data() + row * stride + m_first, tokens(),
                        result.begin() + (head * rows + row) * tokens());
            }
        });
        return result;
    }

    const Recording& m_recording;
    int m_sample;
    int m_layer;
    const LayerInfo& m_info;
    std::int64_t m_prompt;
    std::int64_t m_first;
};

} // namespace

EvidenceBuilder::EvidenceBuilder(const Recording& recording)
    : m_recording(&recording)
{
}

OwnedEvidence EvidenceBuilder::build(int sample, int layer, const EvidenceNeeds& needs) const
{
    const LayerReader reader(*m_recording, sample, layer);
    const ModelInfo& model = m_recording->model();
    OwnedEvidence evidence;
    evidence.view.layer = layer;
    evidence.view.numLayers = model.numLayers;
    evidence.view.queryHeads = model.numHeads;
    evidence.view.kvHeads = model.numKvHeads;
    evidence.view.headDim = model.headDim;
    evidence.view.tokens = reader.tokens();
    evidence.view.firstPosition = reader.firstPosition();
    evidence.view.softmaxScale = m_recording->sample(sample).softmaxScale;

    if (needs.lastRows > 0) {
        evidence.view.lastRowCount = std::min(needs.lastRows, reader.tokens());
        evidence.lastRows = reader.lastRows(evidence.view.lastRowCount);
    }
    if (needs.columnSums)
        evidence.columnSums = reader.tokenArray(TokenArray::ColumnSum, model.numHeads, "--record stats or more");
    if (needs.keyNorms)
        evidence.keyNorms = reader.tokenArray(TokenArray::KeyNorm, model.numKvHeads, "--record stats or more");
    if (needs.valueNorms)
        evidence.valueNorms = reader.tokenArray(TokenArray::ValueNorm, model.numKvHeads, "--record stats or more");
    if (needs.outputValueNorms)
        evidence.outputValueNorms
            = reader.tokenArray(TokenArray::OutputValueNorm1, model.numHeads, "--with output-norms");
    if (needs.lastQueries > 0) {
        evidence.view.lastQueryCount = std::min(needs.lastQueries, reader.tokens());
        evidence.lastQueries = reader.vectors(
            VectorArray::Queries, model.numHeads, reader.prompt() - evidence.view.lastQueryCount, reader.prompt());
    }
    if (needs.keys)
        evidence.keys = reader.vectors(VectorArray::Keys, model.numKvHeads);
    if (needs.values)
        evidence.values = reader.vectors(VectorArray::Values, model.numKvHeads);
    if (needs.queryStatistics) {
        evidence.queryMeans = m_recording->readQueryMean(sample, layer);
        evidence.queryCovariances = m_recording->readQueryCovariance(sample, layer);
        if (evidence.queryMeans.empty() || evidence.queryCovariances.empty())
            throw reader.missing("query_mean and query_cov", "--record stats or more");
    }
    if (needs.rope) {
        evidence.inverseFrequencies = reader.inverseFrequencies();
        evidence.view.ropeAmplitude = model.attentionScaling;
    }
    evidence.bind();
    evidence.view.check(needs);
    return evidence;
}

PromptLayout promptLayout(const Recording& recording, int sample)
{
    const SampleInfo& info = recording.sample(sample);
    return {info.promptTokens, info.totalTokens, recording.readText(sample).spans};
}

} // namespace kvloupe
