// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/evaluation/response.h"

#include <algorithm>

namespace kvloupe {

std::string_view responseEndName(ResponseEnd end)
{
    switch (end) {
    case ResponseEnd::EndOfSequence:
        return "eos";
    case ResponseEnd::Stop:
        return "stop";
    case ResponseEnd::Length:
        return "length";
    case ResponseEnd::Context:
        break;
    }
    return "context";
}

bool Response::add(std::string_view bytes)
{
    const std::size_t known = m_text.size();
    m_text += bytes;
    std::size_t earliest = std::string::npos;
    for (const std::string& stop : m_stops) {
        if (stop.empty())
            continue;
        // Only a stop that ends in the new bytes can be new.
        const std::size_t from = known < stop.size() ? 0 : known - stop.size() + 1;
        earliest = std::min(earliest, m_text.find(stop, from));
    }
    if (earliest != std::string::npos) {
        m_text.resize(earliest);
        m_stopped = true;
    }
    return !m_stopped;
}

} // namespace kvloupe
