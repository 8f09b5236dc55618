// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording.h"

#include "core/recording/recording_layout.h"
#include "core/recording/recording_parts.h"
#include "core/recording/recording_state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <system_error>

namespace kvloupe {
namespace {

using hdf5::ChunkedArray;
using hdf5::ElementType;
using hdf5::Node;
using Index = ChunkedArray::Index;

constexpr std::int64_t mostTokens = std::int64_t{1} << 24;
constexpr std::int64_t mostLayers = 4096;
constexpr std::int64_t mostHeads = 4096;
constexpr std::int64_t largestHeadDim = 4096;
constexpr std::int64_t largestSize = std::int64_t{1} << 30;
constexpr std::uint64_t mostRopeVariants = 64;
constexpr std::size_t mostOpenFiles = 64;
constexpr std::size_t mostOpenArrays = 2048;

std::uint64_t size(std::int64_t value)
{
    return static_cast<std::uint64_t>(value);
}

int readInt(const Node& node, std::string_view name, std::int64_t minimum, std::int64_t maximum)
{
    return static_cast<int>(hdf5::readInteger(node, name, minimum, maximum));
}

RecordingInfo readInfo(const Node& root)
{
    const std::string format = hdf5::readString(root, "format");
    if (format != layout::formatName) {
        throw RecordingError(
            fmt::format("{}: format is \"{}\", expected \"{}\"", root.where(), format, layout::formatName));
    }
    RecordingInfo info;
    constexpr int anyVersion = 1 << 20;
    info.formatVersion = readInt(root, "format_version", 1, anyVersion);
    if (info.formatVersion > layout::formatVersion) {
        throw RecordingError(
            fmt::format("{}: format_version is {}, expected at most {}: it was made by a newer KVLoupe", root.where(),
                info.formatVersion, layout::formatVersion));
    }
    info.uuid = hdf5::readString(root, "uuid");
    info.created = hdf5::readString(root, "created");
    info.generator = hdf5::readString(root, "generator");
    info.command = hdf5::readString(root, "command");
    return info;
}

void readRope(const Node& rope, ModelInfo& model, hdf5::Codecs& codecs)
{
    model.attentionScaling = hdf5::readNumber(rope, "attention_scaling");
    const auto array = ChunkedArray::open(rope, "inv_freq", ElementType::Float64, 2);
    const auto [variants, columns] = std::pair(array.dims()[0], array.dims()[1]);
    if (variants < 1 || variants > mostRopeVariants || columns > size(model.headDim) / 2) {
        throw RecordingError(fmt::format("{} has shape {}, expected [1 to {}, up to {}]", array.node().where(),
            hdf5::positionText(array.dims()), mostRopeVariants, model.headDim / 2));
    }
    std::vector<double> values(variants * columns);
    array.readBox({0, 0}, array.dims(), codecs, std::as_writable_bytes(std::span(values)));
    if (!std::ranges::all_of(values, [](double value) { return std::isfinite(value); })) {
        throw RecordingError(fmt::format("{} has values that are not finite", array.node().where()));
    }
    for (std::uint64_t variant = 0; variant < variants; ++variant) {
        const auto begin = values.begin() + static_cast<std::ptrdiff_t>(variant * columns);
        model.inverseFrequencies.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(columns));
    }
}

ModelInfo readModel(const Node& root, hdf5::Codecs& codecs)
{
    const Node group = hdf5::openGroup(root, "model");
    ModelInfo model;
    model.name = hdf5::readString(group, "name");
    model.architecture = hdf5::readString(group, "architecture");
    model.fileSha256 = hdf5::readString(group, "file_sha256");
    model.adapterSha256 = hdf5::readString(group, "adapter_sha256");
    model.config = hdf5::readString(group, "config");
    model.numLayers = readInt(group, "num_layers", 1, mostLayers);
    model.numHeads = readInt(group, "num_heads", 1, mostHeads);
    model.numKvHeads = readInt(group, "num_kv_heads", 1, model.numHeads);
    if (model.numHeads % model.numKvHeads != 0) {
        throw RecordingError(fmt::format("{}: num_kv_heads is {}, expected a divisor of num_heads, {}", group.where(),
            model.numKvHeads, model.numHeads));
    }
    model.headDim = readInt(group, "head_dim", 1, largestHeadDim);
    model.hiddenSize = readInt(group, "hidden_size", 1, largestSize);
    model.vocabSize = hdf5::readInteger(group, "vocab_size", 1, largestSize);
    model.maxPositions = hdf5::readInteger(group, "max_positions", 0, largestSize);
    model.dtype = hdf5::readString(group, "dtype");
    model.device = hdf5::readString(group, "device");
    model.attentionImplementation = hdf5::readString(group, "attention_implementation");
    if (hdf5::hasChild(group, "rope")) {
        readRope(hdf5::openGroup(group, "rope"), model, codecs);
    }
    const Node tokenizer = hdf5::openGroup(root, "tokenizer");
    model.tokenizerKind = hdf5::readString(tokenizer, "kind");
    model.tokenizerSha256 = hdf5::readString(tokenizer, "sha256");
    return model;
}

SampleInfo readSample(const Node& group)
{
    SampleInfo info;
    info.id = hdf5::readString(group, "id");
    info.pairId = hdf5::readString(group, "pair_id");
    info.task = hdf5::readString(group, "task");
    info.role = hdf5::readString(group, "role");
    info.seed = hdf5::readInteger(
        group, "seed", std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
    info.promptSha256 = hdf5::readString(group, "prompt_sha256");
    info.promptTokens = hdf5::readInteger(group, "prompt_tokens", 1, mostTokens);
    info.totalTokens = hdf5::readInteger(group, "total_tokens", info.promptTokens, mostTokens);
    info.softmaxScale = hdf5::readNumber(group, "softmax_scale");
    info.wallSeconds = hdf5::readNumber(group, "wall_seconds");
    return info;
}

/// The number that `name` writes with at least `digits` digits.
std::optional<int> numberOf(std::string_view name, std::size_t digits)
{
    int number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    const bool canonical = name.size() == digits || (name.size() > digits && name.front() != '0');
    if (error != std::errc() || end != name.data() + name.size() || number < 0 || !canonical) {
        return std::nullopt;
    }
    return number;
}

std::vector<int> readMapHeads(const Node& group, const ModelInfo& model)
{
    const std::vector<int> heads = hdf5::readIntegers(group, "map_heads", size(model.numHeads));
    const bool ascending = std::ranges::adjacent_find(heads, std::greater_equal()) == heads.end();
    if (!ascending || (!heads.empty() && (heads.front() < 0 || heads.back() >= model.numHeads))) {
        throw RecordingError(fmt::format("{}: attribute map_heads is [{}], expected ascending heads below {}",
            group.where(), fmt::join(heads, ", "), model.numHeads));
    }
    return heads;
}

} // namespace

void Recording::State::readSamples(const Node& root, const std::filesystem::path& file)
{
    if (!hdf5::hasChild(root, "samples")) {
        return;
    }
    const Node group = hdf5::openGroup(root, "samples");
    for (const std::string& name : hdf5::childNames(group, layout::maximumSampleIndex + 1)) {
        const Node sample = hdf5::openGroup(group, name);
        if (!numberOf(name, layout::sampleName(0).size())) {
            throw RecordingError(fmt::format("{}: expected a name of six digits", sample.where()));
        }
        samples.push_back({file, name, readSample(sample), std::nullopt, {}});
    }
}

void Recording::State::openFile(const std::filesystem::path& file)
{
    Node root = hdf5::openFile(file);
    info = readInfo(root);
    model = readModel(root, codecs);
    readSamples(root, file);
    files.emplace(file, std::move(root));
}

void Recording::State::openFolder(const std::filesystem::path& folder)
{
    partial = true;
    const auto parts = listParts(folder);
    if (parts.empty()) {
        throw RecordingError(fmt::format("{}: no sample is complete yet", folder.string()));
    }
    for (const auto& [index, part] : parts) {
        if (index == parts.begin()->first) {
            openFile(part);
            continue;
        }
        const Node root = hdf5::openFile(part);
        const RecordingInfo partInfo = readInfo(root);
        if (partInfo.uuid != info.uuid) {
            throw RecordingError(fmt::format(
                "{}: uuid is {}, expected {} as in the other parts", part.string(), partInfo.uuid, info.uuid));
        }
        readSamples(root, part);
    }
}

const Recording::State::Sample& Recording::State::sampleAt(int sample) const
{
    if (sample < 0 || sample >= std::ssize(samples)) {
        throw RecordingError(fmt::format("{}: has no sample {}, only {}", path.string(), sample, samples.size()));
    }
    return samples[static_cast<std::size_t>(sample)];
}

Recording::State::Sample& Recording::State::sampleAt(int sample)
{
    return const_cast<Sample&>(std::as_const(*this).sampleAt(sample)); // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

void Recording::State::makeRoom()
{
    if (files.size() >= mostOpenFiles || arrays.size() >= mostOpenArrays) {
        arrays.clear();
        layerGroups.clear();
        sampleGroups.clear();
        files.clear();
    }
}

const Node& Recording::State::sampleGroup(int sample)
{
    const Sample& entry = sampleAt(sample);
    if (const auto found = sampleGroups.find(sample); found != sampleGroups.end()) {
        return found->second;
    }
    makeRoom();
    auto file = files.find(entry.file);
    if (file == files.end()) {
        file = files.emplace(entry.file, hdf5::openFile(entry.file)).first;
    }
    Node group = hdf5::openGroup(hdf5::openGroup(file->second, "samples"), entry.name);
    return sampleGroups.emplace(sample, std::move(group)).first->second;
}

const Node& Recording::State::layerGroup(int sample, int layer)
{
    if (const auto found = layerGroups.find({sample, layer}); found != layerGroups.end()) {
        return found->second;
    }
    const Node& group = sampleGroup(sample);
    const auto& layers = layersOf(sample);
    if (!std::ranges::binary_search(layers, layer)) {
        throw RecordingError(fmt::format("{}: layer {} was not recorded", group.where(), layer));
    }
    Node opened = hdf5::openGroup(hdf5::openGroup(group, "layers"), layout::layerName(layer));
    return layerGroups.emplace(std::pair(sample, layer), std::move(opened)).first->second;
}

const std::vector<int>& Recording::State::layersOf(int sample)
{
    Sample& entry = sampleAt(sample);
    if (!entry.layers) {
        std::vector<int> layers;
        const Node& group = sampleGroup(sample);
        if (hdf5::hasChild(group, "layers")) {
            const Node parent = hdf5::openGroup(group, "layers");
            for (const std::string& name : hdf5::childNames(parent, size(model.numLayers))) {
                const auto layer = numberOf(name, layout::layerName(0).size());
                if (!layer || *layer >= model.numLayers) {
                    throw RecordingError(fmt::format(
                        "{}: layer {} is not among the {} of the model", parent.where(), name, model.numLayers));
                }
                layers.push_back(*layer);
            }
            std::ranges::sort(layers);
        }
        entry.layers = std::move(layers);
    }
    return *entry.layers;
}

const ChunkedArray& Recording::State::array(
    int sample, int layer, const std::string& below, ElementType type, std::size_t rank)
{
    const auto key = std::pair(std::pair(sample, layer), below);
    if (const auto found = arrays.find(key); found != arrays.end()) {
        return found->second;
    }
    if (arrays.size() >= mostOpenArrays) {
        arrays.clear();
    }
    const Node& group = layerGroup(sample, layer);
    std::optional<Node> nested;
    std::size_t begin = 0;
    for (std::size_t slash = below.find('/'); slash != std::string::npos; slash = below.find('/', begin)) {
        nested = hdf5::openGroup(nested ? *nested : group, below.substr(begin, slash - begin));
        begin = slash + 1;
    }
    return arrays.emplace(key, ChunkedArray::open(nested ? *nested : group, below.substr(begin), type, rank))
        .first->second;
}

const LayerInfo& Recording::State::layerOf(int sample, int layer)
{
    Sample& entry = sampleAt(sample);
    if (const auto found = entry.layerInfos.find(layer); found != entry.layerInfos.end()) {
        return found->second;
    }
    const Node& group = layerGroup(sample, layer);
    LayerInfo result;
    result.layer = layer;
    result.window = hdf5::readInteger(group, "window", 0, mostTokens);
    const auto variants = std::max<std::int64_t>(1, std::ssize(model.inverseFrequencies));
    result.ropeVariant = readInt(group, "rope_variant", 0, variants - 1);
    result.mapHeads = readMapHeads(group, model);
    if (!hdf5::hasChild(group, "attention")) {
        result.mapHeads.clear();
    }
    result.hasQueriesKeys = hdf5::hasChild(group, "queries") && hdf5::hasChild(group, "keys");
    result.hasValues = hdf5::hasChild(group, "values");
    const SampleInfo& sampleInfo = entry.info;
    if (hdf5::hasChild(group, "tail")) {
        const auto& tail = array(sample, layer, "tail", ElementType::Float32, 3);
        const std::uint64_t rows = tail.dims()[1];
        if (rows < 1 || rows > size(sampleInfo.promptTokens)) {
            throw RecordingError(
                fmt::format("{} has {} rows, expected 1 to {}", tail.node().where(), rows, sampleInfo.promptTokens));
        }
        tail.requireDims({size(model.numHeads), rows, size(sampleInfo.totalTokens)});
        result.hasTail = true;
        result.tailRows = static_cast<std::int64_t>(rows);
    }
    if (hdf5::hasChild(group, "pyramid")) {
        const Node pyramid = hdf5::openGroup(group, "pyramid");
        for (const std::string& name : hdf5::childNames(pyramid, 32)) {
            const auto factor = numberOf(name, 1);
            if (!factor || *factor < 2 || (*factor & (*factor - 1)) != 0) {
                throw RecordingError(fmt::format("{}: level {} is not a power of two", pyramid.where(), name));
            }
            result.pyramidFactors.push_back(*factor);
        }
        std::ranges::sort(result.pyramidFactors);
    }
    if (hdf5::hasChild(group, "decode")) {
        result.decodeRows = sampleInfo.totalTokens - sampleInfo.promptTokens;
    }
    return entry.layerInfos.emplace(layer, std::move(result)).first->second;
}

bool Recording::State::readTile(const ChunkedArray& array, std::uint64_t head, std::int64_t edge, std::int64_t tileRow,
    std::int64_t tileColumn, std::span<Half> out)
{
    assert(out.size() == size(tileSize * tileSize));
    const std::int64_t tiles = layout::dividedUp(edge, tileSize);
    if (tileRow < 0 || tileRow >= tiles || tileColumn < 0 || tileColumn >= tiles) {
        throw RecordingError(fmt::format(
            "{}: has no tile ({}, {}), only {} x {}", array.node().where(), tileRow, tileColumn, tiles, tiles));
    }
    const std::int64_t side = std::min(tileSize, edge);
    if (array.chunk() != Index{1, size(side), size(side)}) {
        throw RecordingError(fmt::format("{} has chunks of shape {}, expected {}", array.node().where(),
            hdf5::positionText(array.chunk()), hdf5::positionText({1, size(side), size(side)})));
    }
    const Index offset{head, size(tileRow * tileSize), size(tileColumn * tileSize)};
    if (side == tileSize) {
        return array.readChunk(offset, codecs, std::as_writable_bytes(out));
    }
    std::vector<Half> clipped(size(side * side));
    const bool written = array.readChunk(offset, codecs, std::as_writable_bytes(std::span(clipped)));
    std::ranges::fill(out, Half{0});
    for (std::int64_t row = 0; row < side; ++row) {
        std::copy_n(clipped.begin() + row * side, side, out.begin() + row * tileSize);
    }
    return written;
}

Recording::Recording(std::unique_ptr<State> state)
    : m_state(std::move(state))
{
}

Recording::~Recording() = default;
Recording::Recording(Recording&&) noexcept = default;
Recording& Recording::operator=(Recording&&) noexcept = default;

Recording Recording::open(const std::filesystem::path& path)
{
    auto state = std::make_unique<State>();
    state->path = path;
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
        state->openFolder(path);
    } else if (const auto folder = partsFolder(path);
               !std::filesystem::exists(path, ignored) && std::filesystem::is_directory(folder, ignored)) {
        state->openFolder(folder);
    } else {
        state->openFile(path);
    }
    return Recording(std::move(state));
}

const std::filesystem::path& Recording::path() const
{
    return m_state->path;
}

const RecordingInfo& Recording::info() const
{
    return m_state->info;
}

const ModelInfo& Recording::model() const
{
    return m_state->model;
}

bool Recording::isPartial() const
{
    return m_state->partial;
}

int Recording::sampleCount() const
{
    return static_cast<int>(m_state->samples.size());
}

const SampleInfo& Recording::sample(int sample) const
{
    return m_state->sampleAt(sample).info;
}

std::vector<int> Recording::layers(int sample) const
{
    return m_state->layersOf(sample);
}

const LayerInfo& Recording::layer(int sample, int layer) const
{
    return m_state->layerOf(sample, layer);
}

std::vector<float> Recording::readLastLogits(int sample) const
{
    const Node& group = m_state->sampleGroup(sample);
    if (!hdf5::hasChild(group, "logits")) {
        return {};
    }
    return m_state->readWhole<float>(
        hdf5::openGroup(group, "logits"), "last", ElementType::Float32, {size(m_state->model.vocabSize)});
}

bool Recording::has(int sample, int layer, TokenArray array) const
{
    return hdf5::hasChild(m_state->layerGroup(sample, layer), tokenArrayName(array));
}

std::vector<float> Recording::read(int sample, int layer, TokenArray array) const
{
    const Index dims = layout::tokenArrayDims(m_state->model, array, this->sample(sample).totalTokens);
    const auto& stored
        = m_state->array(sample, layer, std::string(tokenArrayName(array)), ElementType::Float32, dims.size());
    stored.requireDims(dims);
    return m_state->readAll<float>(stored);
}

void Recording::readVectors(int sample, int layer, VectorArray array, int head, std::int64_t begin, std::int64_t end,
    std::span<float> out) const
{
    const auto& stored = m_state->array(sample, layer, std::string(vectorArrayName(array)), ElementType::Float32, 3);
    const Index dims = layout::vectorArrayDims(m_state->model, array, this->sample(sample).totalTokens);
    stored.requireDims(dims);
    if (head < 0 || size(head) >= dims[0] || begin < 0 || begin > end || size(end) > dims[1]) {
        throw RecordingError(fmt::format("{}: has no tokens {} to {} of head {}, its shape is {}",
            stored.node().where(), begin, end, head, hdf5::positionText(dims)));
    }
    assert(out.size() == size(end - begin) * dims[2]);
    stored.readBox(
        {size(head), size(begin), 0}, {1, size(end - begin), dims[2]}, m_state->codecs, std::as_writable_bytes(out));
}

std::vector<float> Recording::readTail(int sample, int layer) const
{
    if (!m_state->layerOf(sample, layer).hasTail) {
        return {};
    }
    return m_state->readAll<float>(m_state->array(sample, layer, "tail", ElementType::Float32, 3));
}

std::vector<float> Recording::readQueryMean(int sample, int layer) const
{
    const Node& group = m_state->layerGroup(sample, layer);
    if (!hdf5::hasChild(group, "query_mean")) {
        return {};
    }
    const ModelInfo& model = m_state->model;
    return m_state->readWhole<float>(
        group, "query_mean", ElementType::Float32, {size(model.numHeads), size(model.headDim)});
}

std::vector<float> Recording::readQueryCovariance(int sample, int layer) const
{
    const Node& group = m_state->layerGroup(sample, layer);
    if (!hdf5::hasChild(group, "query_cov")) {
        return {};
    }
    const ModelInfo& model = m_state->model;
    return m_state->readWhole<float>(
        group, "query_cov", ElementType::Float32, {size(model.numHeads), size(model.headDim), size(model.headDim)});
}

bool Recording::readMapTile(
    int sample, int layer, int head, std::int64_t tileRow, std::int64_t tileColumn, std::span<Half> out) const
{
    const auto& heads = m_state->layerOf(sample, layer).mapHeads;
    const auto found = std::ranges::lower_bound(heads, head);
    if (found == heads.end() || *found != head) {
        throw RecordingError(fmt::format("{}: head {} has no map", m_state->layerGroup(sample, layer).where(), head));
    }
    const auto& stored = m_state->array(sample, layer, "attention", ElementType::Half, 3);
    const std::int64_t edge = this->sample(sample).promptTokens;
    stored.requireDims({heads.size(), size(edge), size(edge)});
    return m_state->readTile(stored, size(found - heads.begin()), edge, tileRow, tileColumn, out);
}

bool Recording::readPyramidTile(int sample, int layer, int head, int factor, Pooling pooling, std::int64_t tileRow,
    std::int64_t tileColumn, std::span<Half> out) const
{
    const int numHeads = m_state->model.numHeads;
    const auto& stored = m_state->array(
        sample, layer, fmt::format("pyramid/{}/{}", factor, poolingName(pooling)), ElementType::Half, 3);
    const std::int64_t edge = layout::dividedUp(this->sample(sample).promptTokens, factor);
    stored.requireDims({size(numHeads), size(edge), size(edge)});
    if (head < 0 || head >= numHeads) {
        throw RecordingError(fmt::format("{}: has no head {}, only {}", stored.node().where(), head, numHeads));
    }
    return m_state->readTile(stored, size(head), edge, tileRow, tileColumn, out);
}

std::vector<Half> Recording::readOverview(int sample, int layer, Pooling pooling) const
{
    const auto& stored
        = m_state->array(sample, layer, fmt::format("overview/{}", poolingName(pooling)), ElementType::Half, 3);
    const std::uint64_t edge = size(overviewEdge(this->sample(sample).promptTokens));
    stored.requireDims({size(m_state->model.numHeads), edge, edge});
    return m_state->readAll<Half>(stored);
}

std::vector<Half> Recording::readDecodeRow(int sample, int layer, int head, std::int64_t generatedIndex) const
{
    const LayerInfo& layerInfo = m_state->layerOf(sample, layer);
    const Node& group = m_state->layerGroup(sample, layer);
    if (layerInfo.decodeRows == 0) {
        return {};
    }
    const std::vector<int> heads = readMapHeads(group, m_state->model);
    const auto found = std::ranges::lower_bound(heads, head);
    if (found == heads.end() || *found != head || generatedIndex < 0 || generatedIndex >= layerInfo.decodeRows) {
        return {};
    }
    const auto& stored = m_state->array(sample, layer, "decode", ElementType::Half, 3);
    const std::uint64_t tokens = size(this->sample(sample).totalTokens);
    stored.requireDims({heads.size(), size(layerInfo.decodeRows), tokens});
    hdf5::requirePlausible(stored.chunkBytes(), stored.node());
    std::vector<Half> row(tokens);
    stored.readBox({size(found - heads.begin()), size(generatedIndex), 0}, {1, 1, tokens}, m_state->codecs,
        std::as_writable_bytes(std::span(row)));
    // A softmax row is never all 0: this one was not kept (`last:N`).
    return std::ranges::all_of(row, [](Half value) { return value == 0; }) ? std::vector<Half>() : row;
}

} // namespace kvloupe
