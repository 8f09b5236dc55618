// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording.h"
#include "core/recording/recording_layout.h"

namespace kvloupe {
namespace {

constexpr std::int64_t largestUnmappedLevel = 512; ///< edge of the largest pyramid level stored without maps

} // namespace

std::string_view tokenArrayName(TokenArray array)
{
    switch (array) {
    case TokenArray::RowLogSumExp:
        return "row_logsumexp";
    case TokenArray::ColumnSum:
        return "column_sum";
    case TokenArray::RowEntropy:
        return "row_entropy";
    case TokenArray::RowSinkMass:
        return "row_sink_mass";
    case TokenArray::RowMax:
        return "row_max";
    case TokenArray::KeyNorm:
        return "key_norm";
    case TokenArray::ValueNorm:
        return "value_norm";
    case TokenArray::OutputValueNorm1:
        return "output_value_norm1";
    case TokenArray::RowGini:
        return "row_gini";
    case TokenArray::RowTopMass:
        return "row_top_mass";
    }
    return {};
}

std::string_view vectorArrayName(VectorArray array)
{
    switch (array) {
    case VectorArray::Queries:
        return "queries";
    case VectorArray::Keys:
        return "keys";
    case VectorArray::Values:
        return "values";
    }
    return {};
}

std::string_view poolingName(Pooling pooling)
{
    return pooling == Pooling::Max ? "max" : "mean";
}

std::int64_t overviewFactor(std::int64_t promptTokens)
{
    std::int64_t factor = 1;
    while (layout::dividedUp(promptTokens, factor) > overviewSize) {
        factor *= 2;
    }
    return factor;
}

std::int64_t overviewEdge(std::int64_t promptTokens)
{
    return layout::dividedUp(promptTokens, overviewFactor(promptTokens));
}

std::vector<int> pyramidFactors(std::int64_t promptTokens, RecordKind kind)
{
    std::vector<int> factors;
    for (int factor = 4;; factor *= 4) {
        const std::int64_t edge = layout::dividedUp(promptTokens, factor);
        const bool quick = kind == RecordKind::QueriesKeys && factor == 4; // to pool from queries and keys
        if (kind == RecordKind::Full || (edge <= largestUnmappedLevel && !quick)) {
            factors.push_back(factor);
        }
        if (edge <= tileSize) {
            return factors;
        }
    }
}

} // namespace kvloupe
