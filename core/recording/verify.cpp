// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/verify.h"

#include "core/attention/attention_rows.h"
#include "core/recording/recording_layout.h"
#include "core/recording/vector_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>

namespace kvloupe {

namespace {

constexpr double halfRelative = 0x1p-11; ///< rounding of a normal half
constexpr double halfAbsolute = 0x1p-25; ///< rounding of a subnormal half
constexpr double rowTolerance = 1e-3; ///< of sums over a whole row of float32
constexpr double cellTolerance = 5e-5; ///< of one probability computed in another order of operations
constexpr std::size_t mostProblems = 1000;

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

bool near(double found, double expected, double tolerance)
{
    return std::abs(found - expected) <= tolerance * std::max(1.0, std::abs(expected));
}

/// `count` rows of [0, rows), the first and the last among them.
std::vector<std::int64_t> sampledRows(std::int64_t rows, std::int64_t count)
{
    std::set<std::int64_t> chosen;
    for (std::int64_t i = 0; i < count; ++i) {
        chosen.insert(count == 1 ? rows - 1 : i * (rows - 1) / (count - 1));
    }
    return {chosen.begin(), chosen.end()};
}

/// Checks one layer of one sample. Arrays are read once per layer, vectors once per head.
class LayerVerifier {
public:
    LayerVerifier(const Recording& recording, int sample, int layer, const VerifyOptions& options, VerifyReport& report)
        : m_recording(recording)
        , m_report(report)
        , m_sample(sample)
        , m_layer(layer)
        , m_info(recording.layer(sample, layer))
        , m_prompt(recording.sample(sample).promptTokens)
        , m_total(recording.sample(sample).totalTokens)
        , m_rows(sampledRows(m_prompt, options.rowsPerHead))
        , m_shape{static_cast<float>(recording.sample(sample).softmaxScale), m_info.window}
    {
    }

    void verify()
    {
        for (int head = 0; head < m_recording.model().numHeads; ++head) {
            guarded([&] { verifyRows(head); });
            guarded([&] { verifyPyramid(head); });
        }
        guarded([&] { verifyColumnSums(); });
        guarded([&] { verifyNorms(VectorArray::Keys, TokenArray::KeyNorm, m_info.hasQueriesKeys); });
        guarded([&] { verifyNorms(VectorArray::Values, TokenArray::ValueNorm, m_info.hasValues); });
        for (const Pooling pooling : {Pooling::Max, Pooling::Mean}) {
            guarded([&] { m_recording.readOverview(m_sample, m_layer, pooling); });
        }
    }

private:
    /// A part that cannot be read is a problem, and no reason to leave out the others.
    template <class Check> void guarded(Check check)
    {
        try {
            check();
        } catch (const Error& error) {
            add(error.what());
        }
    }

    void add(std::string problem)
    {
        if (m_report.problems.size() < mostProblems
            && std::ranges::find(m_report.problems, problem) == m_report.problems.end()) {
            m_report.problems.push_back(std::move(problem));
        }
    }

    std::string where(int head) const
    {
        return fmt::format("{}: sample {} layer {} head {}", m_recording.path().string(), m_sample, m_layer, head);
    }

    const std::vector<float>* array(TokenArray name)
    {
        auto& entry = m_arrays[name];
        if (!entry) {
            entry = m_recording.has(m_sample, m_layer, name) ? m_recording.read(m_sample, m_layer, name)
                                                             : std::vector<float>();
        }
        return entry->empty() ? nullptr : &*entry;
    }

    /// Keys of the prompt of a query head, kept while the heads share them.
    const PackedKeys& keysOf(int head)
    {
        const int kvHead = head / m_recording.model().groupSize();
        if (kvHead != m_keysHead) {
            const int dim = m_recording.model().headDim;
            std::vector<float> keys(index(m_prompt * dim));
            m_recording.readVectors(m_sample, m_layer, VectorArray::Keys, kvHead, 0, m_prompt, keys);
            m_keys = std::make_unique<PackedKeys>(keys, dim);
            m_keysHead = kvHead;
        }
        return *m_keys;
    }

    std::vector<float> recomputedRow(int head, std::int64_t query, float logSumExp)
    {
        const int dim = m_recording.model().headDim;
        std::vector<float> queryVector(index(dim));
        m_recording.readVectors(m_sample, m_layer, VectorArray::Queries, head, query, query + 1, queryVector);
        const std::int64_t columns = layout::dividedUp(query + 1, PackedKeys::panelKeys) * PackedKeys::panelKeys;
        std::vector<float> row(index(columns));
        attention_rows::tile(queryVector, keysOf(head), query, 1, 0, columns, m_shape, std::span(&logSumExp, 1), row);
        row.resize(index(m_prompt), 0.0F);
        return row;
    }

