// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/compared_tiles.h"

#include "core/replay/difference_tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace kvloupe {

/// Everything but `source`, `sample` and `other` belongs to the I/O thread of `source`.
struct ComparedMaps::State {
    struct Partner {
        explicit Partner(const std::filesystem::path& path)
            : recording(Recording::open(path))
            , tiles(recording)
        {
        }
        Recording recording;
        AttentionTiles tiles;
    };

    RecordingSource* source;
    SampleModelPtr sample;
    ComparedMap other;

    std::unique_ptr<Partner> partner;
    int partnerSample = -1; ///< -1 = not looked for yet
    MapAddress differenceOf;
    std::int64_t differenceTokens = 0;
    std::unique_ptr<DifferenceTiles> difference; ///< of A's map `differenceOf`

    AttentionTiles& tilesB(RecordingAccess& access) { return partner ? partner->tiles : access.tiles; }
    const Recording& recordingB(RecordingAccess& access) const
    {
        return partner ? partner->recording : access.recording;
    }

    /// Finds the sample of B that has the prompt of A.
    void prepare(RecordingAccess& access)
    {
        if (partnerSample >= 0)
            return;
        if (other.recording.empty()) {
            partnerSample = sample->sample;
            return;
        }
        if (!partner)
            partner = std::make_unique<Partner>(other.recording);
        const Recording& recording = partner->recording;
        const SampleInfo& wanted = access.recording.sample(sample->sample);
        // That of the same number last: if no prompt fits, it is the one whose difference is told.
        std::string mismatch = "it has no sample";
        for (int step = recording.sampleCount() - 1; step >= 0; --step) {
            const int first = std::min(sample->sample, recording.sampleCount() - 1);
            const int candidate = step == 0 ? first : step <= first ? step - 1 : step;
            const SampleInfo& info = recording.sample(candidate);
            if (step > 0 && (info.promptTokens != wanted.promptTokens || info.promptSha256 != wanted.promptSha256))
                continue;
            mismatch
                = promptMismatch(sample->text, wanted.promptTokens, recording.readText(candidate), info.promptTokens);
            if (mismatch.empty()) {
                partnerSample = candidate;
                return;
            }
        }
        throw Error(fmt::format(
            "{}: not the same prompt as in {}: {}", other.recording.string(), source->path().string(), mismatch));
    }

    MapAddress mapB(MapAddress a) const
    {
        if (other.head)
            return {partnerSample, other.head->first, other.head->second};
        return {partnerSample, a.layer, a.head};
    }

    void requireHead(RecordingAccess& access, const MapAddress& map) const
    {
        const Recording& recording = recordingB(access);
        const std::vector<int> layers = recording.layers(map.sample);
        if (!std::ranges::binary_search(layers, map.layer) || map.head < 0 || map.head >= recording.model().numHeads)
            throw Error(fmt::format(
                "{}: sample {} has no layer {} head {}", recording.path().string(), map.sample, map.layer, map.head));
    }

    DifferenceTiles& differenceFor(RecordingAccess& access, MapAddress a, std::int64_t tokens)
    {
        prepare(access);
        if (!difference || differenceOf != a || differenceTokens != tokens) {
            requireHead(access, mapB(a));
            difference = std::make_unique<DifferenceTiles>(access.tiles, a, tilesB(access), mapB(a), tokens);
            differenceOf = a;
            differenceTokens = tokens;
        }
        return *difference;
    }
};

namespace {

using State = ComparedMaps::State;

/// Runs a job of a comparison; a stale one, which may have stopped half-way, is not delivered.
class ComparedSource : public TileSource {
public:
    explicit ComparedSource(std::shared_ptr<State> state)
        : m_state(std::move(state))
    {
    }

