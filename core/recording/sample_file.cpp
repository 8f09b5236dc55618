// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/sample_file.h"

#include "core/recording/recording.h"
#include "core/recording/recording_layout.h"
#include "core/recording/recording_parts.h"

#include <fmt/format.h>

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

namespace kvloupe {
namespace {

using hdf5::ChunkedArray;
using hdf5::ElementType;
using Index = ChunkedArray::Index;

constexpr std::size_t decodeBytesLimit = std::size_t{32} << 20; ///< rows of generated tokens held back
constexpr std::size_t writebackBytes = std::size_t{16} << 20;

std::uint64_t size(std::int64_t value)
{
    return static_cast<std::uint64_t>(value);
}

std::string overviewPath(Pooling pooling)
{
    return fmt::format("overview/{}", poolingName(pooling));
}

/// A whole small array in chunks along its first axis.
template <class Value>
void writeWhole(const hdf5::Node& parent, std::string_view name, ElementType type, const Index& dims,
    std::span<const Value> data, hdf5::Codecs& codecs)
{
    Index chunk = dims;
    chunk[0] = std::min<std::uint64_t>(chunk[0], size(layout::textChunk));
    ChunkedArray array = ChunkedArray::create(parent, name, type, dims, chunk, Compression::None);
    array.writeBox(Index(dims.size(), 0), dims, codecs, std::as_bytes(data));
}

/// HDF5 strings end at the first NUL; it is written the way other bytes that are no text are.
std::string withoutNul(std::string_view text)
{
    std::string result;
    for (const char c : text) {
        if (c == '\0') {
            result += "<0x00>";
        } else {
            result += c;
        }
    }
    return result;
}

void writeStrings(const hdf5::Node& parent, std::string_view name, std::span<const std::string> strings)
{
    const hdf5::Lock held = hdf5::lock();
    const std::string where = parent.file + ": " + parent.childPath(name);
    std::vector<std::string> clean;
    clean.reserve(strings.size());
    std::ranges::transform(strings, std::back_inserter(clean), withoutNul);
    std::vector<const char*> pointers;
    pointers.reserve(clean.size());
    std::ranges::transform(clean, std::back_inserter(pointers), [](const std::string& text) { return text.c_str(); });

    const std::array<hsize_t, 1> dims{strings.size()};
    const hdf5::Handle space(H5Screate_simple(1, dims.data(), nullptr), where);
    const hdf5::Handle type = hdf5::stringType();
    // No checksum: HDF5 has no filters for strings of variable length.
    const hdf5::Handle dataset(H5Dcreate2(parent.id.id(), std::string(name).c_str(), type.id(), space.id(), H5P_DEFAULT,
                                   H5P_DEFAULT, H5P_DEFAULT),
        where);
    hdf5::check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()), where);
}

/// Fixed length, so that it may hold NUL and lies in one piece.
void writeTextDataset(const hdf5::Node& parent, const std::string& text)
{
    const hdf5::Lock held = hdf5::lock();
    const std::string where = parent.file + ": " + parent.childPath("text");
    const hdf5::Handle type(H5Tcopy(H5T_C_S1), where);
    hdf5::check(H5Tset_size(type.id(), std::max<std::size_t>(text.size(), 1)), where);
    hdf5::check(H5Tset_cset(type.id(), H5T_CSET_UTF8), where);
    hdf5::check(H5Tset_strpad(type.id(), H5T_STR_NULLPAD), where);
    const hdf5::Handle space(H5Screate(H5S_SCALAR), where);
    hdf5::Node node;
    node.file = parent.file;
    node.path = parent.childPath("text");
    node.id = hdf5::Handle(
        H5Dcreate2(parent.id.id(), "text", type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), where);
    hdf5::check(H5Dwrite(node.id.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.c_str()), where);
    hdf5::writeInteger(node, "bytes", std::ssize(text));
}

