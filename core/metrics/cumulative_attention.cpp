// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/cumulative_attention.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace kvloupe {

CumulativeAttention::CumulativeAttention(std::span<const float> received, std::int64_t excluded)
{
    received = received.subspan(static_cast<std::size_t>(std::clamp<std::int64_t>(excluded, 0, std::ssize(received))));
    std::vector<float> sorted(received.begin(), received.end());
    std::ranges::sort(sorted, std::greater<>());
    m_cumulative.reserve(sorted.size() + 1);
    double sum = 0.0;
    m_cumulative.push_back(sum);
    for (const float value : sorted)
        m_cumulative.push_back(sum += static_cast<double>(value));
    for (double& value : m_cumulative) // 0 / 0 is the NaN that stands for "no attention"
        value /= sum;
}

double CumulativeAttention::massOfTop(double share) const
{
    const double at = std::clamp(share, 0.0, 1.0) * static_cast<double>(tokens());
    const auto below = std::min(static_cast<std::int64_t>(at), tokens());
    const auto above = std::min(below + 1, tokens());
    const double low = m_cumulative[static_cast<std::size_t>(below)];
    return low + (at - static_cast<double>(below)) * (m_cumulative[static_cast<std::size_t>(above)] - low);
}

double CumulativeAttention::tokensHolding(double mass) const
{
    if (std::isnan(m_cumulative.back()))
        return std::numeric_limits<double>::quiet_NaN();
    const auto reached = std::ranges::lower_bound(m_cumulative, std::clamp(mass, 0.0, 1.0));
    if (reached == m_cumulative.begin())
        return 0.0;
    if (reached == m_cumulative.end()) // the last sum may be an ulp short of 1
        return 1.0;
    const double before = *std::prev(reached);
    const auto whole = static_cast<double>(std::distance(m_cumulative.begin(), reached) - 1);
    return (whole + (mass - before) / (*reached - before)) / static_cast<double>(tokens());
}

double CumulativeAttention::area() const
{
    double area = 0.0;
    for (std::size_t index = 1; index < m_cumulative.size(); ++index)
        area += 0.5 * (m_cumulative[index - 1] + m_cumulative[index]);
    return area / static_cast<double>(tokens());
}

} // namespace kvloupe