    void requestOverview(QObject* context, Priority priority, int /*sample*/, int /*layer*/, Pooling /*pooling*/,
        Stale stale, Deliver<std::vector<Half>> deliver) override
    {
        submit<std::vector<Half>>(
            context, priority,
            [](State&, RecordingAccess&) -> std::vector<Half> { throw Error("a comparison has no overview"); },
            std::move(stale), std::move(deliver));
    }

protected:
    template <typename Value>
    void submit(QObject* context, Priority priority, std::function<Value(State&, RecordingAccess&)> read, Stale stale,
        Deliver<Value> deliver)
    {
        m_state->source->run<TileReply<Value>>(
            context, priority,
            [state = m_state, read = std::move(read)](RecordingAccess& access) {
                TileReply<Value> reply;
                try {
                    reply.value = read(*state, access);
                } catch (const std::exception& error) {
                    reply.error = QString::fromUtf8(error.what());
                }
                return reply;
            },
            [stale, deliver = std::move(deliver)](TileReply<Value> reply) {
                if (!stale || !stale())
                    deliver(std::move(reply));
            },
            stale);
    }

private:
    std::shared_ptr<State> m_state;
};

class OtherTiles final : public ComparedSource {
public:
    using ComparedSource::ComparedSource;

    void requestTile(QObject* context, Priority priority, const TileKey& key, Stale stale,
        Deliver<std::vector<Half>> deliver) override
    {
        submit<std::vector<Half>>(
            context, priority,
            [key](State& state, RecordingAccess& access) {
                const TileKey other = inB(state, access, key);
                return state.tilesB(access).read(other);
            },
            std::move(stale), std::move(deliver));
    }

    void requestCell(QObject* context, const CellAddress& address, Stale stale, Deliver<CellFacts> deliver) override
    {
        submit<CellFacts>(
            context, Priority::Immediate,
            [address](State& state, RecordingAccess& access) {
                const CellAddress other = inB(state, access, address);
                return cellFacts(state.recordingB(access), state.tilesB(access), other);
            },
            std::move(stale), std::move(deliver));
    }

private:
    /// The same place in the map that is compared with. Throws where B lacks it.
    template <typename Address> static Address inB(State& state, RecordingAccess& access, Address address)
    {
        state.prepare(access);
        const MapAddress map = state.mapB({address.sample, address.layer, address.head});
        state.requireHead(access, map);
        address.sample = map.sample;
        address.layer = map.layer;
        address.head = map.head;
        return address;
    }
};

class Differences final : public ComparedSource {
public:
    using ComparedSource::ComparedSource;

    void requestTile(QObject* context, Priority priority, const TileKey& key, Stale stale,
        Deliver<std::vector<Half>> deliver) override
    {
        submit<std::vector<Half>>(
            context, priority,
            [key, stale](State& state, RecordingAccess& access) {
                const SampleInfo& info = access.recording.sample(key.sample);
                const std::int64_t tokens = key.extent == MapExtent::Prompt ? info.promptTokens : info.totalTokens;
                return state.differenceFor(access, {key.sample, key.layer, key.head}, tokens)
                    .read(key.level, key.row, key.column, stale);
            },
            stale, std::move(deliver));
    }

    void requestCell(QObject* context, const CellAddress& address, Stale stale, Deliver<CellFacts> deliver) override
    {
        submit<CellFacts>(
            context, Priority::Immediate,
            [address](State& state, RecordingAccess& access) {
                return state.differenceFor(access, {address.sample, address.layer, address.head}, address.tokens)
                    .facts(address, access.recording.layer(address.sample, address.layer).window);
            },
            std::move(stale), std::move(deliver));
    }
};

} // namespace

ComparedMaps::ComparedMaps(RecordingSource* source, SampleModelPtr sample, ComparedMap other)
    : m_state(std::make_shared<State>())
{
    m_state->source = source;
    m_state->sample = std::move(sample);
    m_state->other = std::move(other);
}

const ComparedMap& ComparedMaps::other() const
{
    return m_state->other;
}

MapExtent ComparedMaps::extent() const
{
    return m_state->other.recording.empty() ? MapExtent::AllTokens : MapExtent::Prompt;
}

void ComparedMaps::check(QObject* context, std::function<void(QString)> deliver) const
{
    m_state->source->run<QString>(
        context, RecordingSource::Priority::Immediate,
        [state = m_state](RecordingAccess& access) {
            try {
                state->prepare(access);
            } catch (const std::exception& error) {
                return QString::fromUtf8(error.what());
            }
            return QString();
        },
        std::move(deliver));
}

std::shared_ptr<TileSource> ComparedMaps::otherTiles() const
{
    return std::make_shared<OtherTiles>(m_state);
}

std::shared_ptr<TileSource> ComparedMaps::differences() const
{
    return std::make_shared<Differences>(m_state);
}

} // namespace kvloupe