void writeSpans(const hdf5::Node& parent, std::span<const Span> spans)
{
    const hdf5::Lock held = hdf5::lock();
    const std::string where = parent.file + ": " + parent.childPath("spans");
    std::vector<std::string> labels;
    labels.reserve(spans.size());
    std::vector<layout::StoredSpan> stored;
    for (const Span& span : spans) {
        labels.push_back(withoutNul(span.label));
        stored.push_back({span.begin, span.end, static_cast<std::int8_t>(span.kind), span.shot, labels.back().data()});
    }
    const std::array<hsize_t, 1> dims{spans.size()};
    const hdf5::Handle type = layout::spanType();
    const hdf5::Handle space(H5Screate_simple(1, dims.data(), nullptr), where);
    // What lies between the members in memory is not written.
    const hdf5::Handle packed(H5Tcopy(type.id()), where);
    hdf5::check(H5Tpack(packed.id()), where);
    const hdf5::Handle dataset(
        H5Dcreate2(parent.id.id(), "spans", packed.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), where);
    if (!spans.empty()) {
        hdf5::check(H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, stored.data()), where);
    }
}

} // namespace

void writeHeader(const hdf5::Node& root, const RecordingInfo& info, const ModelInfo& model)
{
    hdf5::writeString(root, "format", std::string(layout::formatName));
    hdf5::writeInteger(root, "format_version", layout::formatVersion);
    hdf5::writeString(root, "uuid", info.uuid);
    hdf5::writeString(root, "created", info.created);
    hdf5::writeString(root, "generator", info.generator);
    hdf5::writeString(root, "command", info.command);

    const hdf5::Node group = hdf5::createGroup(root, "model", 8);
    hdf5::writeString(group, "name", model.name);
    hdf5::writeString(group, "architecture", model.architecture);
    hdf5::writeString(group, "file_sha256", model.fileSha256);
    hdf5::writeString(group, "adapter_sha256", model.adapterSha256);
    hdf5::writeString(group, "config", model.config);
    hdf5::writeInteger(group, "num_layers", model.numLayers);
    hdf5::writeInteger(group, "num_heads", model.numHeads);
    hdf5::writeInteger(group, "num_kv_heads", model.numKvHeads);
    hdf5::writeInteger(group, "head_dim", model.headDim);
    hdf5::writeInteger(group, "hidden_size", model.hiddenSize);
    hdf5::writeInteger(group, "vocab_size", model.vocabSize);
    hdf5::writeInteger(group, "max_positions", model.maxPositions);
    hdf5::writeString(group, "dtype", model.dtype);
    hdf5::writeString(group, "device", model.device);
    hdf5::writeString(group, "attention_implementation", model.attentionImplementation);
    if (!model.inverseFrequencies.empty()) {
        const hdf5::Node rope = hdf5::createGroup(group, "rope", 8);
        hdf5::writeNumber(rope, "attention_scaling", model.attentionScaling);
        std::vector<double> frequencies;
        for (const auto& variant : model.inverseFrequencies) {
            frequencies.insert(frequencies.end(), variant.begin(), variant.end());
        }
        hdf5::Codecs codecs;
        writeWhole<double>(rope, "inv_freq", ElementType::Float64,
            {model.inverseFrequencies.size(), model.inverseFrequencies.front().size()}, frequencies, codecs);
    }
    const hdf5::Node tokenizer = hdf5::createGroup(root, "tokenizer", 8);
    hdf5::writeString(tokenizer, "kind", model.tokenizerKind);
    hdf5::writeString(tokenizer, "sha256", model.tokenizerSha256);
}

SampleFile::SampleFile(
    std::filesystem::path path, const RecordingInfo& info, ModelInfo model, Compression compression, int index)
    : m_path(std::move(path))
    , m_model(std::move(model))
    , m_compression(compression)
    , m_file(hdf5::createFile(m_path))
{
    try {
        writeHeader(m_file, info, m_model);
        const hdf5::Node samples = hdf5::createGroup(m_file, "samples", 8);
        m_group = hdf5::createGroup(samples, layout::sampleName(index), 8);
    } catch (...) {
        hdf5::discardFile(std::move(m_file.id));
        throw;
    }
}

SampleFile::~SampleFile()
{
    m_layerFiles.clear();
    m_layers.id.reset();
    m_group.id.reset();
    if (m_file.id) {
        hdf5::discardFile(std::move(m_file.id));
    }
}

void SampleFile::begin(const SampleInfo& sample)
{
    m_sample = sample;
}

