// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Why a response ended.
enum class ResponseEnd {
    EndOfSequence,
    Stop, ///< a stop text
    Length, ///< the limit of new tokens
    Context, ///< no room left in the model's context
};
std::string_view responseEndName(ResponseEnd end); ///< "eos", "stop", "length", "context"

/// The text of a response as it is generated, token by token.
///
/// Stop texts may begin in one token and end in another. The text leaves out the token that ends the sequence, and the
/// stop text with whatever its last token holds behind it.
class Response {
public:
    explicit Response(std::span<const std::string> stops)
        : m_stops(stops)
    {
    }

    /// Takes the bytes of the next token. Whether the response goes on.
    bool add(std::string_view bytes);
    bool stopped() const { return m_stopped; }
    const std::string& text() const { return m_text; }

private:
    std::span<const std::string> m_stops;
    std::string m_text;
    bool m_stopped = false;
};

} // namespace kvloupe
