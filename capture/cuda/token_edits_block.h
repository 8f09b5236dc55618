// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/element_conversion.h"

#include <cmath>
#include <cstdint>

namespace kvloupe::cuda {

/// What happens to tokens of a list between two queries.
struct TokenEdit {
    static constexpr int pageTokens = 16;

    enum Kind : int {
        Put, ///< a key and a value, [2, head_dim] numbers, come to `slot`
        Move, ///< the token of slot `operand` comes to `slot`
        Turn, ///< the tokens of a page that begins at `slot`, those in `chosen`, stand `operand` positions further on
    };
    Kind kind;
    int slot;
    int operand;
    std::uint32_t chosen; ///< bits
    int groupEnd; ///< edits up to here do not depend on each other; the next ones come after them
    int numbers; ///< begin in TokenEdits::numbers
};

/// The edits of one list, in order.
template <typename Element> struct TokenEdits {
    Element* keys; ///< [slots, head_dim]
    Element* values; ///< [slots, head_dim]
    /// Where tokens close ranks, and else null: keys as they came, [slots, head_dim], and by how many positions each is
    /// turned since, [slots]. A key that is turned again and again would be rounded to 16 bits every time.
    Element* cameAs;
    int* shifts;
    const float* frequencies; ///< of RoPE, radians per position, [head_dim / 2]
    const TokenEdit* edits;
    const float* numbers;
    int count;
};

/// One block per list, one warp per edit. Grid: x = lists.
template <typename Warp, typename Element> class TokenEditor {
public:
    KVLOUPE_DEVICE TokenEditor(Warp& warp, const TokenEdits<Element>& list, int headDim)
        : m_warp(warp)
        , m_list(list)
        , m_headDim(headDim)
    {
    }

    KVLOUPE_DEVICE void run()
    {
        for (int begin = 0; begin < m_list.count;) {
            const int end = m_list.edits[begin].groupEnd;
            for (int i = begin + m_warp.index(); i < end; i += m_warp.count()) {
                const TokenEdit edit = m_list.edits[i];
                if (edit.kind == TokenEdit::Put)
                    put(edit);
                else if (edit.kind == TokenEdit::Move)
                    move(edit);
                else
                    turn(edit);
            }
            m_warp.barrier();
            begin = end;
        }
    }

private:
    KVLOUPE_DEVICE Element* vector(Element* vectors, int slot) const
    {
        return vectors + static_cast<std::int64_t>(slot) * m_headDim;
    }

    KVLOUPE_DEVICE void put(const TokenEdit& edit)
    {
        const float* key = m_list.numbers + edit.numbers;
        const float* value = key + m_headDim;
        m_warp.lanes([&](int lane) {
            for (int channel = lane; channel < m_headDim; channel += warpLanes) {
                const Element rounded = narrow<Warp, Element>(key[channel]);
                vector(m_list.keys, edit.slot)[channel] = rounded;
                vector(m_list.values, edit.slot)[channel] = narrow<Warp, Element>(value[channel]);
                if (m_list.cameAs != nullptr)
                    vector(m_list.cameAs, edit.slot)[channel] = rounded;
            }
            if (m_list.shifts != nullptr && lane == 0)
                m_list.shifts[edit.slot] = 0;
        });
    }

    KVLOUPE_DEVICE void move(const TokenEdit& edit)
    {
        m_warp.lanes([&](int lane) {
            for (int channel = lane; channel < m_headDim; channel += warpLanes) {
                for (Element* vectors : {m_list.keys, m_list.values, m_list.cameAs})
                    if (vectors != nullptr)
                        vector(vectors, edit.slot)[channel] = vector(vectors, edit.operand)[channel];
            }
            if (m_list.shifts != nullptr && lane == 0)
                m_list.shifts[edit.slot] = m_list.shifts[edit.operand];
        });
    }

    KVLOUPE_DEVICE void turn(const TokenEdit& edit)
    {
        const int half = m_headDim / 2;
        for (int token = 0; token < TokenEdit::pageTokens; ++token) {
            if ((edit.chosen >> token & 1U) == 0)
                continue;
            const int slot = edit.slot + token;
            const int shift = m_list.shifts[slot] + edit.operand;
            m_warp.sync();
            const Element* from = vector(m_list.cameAs, slot);
            Element* key = vector(m_list.keys, slot);
            m_warp.lanes([&](int lane) {
                for (int channel = lane; channel < half; channel += warpLanes) {
                    const float angle = m_list.frequencies[channel] * static_cast<float>(shift);
                    const float cosine = cosf(angle);
                    const float sine = sinf(angle);
                    const float a = widen(from[channel]);
                    const float b = widen(from[channel + half]);
                    key[channel] = narrow<Warp, Element>(a * cosine - b * sine);
                    key[channel + half] = narrow<Warp, Element>(b * cosine + a * sine);
                }
                if (lane == 0)
                    m_list.shifts[slot] = shift;
            });
        }
    }

    Warp& m_warp;
    const TokenEdits<Element>& m_list;
    int m_headDim;
};

template <typename Warp, typename Element>
KVLOUPE_DEVICE void editTokens(Warp& warp, const TokenEdits<Element>* lists, int headDim)
{
    const TokenEdits<Element> list = lists[warp.block(0)];
    TokenEditor<Warp, Element>(warp, list, headDim).run();
}

} // namespace kvloupe::cuda