void SampleFile::beginLayer(const LayerInfo& info)
{
    if (!m_layers.id) {
        m_layers = hdf5::createGroup(m_group, "layers", static_cast<unsigned>(m_model.numLayers));
    }
    if (m_layerFiles.contains(info.layer)) {
        throw RecordingError(fmt::format("{}: layer {} is begun twice", m_layers.where(), info.layer));
    }
    Layer& layer = m_layerFiles[info.layer];
    layer.info = info;
    layer.group = hdf5::createGroup(m_layers, layout::layerName(info.layer), 24);
    hdf5::writeInteger(layer.group, "window", info.window);
    hdf5::writeInteger(layer.group, "rope_variant", info.ropeVariant);
    hdf5::writeIntegers(layer.group, "map_heads", info.mapHeads);
}

SampleFile::Layer& SampleFile::layerOf(int layer)
{
    const auto found = m_layerFiles.find(layer);
    if (found == m_layerFiles.end()) {
        throw RecordingError(fmt::format("{}: layer {} is written before it was begun", m_group.where(), layer));
    }
    return found->second;
}

hdf5::Node& SampleFile::groupOf(Layer& layer, const std::string& path)
{
    if (path.empty()) {
        return layer.group;
    }
    if (const auto found = layer.groups.find(path); found != layer.groups.end()) {
        return found->second;
    }
    const auto slash = path.rfind('/');
    const hdf5::Node& parent = groupOf(layer, slash == std::string::npos ? std::string() : path.substr(0, slash));
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    return layer.groups.emplace(path, hdf5::createGroup(parent, name, 8)).first->second;
}

ChunkedArray& SampleFile::arrayOf(Layer& layer, const std::string& path, ElementType type, const Index& dims,
    const Index& chunk, Compression compression)
{
    if (const auto found = layer.arrays.find(path); found != layer.arrays.end()) {
        return found->second;
    }
    const auto slash = path.rfind('/');
    const hdf5::Node& parent = groupOf(layer, slash == std::string::npos ? std::string() : path.substr(0, slash));
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    return layer.arrays.emplace(path, ChunkedArray::create(parent, name, type, dims, chunk, compression)).first->second;
}

void SampleFile::write(
    int layer, TokenArray array, std::int64_t tokenBegin, std::int64_t tokens, std::span<const float> data)
{
    const Index dims = layout::tokenArrayDims(m_model, array, m_sample.totalTokens);
    Index chunk = dims;
    chunk[1] = size(layout::tokenChunk);
    ChunkedArray& target = arrayOf(
        layerOf(layer), std::string(tokenArrayName(array)), ElementType::Float32, dims, chunk, Compression::None);
    Index begin(dims.size(), 0);
    begin[1] = size(tokenBegin);
    Index count = dims;
    count[1] = size(tokens);
    target.writeBox(begin, count, m_codecs, std::as_bytes(data));
    startWriteback(data.size_bytes());
}

void SampleFile::writeVectors(
    int layer, VectorArray array, std::int64_t tokenBegin, std::int64_t tokens, std::span<const float> data)
{
    const Index dims = layout::vectorArrayDims(m_model, array, m_sample.totalTokens);
    ChunkedArray& target = arrayOf(layerOf(layer), std::string(vectorArrayName(array)), ElementType::Float32, dims,
        {1, size(vectorChunkTokens), dims[2]}, Compression::None);
    target.writeBox({0, size(tokenBegin), 0}, {dims[0], size(tokens), dims[2]}, m_codecs, std::as_bytes(data));
    startWriteback(data.size_bytes());
}

void SampleFile::writeTail(int layer, std::int64_t rows, std::span<const float> data)
{
    const Index dims{size(m_model.numHeads), size(rows), size(m_sample.totalTokens)};
    ChunkedArray& target = arrayOf(
        layerOf(layer), "tail", ElementType::Float32, dims, {1, dims[1], size(layout::tokenChunk)}, m_compression);
    target.writeBox({0, 0, 0}, {dims[0], dims[1], size(m_sample.promptTokens)}, m_codecs, std::as_bytes(data));
    startWriteback(data.size_bytes());
}

void SampleFile::writeQueryStatistics(int layer, std::span<const float> mean, std::span<const float> covariance)
{
    Layer& target = layerOf(layer);
    const std::uint64_t heads = size(m_model.numHeads);
    const std::uint64_t dim = size(m_model.headDim);
    arrayOf(target, "query_mean", ElementType::Float32, {heads, dim}, {heads, dim}, Compression::None)
        .writeBox({0, 0}, {heads, dim}, m_codecs, std::as_bytes(mean));
    arrayOf(target, "query_cov", ElementType::Float32, {heads, dim, dim}, {heads, dim, dim}, Compression::None)
        .writeBox({0, 0, 0}, {heads, dim, dim}, m_codecs, std::as_bytes(covariance));
}

