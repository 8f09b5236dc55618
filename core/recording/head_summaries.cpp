// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/attention_recorder_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

void AttentionRecorder::State::summarise(int layer, int head, const HeadSummary& summary)
{
    const std::int64_t base = head * promptTokens;
    const auto rows = [&](TokenArray array, std::span<const float> values) {
        if (std::ssize(values) != promptTokens) {
            throw RecordingError(fmt::format("layer {} head {}: {} of {} tokens, expected {}", layer, head,
                tokenArrayName(array), values.size(), promptTokens));
        }
        return values;
    };
    for (const auto& [array, values] :
        {std::pair{TokenArray::RowLogSumExp, summary.logSumExp}, std::pair{TokenArray::RowEntropy, summary.entropy},
            std::pair{TokenArray::RowSinkMass, summary.sinkMass}, std::pair{TokenArray::RowMax, summary.maximum}}) {
        std::ranges::copy(rows(array, values), rowArrays.at(array).begin() + base);
    }
    std::ranges::copy(rows(TokenArray::ColumnSum, summary.columnSums), givenColumnSums.begin() + base);
    Scratch& local = scratch.local();
    for (const HeadSummary::Level& level : summary.levels) {
        const auto cells = index((promptTokens + level.factor - 1) / level.factor);
        if (level.maximum.size() != cells * cells || level.mean.size() != cells * cells) {
            throw RecordingError(fmt::format("layer {} head {}: level {} has {} and {} cells, expected {}", layer, head,
                level.factor, level.maximum.size(), level.mean.size(), cells * cells));
        }
        if (level.factor == overview) {
            std::ranges::copy(level.maximum, overviewMaximum.begin() + head * edge * edge);
            std::ranges::copy(level.mean, overviewMean.begin() + head * edge * edge);
        }
        if (std::ranges::find(factors, level.factor) != factors.end()) {
            pyramidLevel(layer, head, level, local);
        }
    }
    isSummarised[index(head)] = 1;
}

void AttentionRecorder::State::pyramidLevel(int layer, int head, const HeadSummary::Level& level, Scratch& local)
{
    const std::int64_t levelEdge = (promptTokens + level.factor - 1) / level.factor;
    for (std::int64_t row = 0; row < levelEdge; row += tileSize) {
        PyramidBand band;
        band.rows = std::min(tileSize, levelEdge - row);
        band.columns = std::min(levelEdge, row + tileSize);
        for (std::int64_t r = row; r < row + band.rows; ++r) {
            const auto maxima = level.maximum.subspan(index(r * levelEdge), index(band.columns));
            const auto means = level.mean.subspan(index(r * levelEdge), index(band.columns));
            band.maximum.insert(band.maximum.end(), maxima.begin(), maxima.end());
            band.mean.insert(band.mean.end(), means.begin(), means.end());
        }
        writeBand(layer, head, static_cast<int>(level.factor), row / tileSize, band, local);
    }
}

} // namespace kvloupe
