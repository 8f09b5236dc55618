// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording_writer.h"

#include "core/recording/hdf5_copy.h"
#include "core/recording/recording.h"
#include "core/recording/recording_layout.h"
#include "core/recording/recording_parts.h"
#include "core/recording/sample_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <system_error>
#include <thread>

namespace kvloupe {
namespace {

void requireSame(
    const std::filesystem::path& path, std::string_view field, const std::string& found, const std::string& expected)
{
    if (found != expected) {
        throw RecordingError(fmt::format("{}: cannot be resumed: {} is \"{}\" in the recording and \"{}\" now",
            path.string(), field, found, expected));
    }
}

void requireSameModel(const std::filesystem::path& path, const ModelInfo& found, const ModelInfo& expected)
{
    requireSame(path, "model file_sha256", found.fileSha256, expected.fileSha256);
    requireSame(path, "model adapter_sha256", found.adapterSha256, expected.adapterSha256);
    requireSame(path, "model config", found.config, expected.config);
    requireSame(path, "tokenizer kind", found.tokenizerKind, expected.tokenizerKind);
    requireSame(path, "tokenizer sha256", found.tokenizerSha256, expected.tokenizerSha256);
    const auto shape = [](const ModelInfo& model) {
        return fmt::format("{}/{}/{}/{}", model.numLayers, model.numHeads, model.numKvHeads, model.headDim);
    };
    requireSame(path, "model layers/heads/kv heads/head size", shape(found), shape(expected));
}

void removeQuietly(const std::filesystem::path& path)
{
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
}

/// Sample indices and the recording they are read from, in a finished file.
std::vector<int> samplesOf(const hdf5::Node& root)
{
    std::vector<int> indices;
    if (!hdf5::hasChild(root, "samples")) {
        return indices;
    }
    for (const std::string& name : hdf5::childNames(hdf5::openGroup(root, "samples"), layout::maximumSampleIndex + 1)) {
        if (name.size() == 6 && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) {
            indices.push_back(std::stoi(name));
        }
    }
    return indices;
}

std::filesystem::path temporaryPath(const std::filesystem::path& path)
{
    return path.parent_path() / fmt::format(".{}.tmp", path.filename().string());
}

} // namespace

/// What a RecordingWriter and its SampleWriters share.
struct RecordingProgress {
    std::mutex mutex;
    std::set<int> complete;
};

struct RecordingWriter::State {
    std::filesystem::path path;
    std::filesystem::path folder;
    RecordingInfo info;
    ModelInfo model;
    RecordOptions options;
    std::optional<PartsLock> lock;
    std::shared_ptr<RecordingProgress> progress = std::make_shared<RecordingProgress>();

    /// The file that holds a complete sample: its part, or the finished recording.
    std::filesystem::path fileOf(int index) const
    {
        const auto part = partPath(folder, index);
        return std::filesystem::exists(part) ? part : path;
    }

    void openExisting(Existing existing);
    void resume();
    void merge(const std::map<int, std::filesystem::path>& parts, const std::vector<int>& finished) const;
    void removeFolder();
};

struct SampleWriter::State {
    std::shared_ptr<RecordingProgress> progress;
    std::filesystem::path folder;
    RecordOptions options;
    int index = 0;
    std::int64_t promptTokens = 0;
    std::unique_ptr<SampleFile> file;
    bool committed = false;

    struct Job {
        std::function<void(SampleFile&)> work;
        std::size_t bytes = 0;
    };
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Job> queue;
    std::size_t queuedBytes = 0; ///< including the job in hand
    bool stop = false;
    std::exception_ptr error;
    std::thread thread;

    void run();
    void push(std::size_t bytes, std::function<void(SampleFile&)> work);
    /// Waits until every job is done, or one has failed.
    void drain();
    void join(bool discard);
    void writeTile(std::int64_t edge, std::span<const Half> tile, ChunkCodec& codec,
        std::function<void(SampleFile&, std::span<const std::byte>)> write);
};

RecordingWriter::RecordingWriter(
    std::filesystem::path path, RecordingInfo info, ModelInfo model, RecordOptions options, Existing existing)
    : m_state(std::make_unique<State>())
{
    m_state->path = std::move(path);
    m_state->folder = partsFolder(m_state->path);
    m_state->info = std::move(info);
    m_state->model = std::move(model);
    m_state->options = options;
    m_state->openExisting(existing);
}

RecordingWriter::~RecordingWriter() = default;

void RecordingWriter::State::openExisting(Existing existing)
{
    const bool finished = std::filesystem::exists(path);
    const bool partial = !listParts(folder).empty();
    if (existing == Existing::Refuse && (finished || partial)) {
        throw RecordingError(fmt::format(
            "{}: exists already; resume it, overwrite it or choose another name", (finished ? path : folder).string()));
    }
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) {
        throw RecordingError(fmt::format("{}: cannot be created: {}", folder.string(), error.message()));
    }
    lock.emplace(folder);
    if (existing == Existing::Overwrite) {
        for (const auto& [index, part] : listParts(folder)) {
            removeQuietly(part);
        }
        if (finished && !std::filesystem::remove(path, error)) {
            throw RecordingError(fmt::format("{}: cannot be replaced: {}", path.string(), error.message()));
        }
    }
    // Left behind by a capture that was killed.
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        if (entry.path().extension() == ".tmp") {
            removeQuietly(entry.path());
        }
    }
    removeQuietly(temporaryPath(path));
    if (existing == Existing::Resume) {
        resume();
    }
}

