// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer_definition.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/tokenizer/tokenizer_error.h"

#include <fmt/format.h>

namespace kvloupe {

VocabularyIndex::VocabularyIndex(const std::vector<std::string>& vocabulary, const std::string& where)
    : m_where(where)
{
    m_ids.reserve(vocabulary.size());
    for (std::size_t id = 0; id < vocabulary.size(); ++id)
        if (!vocabulary[id].empty() && !m_ids.emplace(vocabulary[id], static_cast<std::int32_t>(id)).second)
            throw TokenizerError(
                fmt::format("{}: the token {} occurs twice in the vocabulary", m_where, inQuotes(vocabulary[id])));
}

std::int32_t VocabularyIndex::find(std::string_view entry) const
{
    const auto found = m_ids.find(entry);
    return found == m_ids.end() ? -1 : found->second;
}

BytePairMerger::Merge VocabularyIndex::merge(std::string_view left, std::string_view right, std::size_t rank) const
{
    const BytePairMerger::Merge merge{find(left), find(right), find(std::string(left).append(right))};
    if (merge.left < 0 || merge.right < 0 || merge.result < 0)
        throw TokenizerError(fmt::format("{}: merge {}: {} + {} needs tokens that are not in the vocabulary", m_where,
            rank, inQuotes(left), inQuotes(right)));
    return merge;
}

} // namespace kvloupe
