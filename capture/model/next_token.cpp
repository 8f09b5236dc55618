// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/next_token.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "capture/model/next_token.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvloupe::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Largest of the logits; NaN if any of them is no finite number.
float maximumIfFinite(const float* logits, std::size_t size)
{
    const hn::ScalableTag<float> d;
    auto largest = hn::Set(d, -std::numeric_limits<float>::infinity());
    auto zeros = hn::Zero(d); // x - x, NaN for what is not finite
    std::size_t i = 0;
    for (; i + hn::Lanes(d) <= size; i += hn::Lanes(d)) {
        const auto x = hn::LoadU(d, logits + i);
        largest = hn::Max(largest, x);
        zeros = hn::Add(zeros, hn::Sub(x, x));
    }
    float maximum = hn::GetLane(hn::MaxOfLanes(d, largest));
    float zero = hn::GetLane(hn::SumOfLanes(d, zeros));
    for (; i < size; ++i) {
        maximum = std::max(maximum, logits[i]);
        zero += logits[i] - logits[i];
    }
    return maximum + zero;
}

/// Sum of exp(logit - maximum). Runs of 2,048 are summed in float32 lanes, the runs in float64.
double sumOfExponentials(const float* logits, std::size_t size, float maximum)
{
    const hn::ScalableTag<float> d;
    const auto offset = hn::Set(d, maximum);
    double total = 0;
    std::size_t i = 0;
    while (i + hn::Lanes(d) <= size) {
        const std::size_t runEnd = std::min(size, i + 2048);
        auto sums = hn::Zero(d);
        for (; i + hn::Lanes(d) <= runEnd; i += hn::Lanes(d))
            sums = hn::Add(sums, hn::Exp(d, hn::Sub(hn::LoadU(d, logits + i), offset)));
        total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sums)));
    }
    for (; i < size; ++i)
        total += std::exp(static_cast<double>(logits[i] - maximum));
    return total;
}

/// First index at or after `begin` whose logit is above `threshold`; `size` if there is none.
std::size_t findAbove(const float* logits, std::size_t begin, std::size_t size, float threshold)
{
    const hn::ScalableTag<float> d;
    const auto thresholds = hn::Set(d, threshold);
    std::size_t i = begin;
    for (; i + hn::Lanes(d) <= size; i += hn::Lanes(d)) {
        const auto found = hn::FindFirstTrue(d, hn::Gt(hn::LoadU(d, logits + i), thresholds));
        if (found >= 0)
            return i + static_cast<std::size_t>(found);
    }
    for (; i < size; ++i) {
        if (logits[i] > threshold)
            return i;
    }
    return size;
}

} // namespace kvloupe::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kvloupe {

HWY_EXPORT(maximumIfFinite);
HWY_EXPORT(sumOfExponentials);
HWY_EXPORT(findAbove);

void NextToken::add(std::span<const float> logits, std::int32_t firstId)
{
    if (logits.empty())
        return;
    const float maximum = HWY_DYNAMIC_DISPATCH(maximumIfFinite)(logits.data(), logits.size());
    if (!std::isfinite(maximum)) {
        m_finite = false;
        return;
    }
    addExponentials(maximum, HWY_DYNAMIC_DISPATCH(sumOfExponentials)(logits.data(), logits.size(), maximum));
    // Equality is let through, because a piece with smaller ids may come after one with larger ids.
    const auto belowFifth = [this] { return std::nextafter(m_logits.back(), lowest); };
    if (maximum < m_logits.back())
        return;
    const auto find = HWY_DYNAMIC_DISPATCH(findAbove);
    for (std::size_t i = find(logits.data(), 0, logits.size(), belowFifth()); i < logits.size();
         i = find(logits.data(), i + 1, logits.size(), belowFifth())) {
        offer(logits[i], firstId + static_cast<std::int32_t>(i));
    }
}

void NextToken::merge(const NextToken& other)
{
    m_finite = m_finite && other.m_finite;
    if (other.m_sum > 0)
        addExponentials(other.m_maximum, other.m_sum);
    for (std::size_t i = 0; i < other.m_ids.size(); ++i) {
        if (other.m_ids[i] >= 0)
            offer(other.m_logits[i], other.m_ids[i]);
    }
}

void NextToken::offer(float logit, std::int32_t id)
{
    const auto better
        = [&](std::size_t i) { return m_ids[i] < 0 || logit > m_logits[i] || (logit == m_logits[i] && id < m_ids[i]); };
    if (!better(m_ids.size() - 1))
        return;
    std::size_t place = m_ids.size() - 1;
    for (; place > 0 && better(place - 1); --place) {
        m_ids[place] = m_ids[place - 1];
        m_logits[place] = m_logits[place - 1];
    }
    m_ids[place] = id;
    m_logits[place] = logit;
}

void NextToken::addExponentials(float maximum, double sum)
{
    if (maximum > m_maximum) {
        m_sum = m_sum * std::exp(static_cast<double>(m_maximum) - static_cast<double>(maximum)) + sum;
        m_maximum = maximum;
    } else {
        m_sum += sum * std::exp(static_cast<double>(maximum) - static_cast<double>(m_maximum));
    }
}

double NextToken::logSumExp() const
{
    return static_cast<double>(m_maximum) + std::log(m_sum);
}

} // namespace kvloupe
#endif