void RecordingWriter::State::resume()
{
    std::optional<RecordingInfo> recorded;
    const auto adopt = [&](const std::filesystem::path& file) {
        const Recording recording = Recording::open(file);
        requireSameModel(file, recording.model(), model);
        if (recorded && recorded->uuid != recording.info().uuid) {
            throw RecordingError(fmt::format("{}: belongs to another recording (uuid {}, expected {})", file.string(),
                recording.info().uuid, recorded->uuid));
        }
        recorded = recording.info();
    };
    if (std::filesystem::exists(path)) {
        adopt(path);
        std::ranges::copy(samplesOf(hdf5::openFile(path)), std::inserter(progress->complete, progress->complete.end()));
    }
    for (const auto& [index, part] : listParts(folder)) {
        adopt(part);
        if (!progress->complete.insert(index).second) {
            removeQuietly(part); // merged before the merge was cut off
        }
    }
    if (recorded) {
        info = *recorded;
    }
}

const std::set<int>& RecordingWriter::completeSamples() const
{
    return m_state->progress->complete;
}

SampleInfo RecordingWriter::completeSample(int index) const
{
    if (!m_state->progress->complete.contains(index)) {
        throw RecordingError(fmt::format("{}: has no sample {}", m_state->path.string(), index));
    }
    const std::filesystem::path file = m_state->fileOf(index);
    const Recording recording = Recording::open(file);
    if (file != m_state->path) {
        return recording.sample(0);
    }
    const std::vector<int> indices = samplesOf(hdf5::openFile(file));
    return recording.sample(static_cast<int>(std::ranges::find(indices, index) - indices.begin()));
}

std::unique_ptr<SampleWriter> RecordingWriter::beginSample(int index)
{
    if (index < 0 || index > layout::maximumSampleIndex) {
        throw RecordingError(
            fmt::format("{}: sample {} is outside 0 to {}", m_state->path.string(), index, layout::maximumSampleIndex));
    }
    {
        const std::lock_guard guard(m_state->progress->mutex);
        if (m_state->progress->complete.contains(index)) {
            throw RecordingError(fmt::format("{}: sample {} is complete already", m_state->path.string(), index));
        }
    }
    auto state = std::make_unique<SampleWriter::State>();
    state->progress = m_state->progress;
    state->folder = m_state->folder;
    state->options = m_state->options;
    state->index = index;
    const auto file = temporaryPartPath(m_state->folder, index);
    try {
        state->file
            = std::make_unique<SampleFile>(file, m_state->info, m_state->model, m_state->options.compression, index);
    } catch (...) {
        removeQuietly(file);
        throw;
    }
    state->thread = std::thread([raw = state.get()] { raw->run(); });
    return std::unique_ptr<SampleWriter>(new SampleWriter(std::move(state)));
}

void RecordingWriter::finish(bool merge)
{
    const auto parts = listParts(m_state->folder);
    if (!merge) {
        return;
    }
    const bool exists = std::filesystem::exists(m_state->path);
    if (parts.size() == 1 && !exists) {
        renameDurably(parts.begin()->second, m_state->path);
    } else if (!parts.empty()) {
        m_state->merge(parts, exists ? samplesOf(hdf5::openFile(m_state->path)) : std::vector<int>{});
    }
    m_state->removeFolder();
}

void RecordingWriter::State::merge(
    const std::map<int, std::filesystem::path>& parts, const std::vector<int>& finished) const
{
    std::map<int, std::filesystem::path> sources = parts;
    for (const int index : finished) {
        sources.insert_or_assign(index, path);
    }
    const std::filesystem::path temporary = temporaryPath(path);
    try {
        hdf5::Node target = hdf5::createFile(temporary);
        try {
            writeHeader(target, info, model);
            const hdf5::Node samples = hdf5::createGroup(
                target, "samples", static_cast<unsigned>(std::min<std::size_t>(sources.size(), 1000)));
            std::optional<std::pair<std::filesystem::path, hdf5::Node>> open;
            for (const auto& [index, file] : sources) {
                if (!open || open->first != file) {
                    open.emplace(file, hdf5::openFile(file));
                }
                const std::string name = layout::sampleName(index);
                hdf5::copyObject(hdf5::openGroup(open->second, "samples"), name, samples);
            }
        } catch (...) {
            hdf5::discardFile(std::move(target.id));
            throw;
        }
        hdf5::closeFile(std::move(target.id), temporary.string());
        syncFile(temporary);
        renameDurably(temporary, path);
    } catch (...) {
        removeQuietly(temporary);
        throw;
    }
    for (const auto& [index, part] : parts) {
        removeQuietly(part);
    }
}

