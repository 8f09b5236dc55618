// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/attention/attention_rows.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Keys (after RoPE) and values of every layer and KV head, with the position of each entry in the text.
///
/// Every KV head of every layer is a list of its own, so that heads may hold different tokens. Positions are stored,
/// never derived from the length. Memory per entry: 3 x head_dim floats (keys once as rows, once packed for
/// AttentionRows) and 8 bytes.
class KvCache {
public:
    /// An empty cache; room for `capacityHint` tokens is set aside.
    KvCache(int layers, int kvHeads, int headDim, std::int64_t capacityHint);

    int layers() const { return static_cast<int>(m_heads.size()) / m_kvHeads; }
    int kvHeads() const { return m_kvHeads; }
    int headDim() const { return m_headDim; }

    /// Entries of one KV head, in tokens.
    std::int64_t size(int layer, int kvHead) const;
    /// Entries of the longest KV head.
    std::int64_t size() const;
    /// Position in the text of the next token to come.
    std::int64_t nextPosition() const { return m_nextPosition; }

    std::span<const float> keys(int layer, int kvHead) const; ///< [size, head_dim]
    std::span<const float> values(int layer, int kvHead) const; ///< [size, head_dim]
    std::span<const std::int64_t> positions(int layer, int kvHead) const; ///< [size], ascending
    const PackedKeys& packedKeys(int layer, int kvHead) const;

    /// Adds entries to one KV head: keys and values [n, head_dim], positions [n].
    void append(int layer, int kvHead, std::span<const float> keys, std::span<const float> values,
        std::span<const std::int64_t> positions);
    void setNextPosition(std::int64_t position) { m_nextPosition = position; }
    /// Forgets all entries at or after `position`.
    void truncate(std::int64_t position);

    /// Logits after the newest token, [vocab]; empty as long as the cache is. They give the nll of the token that
    /// follows.
    std::span<const float> lastLogits() const { return m_lastLogits; }
    void setLastLogits(std::span<const float> logits);

private:
    struct Head {
        explicit Head(int headDim)
            : packed(headDim)
        {
        }

        std::vector<float> keys;
        std::vector<float> values;
        std::vector<std::int64_t> positions;
        PackedKeys packed;
    };

    const Head& head(int layer, int kvHead) const;

    int m_kvHeads;
    int m_headDim;
    std::int64_t m_nextPosition = 0;
    std::vector<Head> m_heads; // [layers, kv_heads]
    std::vector<float> m_lastLogits;
};

} // namespace kvloupe
