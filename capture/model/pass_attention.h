// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/model/task_runner.h"
#include "core/attention/attention_rows.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// One layer of a forward pass at the moment of its attention: queries, keys and values of all rows, and where the
/// context goes. n = rows of the pass.
struct LayerRows {
    int layer = 0;
    std::int64_t rows = 0;
    std::span<const std::int64_t> positions; ///< [n] of the rows in their texts, what RoPE turned them by
    std::span<const float> queries; ///< [heads, n, head_dim], after RoPE
    std::span<const float> queriesBeforeRope; ///< [heads, n, head_dim]; empty unless they were asked for
    std::span<const float> keys; ///< [kv_heads, n, head_dim], after RoPE
    std::span<const float> values; ///< [kv_heads, n, head_dim]
    std::span<float> context; ///< [n, heads * head_dim]
};

/// Threads of a pass and memory for each of them.
class PassWorkspace {
public:
    PassWorkspace(TaskRunner& taskRunner, WorkMeter& workMeter, std::int64_t scratchFloats);

    TaskRunner& runner() { return m_runner; }
    /// The memory of one thread, as many floats as the pass was opened with.
    std::span<float> scratch(int slot) { return m_scratch[static_cast<std::size_t>(slot)].span(); }
    /// `work`: multiply-adds that are done. Throws Cancelled.
    void advance(double work) { m_meter.advance(work); }

private:
    TaskRunner& m_runner;
    WorkMeter& m_meter;
    std::vector<AlignedFloats> m_scratch; // one per thread
};

/// How the rows of a forward pass look at tokens: causally at each other (CausalAttention), or each at a cache of its
/// own. Everything else that a layer does to a row does not depend on other rows.
class PassAttention {
public:
    virtual ~PassAttention() = default;

    /// Scratch floats that attend() uses per thread in a pass of `rows` rows.
    virtual std::int64_t scratchFloats(std::int64_t /*rows*/) const { return 0; }
    /// Multiply-adds of attend() of all layers together, for progress.
    virtual double work(std::int64_t /*rows*/) const { return 0.0; }
    virtual bool wantsQueriesBeforeRope(int /*layer*/) const { return false; }

    /// Fills rows.context. Called for one layer after the other, by one thread.
    virtual void attend(const LayerRows& rows, PassWorkspace& workspace) = 0;
    /// After attend(): the rows that go on, ascending; the others leave the pass. Empty = all go on.
    virtual std::vector<std::int64_t> survivors(int /*layer*/) { return {}; }
};

} // namespace kvloupe