void RecordingWriter::State::removeFolder()
{
    removeQuietly(PartsLock::fileIn(folder));
    lock.reset();
    removeQuietly(folder);
}

SampleWriter::SampleWriter(std::unique_ptr<State> state)
    : m_state(std::move(state))
{
}

SampleWriter::~SampleWriter()
{
    m_state->join(true);
    m_state->file.reset();
    if (!m_state->committed) {
        removeQuietly(temporaryPartPath(m_state->folder, m_state->index));
    }
}

void SampleWriter::State::run()
{
    std::unique_lock held(mutex);
    for (;;) {
        changed.wait(held, [this] { return stop || !queue.empty(); });
        if (queue.empty()) {
            return;
        }
        Job job = std::move(queue.front());
        queue.pop_front();
        if (!error) {
            held.unlock();
            std::exception_ptr failure;
            try {
                job.work(*file);
            } catch (...) {
                failure = std::current_exception();
            }
            job.work = nullptr;
            held.lock();
            error = failure;
        }
        queuedBytes -= job.bytes;
        changed.notify_all();
    }
}

void SampleWriter::State::push(std::size_t bytes, std::function<void(SampleFile&)> work)
{
    std::unique_lock held(mutex);
    changed.wait(held, [&] { return error || queuedBytes == 0 || queuedBytes + bytes <= options.queueBytes; });
    if (error) {
        std::rethrow_exception(error);
    }
    queuedBytes += bytes;
    queue.push_back({std::move(work), bytes});
    changed.notify_all();
}

void SampleWriter::State::drain()
{
    std::unique_lock held(mutex);
    changed.wait(held, [&] { return error || queuedBytes == 0; });
    if (error) {
        std::rethrow_exception(error);
    }
}

void SampleWriter::State::join(bool discard)
{
    if (!thread.joinable()) {
        return;
    }
    {
        const std::lock_guard held(mutex);
        stop = true;
        if (discard) {
            queue.clear();
        }
    }
    changed.notify_all();
    thread.join();
}

namespace {

constexpr std::size_t jobOverhead = 256; ///< bytes of a queued job beside its data

template <class Value> std::size_t jobBytes(const std::vector<Value>& data)
{
    return jobOverhead + data.size() * sizeof(Value);
}

} // namespace

void SampleWriter::begin(const SampleInfo& sample)
{
    if (sample.promptTokens < 1 || sample.totalTokens < sample.promptTokens) {
        throw RecordingError(fmt::format("sample {}: {} prompt tokens of {} in all, expected 1 or more prompt tokens",
            m_state->index, sample.promptTokens, sample.totalTokens));
    }
    m_state->promptTokens = sample.promptTokens;
    m_state->push(jobOverhead, [sample](SampleFile& file) { file.begin(sample); });
}

void SampleWriter::beginLayer(const LayerInfo& info)
{
    m_state->push(jobOverhead, [info](SampleFile& file) { file.beginLayer(info); });
}

void SampleWriter::write(
    int layer, TokenArray array, std::int64_t tokenBegin, std::int64_t tokens, std::vector<float> data)
{
    m_state->push(jobBytes(data),
        [=, values = std::move(data)](SampleFile& file) { file.write(layer, array, tokenBegin, tokens, values); });
}

void SampleWriter::writeVectors(
    int layer, VectorArray array, std::int64_t tokenBegin, std::int64_t tokens, std::vector<float> data)
{
    m_state->push(jobBytes(data), [=, values = std::move(data)](SampleFile& file) {
        file.writeVectors(layer, array, tokenBegin, tokens, values);
    });
}

void SampleWriter::writeTail(int layer, std::int64_t rows, std::vector<float> data)
{
    m_state->push(
        jobBytes(data), [=, values = std::move(data)](SampleFile& file) { file.writeTail(layer, rows, values); });
}

void SampleWriter::writeQueryStatistics(int layer, std::vector<float> mean, std::vector<float> covariance)
{
    m_state->push(jobBytes(mean) + jobBytes(covariance),
        [layer, first = std::move(mean), second = std::move(covariance)](
            SampleFile& file) { file.writeQueryStatistics(layer, first, second); });
}

