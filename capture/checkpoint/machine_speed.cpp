// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/machine_speed.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <thread>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "capture/checkpoint/machine_speed.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvloupe::machine_speed::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// `rounds` multiply-adds of ten vectors that do not wait for each other, as two units of four cycles need eight of
/// them. Returns the operations; `sink` keeps the compiler from leaving them out.
double multiplyAdds(std::size_t rounds, float& sink)
{
    const hn::ScalableTag<float> d;
    const auto factor = hn::Set(d, 1.0F - sink);
    const auto term = hn::Set(d, sink);
    auto a = hn::Set(d, 1.0F);
    auto b = a, c = a, e = a, f = a, g = a, h = a, i = a, j = a, k = a;
    for (std::size_t round = 0; round < rounds; ++round) {
        a = hn::MulAdd(a, factor, term);
        b = hn::MulAdd(b, factor, term);
        c = hn::MulAdd(c, factor, term);
        e = hn::MulAdd(e, factor, term);
        f = hn::MulAdd(f, factor, term);
        g = hn::MulAdd(g, factor, term);
        h = hn::MulAdd(h, factor, term);
        i = hn::MulAdd(i, factor, term);
        j = hn::MulAdd(j, factor, term);
        k = hn::MulAdd(k, factor, term);
    }
    const auto sum
        = hn::Add(hn::Add(hn::Add(a, b), hn::Add(c, e)), hn::Add(hn::Add(hn::Add(f, g), hn::Add(h, i)), hn::Add(j, k)));
    sink = 0.0F * hn::GetLane(hn::SumOfLanes(d, sum));
    return 20.0 * static_cast<double>(rounds * hn::Lanes(d));
}

} // namespace kvloupe::machine_speed::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kvloupe {
namespace machine_speed {
HWY_EXPORT(multiplyAdds);
}

double peakFlops()
{
    using Clock = std::chrono::steady_clock;
    // The middle one of many stretches: at first the clock speeds up and a neighbour on the same core may not run yet.
    const auto measure = [](double& rate) {
        constexpr std::size_t rounds = 4096; // some ten microseconds
        constexpr std::chrono::milliseconds enough{4};
        float sink = 0.0F;
        std::vector<double> stretches;
        for (const auto begin = Clock::now(); Clock::now() - begin < enough;) {
            const auto from = Clock::now();
            const double operations = HWY_DYNAMIC_DISPATCH(machine_speed::multiplyAdds)(rounds, sink);
            stretches.push_back(operations / std::chrono::duration<double>(Clock::now() - from).count());
        }
        std::ranges::nth_element(stretches, stretches.begin() + std::ssize(stretches) / 2);
        rate = stretches[stretches.size() / 2];
    };
    std::vector<double> rates(std::max(1U, std::thread::hardware_concurrency()), 0.0);
    {
        std::vector<std::jthread> workers;
        for (double& rate : rates)
            workers.emplace_back([&measure, &rate] { measure(rate); });
    }
    return std::accumulate(rates.begin(), rates.end(), 0.0);
}

} // namespace kvloupe
#endif