    std::vector<float> mapRow(int head, std::int64_t query)
    {
        std::vector<float> row(index(m_prompt), 0.0F);
        std::vector<Half> tile(index(tileSize * tileSize));
        for (std::int64_t column = 0; column < m_prompt; column += tileSize) {
            m_recording.readMapTile(m_sample, m_layer, head, query / tileSize, column / tileSize, tile);
            const auto count = index(std::min(tileSize, m_prompt - column));
            halvesToFloats(std::span(tile).subspan(index(query % tileSize * tileSize), count),
                std::span(row).subspan(index(column), count));
        }
        return row;
    }

    void verifyRows(int head)
    {
        const bool hasMap = std::ranges::binary_search(m_info.mapHeads, head);
        const auto* logSumExps = array(TokenArray::RowLogSumExp);
        const bool recompute = m_info.hasQueriesKeys && logSumExps != nullptr;
        for (const std::int64_t query : m_rows) {
            std::optional<std::vector<float>> exact;
            if (recompute) {
                exact = recomputedRow(head, query, (*logSumExps)[index(head * m_total + query)]);
                verifyExactRow(head, query, *exact);
            }
            if (hasMap) {
                verifyMapRow(head, query, mapRow(head, query), exact ? &*exact : nullptr);
            }
            if (recompute || hasMap) {
                ++m_report.rowsChecked;
                m_report.cellsChecked += query + 1;
            }
        }
    }

    void verifyExactRow(int head, std::int64_t query, const std::vector<float>& row)
    {
        const double sum = std::accumulate(row.begin(), row.end(), 0.0);
        if (!near(sum, 1.0, rowTolerance)) {
            add(fmt::format("{} row {}: recomputed from queries, keys and row_logsumexp it sums to {:.6f}, expected 1",
                where(head), query, sum));
            return;
        }
        double entropy = 0.0;
        for (const float p : row) {
            entropy -= p > 0.0F ? static_cast<double>(p) * std::log(static_cast<double>(p)) : 0.0;
        }
        const double sink
            = std::accumulate(row.begin(), row.begin() + std::min<std::int64_t>(sinkTokens, std::ssize(row)), 0.0);
        const double largest = static_cast<double>(*std::ranges::max_element(row));
        compare(TokenArray::RowMax, head, query, largest, cellTolerance);
        compare(TokenArray::RowSinkMass, head, query, sink, rowTolerance);
        compare(TokenArray::RowEntropy, head, query, entropy, rowTolerance);
    }

    void compare(TokenArray name, int head, std::int64_t query, double expected, double tolerance)
    {
        if (const auto* values = array(name)) {
            const double found = static_cast<double>((*values)[index(head * m_total + query)]);
            if (!near(found, expected, tolerance)) {
                add(fmt::format("{} row {}: {} is {:.6f}, its queries and keys give {:.6f}", where(head), query,
                    tokenArrayName(name), found, expected));
            }
        }
    }

    void verifyMapRow(int head, std::int64_t query, const std::vector<float>& row, const std::vector<float>* exact)
    {
        const std::int64_t first = m_info.window > 0 ? std::max<std::int64_t>(0, query - m_info.window + 1) : 0;
        for (std::int64_t key = 0; key < m_prompt; ++key) {
            const double found = static_cast<double>(row[index(key)]);
            if ((key < first || key > query) && found != 0.0) {
                add(fmt::format("{} map cell ({}, {}) is {:.6f}, expected 0 outside the causal window", where(head),
                    query, key, found));
                return;
            }
            if (exact != nullptr) {
                const double expected = static_cast<double>((*exact)[index(key)]);
                if (std::isnan(found)
                    || std::abs(found - expected) > halfRelative * expected + halfAbsolute + cellTolerance) {
                    add(fmt::format("{} map cell ({}, {}) is {:.6f}, its query and key give {:.6f}", where(head), query,
                        key, found, expected));
                    return;
                }
            }
        }
        const double sum = std::accumulate(row.begin(), row.end(), 0.0);
        const double bound = halfRelative + halfAbsolute * static_cast<double>(query + 1) + 1e-5;
        if (std::isnan(sum) || std::abs(sum - 1.0) > bound) {
            add(fmt::format("{} map row {} sums to {:.6f}, expected 1 within {:.6f}", where(head), query, sum, bound));
        }
    }

    void verifyColumnSums()
    {
        const auto* sums = array(TokenArray::ColumnSum);
        if (sums == nullptr) {
            return;
        }
        for (int head = 0; head < m_recording.model().numHeads; ++head) {
            const auto begin = sums->begin() + head * m_total;
            const double sum = std::accumulate(begin, begin + m_prompt, 0.0);
            if (!near(sum, static_cast<double>(m_prompt), rowTolerance)) {
                add(fmt::format(
                    "{}: column_sum adds up to {:.4f}, expected {} as there are queries", where(head), sum, m_prompt));
            }
        }
    }

