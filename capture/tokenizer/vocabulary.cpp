// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/vocabulary.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/tokenizer/tokenizer_error.h"

#include <fmt/format.h>

namespace kvloupe {

Vocabulary::Vocabulary(std::vector<std::string> entries, const std::string& where)
    : m_entries(std::move(entries))
{
    m_ids.reserve(m_entries.size());
    for (std::size_t id = 0; id < m_entries.size(); ++id)
        if (!m_entries[id].empty() && !m_ids.emplace(m_entries[id], static_cast<std::int32_t>(id)).second)
            throw TokenizerError(
                fmt::format("{}: the token {} occurs twice in the vocabulary", where, inQuotes(m_entries[id])));
}

std::int32_t Vocabulary::find(std::string_view entry) const
{
    const auto found = m_ids.find(entry);
    return found == m_ids.end() ? -1 : found->second;
}

} // namespace kvloupe