void SampleFile::writeOverview(int layer, Pooling pooling, std::span<const Half> data)
{
    const std::uint64_t edge = size(overviewEdge(m_sample.promptTokens));
    const Index dims{size(m_model.numHeads), edge, edge};
    arrayOf(layerOf(layer), overviewPath(pooling), ElementType::Half, dims, dims, m_compression)
        .writeBox({0, 0, 0}, dims, m_codecs, std::as_bytes(data));
}

void SampleFile::writeDecodeRow(int layer, std::int64_t generatedIndex, std::vector<Half> data)
{
    Layer& target = layerOf(layer);
    const bool follows = generatedIndex == target.decodeBegin + std::ssize(target.decodeRows);
    const bool startsChunk = generatedIndex % layout::decodeChunkRows == 0;
    if (!target.decodeRows.empty() && (!follows || startsChunk)) {
        flushDecodeRows(target);
    }
    if (target.decodeRows.empty()) {
        target.decodeBegin = generatedIndex;
    }
    m_decodeBytes += data.size() * sizeof(Half);
    target.decodeRows.push_back(std::move(data));
    if (m_decodeBytes > decodeBytesLimit) {
        flushAllDecodeRows();
    }
}

void SampleFile::flushDecodeRows(Layer& layer)
{
    if (layer.decodeRows.empty()) {
        return;
    }
    const std::size_t heads = layer.info.mapHeads.size();
    const std::size_t rows = layer.decodeRows.size();
    const std::size_t columns = layer.decodeRows.back().size() / heads;
    std::vector<Half> box(heads * rows * columns, 0);
    for (std::size_t row = 0; row < rows; ++row) {
        const auto& data = layer.decodeRows[row];
        const std::size_t length = data.size() / heads;
        for (std::size_t head = 0; head < heads; ++head) {
            std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(head * length), length,
                box.begin() + static_cast<std::ptrdiff_t>((head * rows + row) * columns));
        }
        m_decodeBytes -= data.size() * sizeof(Half);
    }
    const Index dims{heads, size(m_sample.totalTokens - m_sample.promptTokens), size(m_sample.totalTokens)};
    arrayOf(layer, "decode", ElementType::Half, dims,
        {1, size(layout::decodeChunkRows), size(layout::decodeChunkTokens)}, m_compression)
        .writeBox({0, size(layer.decodeBegin), 0}, {heads, rows, columns}, m_codecs, std::as_bytes(std::span(box)));
    startWriteback(box.size() * sizeof(Half));
    layer.decodeRows.clear();
}

void SampleFile::flushAllDecodeRows()
{
    for (auto& [number, layer] : m_layerFiles) {
        flushDecodeRows(layer);
    }
}

void SampleFile::writeMapTile(
    int layer, int head, std::int64_t tileRow, std::int64_t tileColumn, std::span<const std::byte> encoded)
{
    Layer& target = layerOf(layer);
    const auto& heads = target.info.mapHeads;
    const auto found = std::ranges::find(heads, head);
    if (found == heads.end()) {
        throw RecordingError(fmt::format("{}: head {} is not among the map heads", target.group.where(), head));
    }
    const std::uint64_t edge = size(m_sample.promptTokens);
    arrayOf(target, "attention", ElementType::Half, {heads.size(), edge, edge}, {1, size(tileSize), size(tileSize)},
        m_compression)
        .writeEncoded({size(found - heads.begin()), size(tileRow * tileSize), size(tileColumn * tileSize)}, encoded);
    startWriteback(encoded.size());
}

void SampleFile::writePyramidTile(int layer, int head, int factor, Pooling pooling, std::int64_t tileRow,
    std::int64_t tileColumn, std::span<const std::byte> encoded)
{
    const std::uint64_t edge = size(layout::dividedUp(m_sample.promptTokens, factor));
    arrayOf(layerOf(layer), fmt::format("pyramid/{}/{}", factor, poolingName(pooling)), ElementType::Half,
        {size(m_model.numHeads), edge, edge}, {1, size(tileSize), size(tileSize)}, m_compression)
        .writeEncoded({size(head), size(tileRow * tileSize), size(tileColumn * tileSize)}, encoded);
    startWriteback(encoded.size());
}