    void verifyNorms(VectorArray vectors, TokenArray norms, bool recorded)
    {
        const auto* stored = recorded ? array(norms) : nullptr;
        if (stored == nullptr) {
            return;
        }
        const int dim = m_recording.model().headDim;
        std::vector<float> vector(index(dim));
        for (int head = 0; head < m_recording.model().numKvHeads; ++head) {
            for (const std::int64_t token : m_rows) {
                m_recording.readVectors(m_sample, m_layer, vectors, head, token, token + 1, vector);
                const double expected = static_cast<double>(euclideanNorms(vector, dim).front());
                const double found = static_cast<double>((*stored)[index(head * m_total + token)]);
                if (!near(found, expected, 1e-4)) {
                    add(fmt::format("{}: sample {} layer {} kv head {} token {}: {} is {:.6f}, its {} give {:.6f}",
                        m_recording.path().string(), m_sample, m_layer, head, token, tokenArrayName(norms), found,
                        vectorArrayName(vectors), expected));
                }
            }
        }
    }

    /// The first tile of every level against the tiles below it; other tiles are covered by their checksums.
    void verifyPyramid(int head)
    {
        int below = std::ranges::binary_search(m_info.mapHeads, head) ? 1 : 0;
        std::vector<Half> tile(index(tileSize * tileSize));
        for (const int factor : m_info.pyramidFactors) {
            const auto readBelow = [&](std::int64_t row, std::int64_t column) {
                if (below == 1) {
                    m_recording.readMapTile(m_sample, m_layer, head, row, column, tile);
                } else {
                    m_recording.readPyramidTile(m_sample, m_layer, head, below, Pooling::Max, row, column, tile);
                }
            };
            if (below > 0) {
                verifyLevel(head, below, factor, readBelow, tile);
            }
            below = factor;
        }
    }

    template <class Read>
    void verifyLevel(int head, int below, int factor, const Read& readBelow, const std::vector<Half>& tile)
    {
        const std::int64_t ratio = factor / below;
        const std::int64_t tilesBelow = layout::dividedUp(layout::dividedUp(m_prompt, below), tileSize);
        std::vector<Half> expected(index(tileSize * tileSize), 0);
        for (std::int64_t row = 0; row < std::min(ratio, tilesBelow); ++row) {
            for (std::int64_t column = 0; column <= row; ++column) {
                readBelow(row, column);
                for (std::int64_t cell = 0; cell < tileSize * tileSize; ++cell) {
                    const std::int64_t r = (row * tileSize + cell / tileSize) / ratio;
                    const std::int64_t c = (column * tileSize + cell % tileSize) / ratio;
                    // Positive halves are ordered as their bits are.
                    Half& largest = expected[index(r * tileSize + c)];
                    largest = std::max(largest, tile[index(cell)]);
                }
            }
        }
        std::vector<Half> found(expected.size());
        m_recording.readPyramidTile(m_sample, m_layer, head, factor, Pooling::Max, 0, 0, found);
        const auto [at, unequal] = std::ranges::mismatch(found, expected);
        if (at != found.end()) {
            const auto cell = at - found.begin();
            add(fmt::format("{} pyramid {} cell ({}, {}) is {:.6f}, the cells below have {:.6f}", where(head), factor,
                cell / tileSize, cell % tileSize, halfToFloat(*at), halfToFloat(*unequal)));
        }
        m_report.cellsChecked += std::ssize(found);
    }

    const Recording& m_recording;
    VerifyReport& m_report;
    int m_sample;
    int m_layer;
    const LayerInfo& m_info;
    std::int64_t m_prompt;
    std::int64_t m_total;
    std::vector<std::int64_t> m_rows;
    AttentionShape m_shape;
    std::map<TokenArray, std::optional<std::vector<float>>> m_arrays;
    std::unique_ptr<PackedKeys> m_keys;
    int m_keysHead = -1;
};

} // namespace

VerifyReport verifyRecording(
    const Recording& recording, const VerifyOptions& options, const std::function<bool(double)>& progress)
{
    VerifyReport report;
    const int samples = recording.sampleCount();
    // Checksums read the whole file, the rest a part of it: most of the time goes to them.
    const double checksumShare = options.checksums ? 0.8 : 0.0;
    bool running = true;
    const auto advance = [&](int sample, double fraction) {
        running = running && (!progress || progress((sample + fraction) / samples));
        return running;
    };
    const auto problem = [&report](const std::string& text) {
        if (report.problems.size() < mostProblems) {
            report.problems.push_back(text);
        }
    };
    for (int sample = 0; sample < samples && running; ++sample) {
        try {
            if (options.checksums) {
                recording.verifyChunks(
                    sample, problem, [&](double fraction) { return advance(sample, checksumShare * fraction); });
            }
            try {
                recording.readText(sample);
            } catch (const Error& error) {
                problem(error.what());
            }
            const std::vector<int> layers = recording.layers(sample);
            for (std::size_t i = 0; i < layers.size() && running; ++i) {
                try {
                    LayerVerifier(recording, sample, layers[i], options, report).verify();
                } catch (const Error& error) {
                    problem(error.what());
                }
                const double fraction = static_cast<double>(i + 1) / static_cast<double>(layers.size());
                advance(sample, checksumShare + (1.0 - checksumShare) * fraction);
            }
        } catch (const Error& error) {
            problem(error.what());
        }
        ++report.samples;
    }
    report.complete = running;
    return report;
}

} // namespace kvloupe