void SampleWriter::writeOverview(int layer, Pooling pooling, std::vector<Half> data)
{
    m_state->push(jobBytes(data),
        [=, values = std::move(data)](SampleFile& file) { file.writeOverview(layer, pooling, values); });
}

void SampleWriter::writeDecodeRow(int layer, std::int64_t generatedIndex, std::vector<Half> data)
{
    m_state->push(jobBytes(data),
        [=, values = std::move(data)](SampleFile& file) { file.writeDecodeRow(layer, generatedIndex, values); });
}

void SampleWriter::State::writeTile(std::int64_t edge, std::span<const Half> tile, ChunkCodec& codec,
    std::function<void(SampleFile&, std::span<const std::byte>)> write)
{
    assert(tile.size() == static_cast<std::size_t>(tileSize * tileSize));
    if (codec.compression() != options.compression) {
        throw RecordingError(fmt::format("sample {}: a tile was encoded for another compression", index));
    }
    std::vector<std::byte> encoded;
    if (edge >= tileSize) {
        encoded = codec.encode(std::as_bytes(tile), sizeof(Half));
    } else {
        // A chunk of HDF5 cannot be larger than a map of fixed size.
        const auto side = static_cast<std::size_t>(edge);
        std::vector<Half> clipped(side * side);
        for (std::size_t row = 0; row < side; ++row) {
            const auto line = tile.subspan(row * static_cast<std::size_t>(tileSize), side);
            std::ranges::copy(line, clipped.begin() + static_cast<std::ptrdiff_t>(row * side));
        }
        encoded = codec.encode(std::as_bytes(std::span(clipped)), sizeof(Half));
    }
    const std::size_t bytes = jobBytes(encoded);
    push(bytes, [data = std::move(encoded), work = std::move(write)](SampleFile& target) { work(target, data); });
}

void SampleWriter::writeMapTile(
    int layer, int head, std::int64_t tileRow, std::int64_t tileColumn, std::span<const Half> tile, ChunkCodec& codec)
{
    m_state->writeTile(m_state->promptTokens, tile, codec, [=](SampleFile& file, std::span<const std::byte> encoded) {
        file.writeMapTile(layer, head, tileRow, tileColumn, encoded);
    });
}

void SampleWriter::writePyramidTile(int layer, int head, int factor, Pooling pooling, std::int64_t tileRow,
    std::int64_t tileColumn, std::span<const Half> tile, ChunkCodec& codec)
{
    m_state->writeTile(layout::dividedUp(m_state->promptTokens, factor), tile, codec,
        [=](SampleFile& file, std::span<const std::byte> encoded) {
            file.writePyramidTile(layer, head, factor, pooling, tileRow, tileColumn, encoded);
        });
}

void SampleWriter::writeText(const SampleText& text)
{
    m_state->push(jobOverhead, [text](SampleFile& file) { file.writeText(text); });
}

void SampleWriter::writeLastLogits(std::vector<float> logits)
{
    m_state->push(jobBytes(logits), [values = std::move(logits)](SampleFile& file) { file.writeLastLogits(values); });
}

void SampleWriter::commit(const SampleInfo& sample)
{
    if (sample.promptTokens != m_state->promptTokens) {
        throw RecordingError(fmt::format("sample {}: committed with {} prompt tokens, begun with {}", m_state->index,
            sample.promptTokens, m_state->promptTokens));
    }
    m_state->push(jobOverhead, [sample](SampleFile& file) { file.close(sample); });
    m_state->drain();
    m_state->join(false);
    renameDurably(temporaryPartPath(m_state->folder, m_state->index), partPath(m_state->folder, m_state->index));
    m_state->committed = true;
    const std::lock_guard guard(m_state->progress->mutex);
    m_state->progress->complete.insert(m_state->index);
}

std::string recordingTimestamp()
{
    std::time_t seconds = std::time(nullptr);
    if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr && *epoch != '\0') {
        char* end = nullptr;
        const long long value = std::strtoll(epoch, &end, 10);
        if (*end == '\0') {
            seconds = static_cast<std::time_t>(value);
        }
    }
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 32> text{};
    const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
    return {text.data(), length};
}

std::string makeUuid()
{
    std::random_device source;
    std::array<unsigned, 4> words{};
    std::ranges::generate(words, [&source] { return static_cast<unsigned>(source()); });
    // Version 4, variant 1 of RFC 4122.
    words[1] = (words[1] & 0xFFFF0FFFU) | 0x00004000U;
    words[2] = (words[2] & 0x3FFFFFFFU) | 0x80000000U;
    return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:04x}{:08x}", words[0], words[1] >> 16, words[1] & 0xFFFFU,
        words[2] >> 16, words[2] & 0xFFFFU, words[3]);
}

} // namespace kvloupe
