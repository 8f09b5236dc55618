// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/kept_share.h"
#include "core/metrics/layer_measures.h"
#include "core/metrics/oracle.h"
#include "core/metrics/position_set.h"
#include "core/metrics/retained_mass.h"

#include <algorithm>

namespace kvloupe {

namespace {

std::string granularityText(const KeepSet& keep)
{
    return std::string(granularityName(keep.granularity));
}

std::vector<PositionSet> positionSets(const KeepSet& keep, std::int64_t tokens)
{
    std::vector<PositionSet> result;
    for (const auto& set : keep.sets)
        result.emplace_back(set, tokens);
    return result;
}

void writeShares(const AnalysedSample& sample, const AnalysisCase& one, int layer, int set)
{
    const KeepSet& keep = one.result.kept.at(layer);
    const auto& kept = keep.sets[static_cast<std::size_t>(set)];
    const TokenRange cache = sample.cacheOf(layer);
    const std::vector<MeasureCell> keys{std::int64_t{layer}, granularityText(keep), std::int64_t{set}};
    const auto write = [&](Metric metric, std::initializer_list<MeasureCell> cells) {
        std::vector<MeasureCell> all = keys;
        all.insert(all.end(), cells);
        sample.write(metric, std::move(all), &one);
    };

    if (sample.wants(Metric::KeptSpans)) {
        const auto shares = keptByRegion(kept, cache, sample.regions);
        for (std::size_t region = 0; region < shares.size(); ++region) {
            const TokenRegion& named = sample.regions.regions()[region];
            if (shares[region].tokens > 0)
                write(Metric::KeptSpans,
                    {named.name, named.shot < 0 ? MeasureCell() : MeasureCell(std::int64_t{named.shot}),
                        shares[region].fraction(), shares[region].kept, shares[region].tokens});
        }
    }
    if (sample.wants(Metric::BrokenShots)) {
        const ShotCounts shots = shotCounts(kept, cache, sample.layout.shots());
        if (shots.all() > 0)
            write(Metric::BrokenShots,
                {static_cast<double>(shots.broken) / static_cast<double>(shots.all()), shots.all(), shots.whole,
                    shots.broken, shots.dropped});
    }
    if (sample.wants(Metric::PositionBias)) {
        const auto shares = keptByPosition(kept, cache);
        for (std::size_t part = 0; part < shares.size(); ++part)
            write(Metric::PositionBias,
                {static_cast<std::int64_t>(part), shares[part].fraction(), shares[part].kept, shares[part].tokens});
    }
}

void writeEviction(
    const AnalysedSample& sample, const AnalysisCase& one, MeasureCell layer, std::int64_t kept, std::int64_t tokens)
{
    sample.write(Metric::GlobalEviction,
        {std::move(layer), static_cast<double>(tokens - kept) / static_cast<double>(tokens), tokens - kept, tokens},
        &one);
}

PositionSet united(std::span<const PositionSet> sets, std::int64_t tokens)
{
    PositionSet result(tokens);
    for (const PositionSet& set : sets)
        result.unite(set);
    return result;
}

/// Overlaps of two methods: set by set where their caches are cut alike, else per query head.
void writeMethodOverlap(const AnalysedSample& sample, int layer, const AnalysisCase& one, const AnalysisCase& other)
{
    const KeepSet& a = one.result.kept.at(layer);
    const KeepSet& b = other.result.kept.at(layer);
    const auto setsA = positionSets(a, sample.promptTokens());
    const auto setsB = positionSets(b, sample.promptTokens());
    const bool alike = setsA.size() == setsB.size();
    const auto queryHeads = static_cast<std::size_t>(sample.recording.model().numHeads);
    const auto granularity = alike ? granularityText(a) : std::string(granularityName(Granularity::QueryHead));
    for (const int number : alike ? sample.setsOf(a) : sample.heads) {
        const auto head = static_cast<std::size_t>(number);
        const PositionSet& setA = setsA[alike ? head : head / (queryHeads / setsA.size())];
        const PositionSet& setB = setsB[alike ? head : head / (queryHeads / setsB.size())];
        sample.write(Metric::MethodOverlap,
            {other.scored->method().spec, std::int64_t{layer}, granularity, std::int64_t{number}, jaccard(setA, setB)},
            &one);
    }
}

void writeHeadOverlap(const AnalysedSample& sample, int layer, const AnalysisCase& one)
{
    const KeepSet& keep = one.result.kept.at(layer);
    const auto sets = positionSets(keep, sample.promptTokens());
    const auto shown = sample.setsOf(keep);
    for (std::size_t a = 0; a < shown.size(); ++a)
        for (std::size_t b = a + 1; b < shown.size(); ++b)
            sample.write(Metric::HeadOverlap,
                {std::int64_t{layer}, granularityText(keep), std::int64_t{shown[a]}, std::int64_t{shown[b]},
                    jaccard(sets[static_cast<std::size_t>(shown[a])], sets[static_cast<std::size_t>(shown[b])])},
                &one);
}

void writeOracle(
    const AnalysedSample& sample, int layer, const AnalysisCase& one, std::span<const float> future, TokenRange cache)
{
    const KeepSet& keep = one.result.kept.at(layer);
    const auto mass = futureMassOfSets(future, sample.recording.model().numHeads, cache.size(), keep);
    const KeepSet oracle = oracleKeepSet(mass, cache.begin, keep);
    for (const int number : sample.setsOf(keep)) {
        const auto set = static_cast<std::size_t>(number);
        sample.write(Metric::OracleOverlap,
            {std::int64_t{layer}, granularityText(keep), std::int64_t{number},
                jaccard(PositionSet(keep.sets[set], sample.promptTokens()),
                    PositionSet(oracle.sets[set], sample.promptTokens())),
                retainedMass(mass[set], cache.begin, keep.sets[set]),
                retainedMass(mass[set], cache.begin, oracle.sets[set]), std::ssize(keep.sets[set])},
            &one);
    }
}

/// The prompt's part of what generated queries attend to, [queryHeads, cache].
std::vector<float> futureOfCache(const AnalysedSample& sample, const GeneratedAttention& generated, TokenRange cache)
{
    const std::int64_t total = sample.layout.totalTokens();
    std::vector<float> result;
    for (std::int64_t head = 0; head < sample.recording.model().numHeads; ++head) {
        const auto row = generated.received.begin() + head * total;
        result.insert(result.end(), row + cache.begin, row + cache.end);
    }
    return result;
}

} // namespace

void writeKeptMeasures(const AnalysedSample& sample, int layer, const GeneratedAttention* generated)
{
    const TokenRange cache = sample.cacheOf(layer);
    std::vector<float> future;
    if (sample.wants(Metric::OracleOverlap))
        future = futureOfCache(sample, *generated, cache);
    for (const AnalysisCase& one : sample.cases) {
        const KeepSet& keep = one.result.kept.at(layer);
        for (const int set : sample.setsOf(keep))
            writeShares(sample, one, layer, set);
        if (sample.wants(Metric::GlobalEviction))
            writeEviction(sample, one, std::int64_t{layer},
                united(positionSets(keep, sample.promptTokens()), sample.promptTokens()).count(), cache.size());
        if (sample.wants(Metric::HeadOverlap))
            writeHeadOverlap(sample, layer, one);
        if (sample.wants(Metric::OracleOverlap))
            writeOracle(sample, layer, one, future, cache);
        if (sample.wants(Metric::MethodOverlap))
            for (const AnalysisCase* other = &one + 1; other != sample.cases.data() + sample.cases.size(); ++other)
                if (other->budget == one.budget)
                    writeMethodOverlap(sample, layer, one, *other);
    }
}

void writeModelMeasures(const AnalysedSample& sample)
{
    const std::int64_t prompt = sample.promptTokens();
    const auto reported = [&](int layer) {
        const auto& layers = sample.options.layers;
        return layers.empty() || std::ranges::binary_search(layers, layer);
    };
    for (const AnalysisCase& one : sample.cases) {
        if (sample.wants(Metric::GlobalEviction)) {
            PositionSet anywhere(prompt);
            for (const auto& [layer, keep] : one.result.kept)
                anywhere.unite(united(positionSets(keep, prompt), prompt));
            writeEviction(sample, one, {}, anywhere.count(), prompt);
        }
        if (!sample.wants(Metric::LayerOverlap))
            continue;
        std::vector<std::pair<int, std::vector<PositionSet>>> layers;
        for (const auto& [layer, keep] : one.result.kept)
            if (reported(layer))
                layers.emplace_back(layer, positionSets(keep, prompt));
        for (std::size_t a = 0; a < layers.size(); ++a)
            for (std::size_t b = a + 1; b < layers.size(); ++b) {
                const KeepSet& keep = one.result.kept.at(layers[a].first);
                for (const int set : sample.setsOf(keep))
                    sample.write(Metric::LayerOverlap,
                        {std::int64_t{layers[a].first}, std::int64_t{layers[b].first}, granularityText(keep),
                            std::int64_t{set},
                            jaccard(layers[a].second[static_cast<std::size_t>(set)],
                                layers[b].second[static_cast<std::size_t>(set)])},
                        &one);
            }
    }
}

} // namespace kvloupe