void SampleFile::writeText(const SampleText& text)
{
    writeTextDataset(m_group, text.text);
    const std::uint64_t tokens = text.ids.size();
    const hdf5::Node group = hdf5::createGroup(m_group, "tokens", 8);
    writeStrings(group, "pieces", text.pieces);
    writeWhole<std::int32_t>(group, "ids", ElementType::Int32, {tokens}, text.ids, m_codecs);
    const std::span offsets(text.offsets.empty() ? nullptr : text.offsets.front().data(), 2 * text.offsets.size());
    writeWhole<std::int64_t>(group, "offsets", ElementType::Int64, {tokens, 2}, offsets, m_codecs);
    if (!text.nll.empty()) {
        writeWhole<float>(group, "nll", ElementType::Float32, {tokens}, text.nll, m_codecs);
    }
    if (!text.topIds.empty()) {
        const Index dims{tokens, size(layout::topTokens)};
        writeWhole<std::int32_t>(group, "top_ids", ElementType::Int32, dims, text.topIds, m_codecs);
        writeWhole<float>(group, "top_logprobs", ElementType::Float32, dims, text.topLogprobs, m_codecs);
    }
    writeSpans(m_group, text.spans);
}

void SampleFile::writeLastLogits(std::span<const float> logits)
{
    const hdf5::Node group = hdf5::createGroup(m_group, "logits", 8);
    writeWhole<float>(group, "last", ElementType::Float32, {logits.size()}, logits, m_codecs);
}

void SampleFile::shrinkArrays(std::int64_t totalTokens)
{
    const std::uint64_t tokens = size(totalTokens);
    for (auto& [number, layer] : m_layerFiles) {
        for (auto& [name, array] : layer.arrays) {
            Index dims = array.dims();
            if (name == "decode") {
                dims[1] = size(totalTokens - m_sample.promptTokens);
                dims[2] = tokens;
            } else if (name == "tail") {
                dims[2] = tokens;
            } else if (name == "queries" || name == "keys" || name == "values"
                || name == tokenArrayName(TokenArray::RowTopMass) || (name != "query_mean" && dims.size() == 2)) {
                dims[1] = tokens;
            }
            if (dims != array.dims()) {
                array.shrink(dims);
            }
        }
    }
}

void SampleFile::close(const SampleInfo& sample)
{
    flushAllDecodeRows();
    if (sample.totalTokens < m_sample.totalTokens) {
        shrinkArrays(sample.totalTokens);
    }
    hdf5::writeString(m_group, "id", sample.id);
    hdf5::writeString(m_group, "pair_id", sample.pairId);
    hdf5::writeString(m_group, "task", sample.task);
    hdf5::writeString(m_group, "role", sample.role);
    hdf5::writeInteger(m_group, "seed", sample.seed);
    hdf5::writeString(m_group, "prompt_sha256", sample.promptSha256);
    hdf5::writeInteger(m_group, "prompt_tokens", sample.promptTokens);
    hdf5::writeInteger(m_group, "total_tokens", sample.totalTokens);
    hdf5::writeNumber(m_group, "softmax_scale", sample.softmaxScale);
    hdf5::writeNumber(m_group, "wall_seconds", sample.wallSeconds);

    m_layerFiles.clear();
    m_layers.id.reset();
    m_group.id.reset();
    hdf5::closeFile(std::move(m_file.id), m_file.file);
    syncFile(m_path);
}

void SampleFile::startWriteback(std::size_t bytes)
{
    // The disk works while the model computes, so that the sync at the end finds little left to do.
    m_bytesSinceWriteback += bytes;
    if (m_bytesSinceWriteback < writebackBytes) {
        return;
    }
    m_bytesSinceWriteback = 0;
    const hdf5::Lock held = hdf5::lock();
    void* descriptor = nullptr;
    if (H5Fget_vfd_handle(m_file.id.id(), H5P_DEFAULT, &descriptor) >= 0 && descriptor != nullptr) {
        sync_file_range(*static_cast<int*>(descriptor), 0, 0, SYNC_FILE_RANGE_WRITE);
    }
}

} // namespace kvloupe
