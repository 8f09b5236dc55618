// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/quadratic_form.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/methods/quadratic_form.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/highway.h>

#ifndef KVLOUPE_QUADRATIC_FORM_ONCE
#define KVLOUPE_QUADRATIC_FORM_ONCE
namespace kvloupe::quadratic_form {

constexpr std::size_t blockTokens = 16; ///< that are worked on at a time
constexpr std::size_t tileRows = 4; ///< of the matrix

} // namespace kvloupe::quadratic_form
#endif

HWY_BEFORE_NAMESPACE();
namespace kvloupe::quadratic_form::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// sums[t] = k_t . linear + k_t^T upper k_t for the keys `channels` [size, blockTokens]. `size` is a multiple of
/// tileRows; `upper` [size / tileRows, size, tileRows] holds an upper triangle, or is null.
void formOfBlock(const double* channels, const double* linear, const double* upper, std::size_t size, double* sums)
{
    const hn::CappedTag<double, blockTokens / 2> d;
    using V = hn::Vec<decltype(d)>;
    constexpr std::size_t lanes = hn::MaxLanes(hn::CappedTag<double, blockTokens / 2>());
    for (std::size_t token = 0; token < blockTokens; token += 2 * lanes) {
        V first = hn::Zero(d);
        V second = hn::Zero(d);
        for (std::size_t row = 0; row < size; row += tileRows) {
            V inner[tileRows][2]; // stays in registers once the loops over it are unrolled
#pragma GCC unroll 4
            for (std::size_t r = 0; r < tileRows; ++r)
                inner[r][0] = inner[r][1] = hn::Set(d, linear[row + r]);
            for (std::size_t column = row; column < size && upper != nullptr; ++column) {
                const V left = hn::LoadU(d, channels + column * blockTokens + token);
                const V right = hn::LoadU(d, channels + column * blockTokens + token + lanes);
#pragma GCC unroll 4
                for (std::size_t r = 0; r < tileRows; ++r) {
                    const V factor = hn::Set(d, upper[row * size + column * tileRows + r]);
                    inner[r][0] = hn::MulAdd(factor, left, inner[r][0]);
                    inner[r][1] = hn::MulAdd(factor, right, inner[r][1]);
                }
            }
#pragma GCC unroll 4
            for (std::size_t r = 0; r < tileRows; ++r) {
                const double* const channel = channels + (row + r) * blockTokens + token;
                first = hn::MulAdd(hn::LoadU(d, channel), inner[r][0], first);
                second = hn::MulAdd(hn::LoadU(d, channel + lanes), inner[r][1], second);
            }
        }
        hn::StoreU(first, d, sums + token);
        hn::StoreU(second, d, sums + token + lanes);
    }
}

} // namespace kvloupe::quadratic_form::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvloupe::quadratic_form {

HWY_EXPORT(formOfBlock);

namespace {

/// k^T C k needs C[i][j] + C[j][i] only: the upper triangle of `matrix` [size, size] plus what lies below it, in tiles
/// as formOfBlock reads them, `padded` channels wide.
std::vector<double> upperTiles(std::span<const double> matrix, std::size_t size, std::size_t padded)
{
    std::vector<double> tiles(matrix.empty() ? 0 : padded * padded, 0.0);
    for (std::size_t i = 0; i < size && !tiles.empty(); ++i)
        for (std::size_t j = i; j < size; ++j)
            tiles[i / tileRows * tileRows * padded + j * tileRows + i % tileRows]
                = i == j ? matrix[i * size + i] : matrix[i * size + j] + matrix[j * size + i];
    return tiles;
}

} // namespace

} // namespace kvloupe::quadratic_form

namespace kvloupe {

void addQuadraticForm(std::span<const float> keys, std::span<const double> linear, std::span<const double> quadratic,
    std::span<double> out)
{
    using namespace quadratic_form;
    const std::size_t size = linear.size();
    const std::size_t padded = (size + tileRows - 1) / tileRows * tileRows;
    const std::vector<double> tiles = upperTiles(quadratic, size, padded);
    std::vector<double> paddedLinear(linear.begin(), linear.end());
    paddedLinear.resize(padded, 0.0);

    std::vector<double> channels(padded * blockTokens, 0.0);
    double sums[blockTokens];
    for (std::size_t first = 0; first < out.size(); first += blockTokens) {
        const std::size_t tokens = std::min(blockTokens, out.size() - first);
        for (std::size_t token = 0; token < tokens; ++token)
            for (std::size_t i = 0; i < size; ++i)
                channels[i * blockTokens + token] = static_cast<double>(keys[(first + token) * size + i]);
        HWY_DYNAMIC_DISPATCH(formOfBlock)
        (channels.data(), paddedLinear.data(), tiles.empty() ? nullptr : tiles.data(), padded, sums);
        for (std::size_t token = 0; token < tokens; ++token)
            out[first + token] += sums[token];
    }
}

} // namespace kvloupe

#endif
