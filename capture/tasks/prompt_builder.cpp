// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/prompt_builder.h"

namespace kvloupe {

void PromptBuilder::add(SpanKind kind, std::string_view text, int shot, std::string_view label)
{
    const std::size_t place = open(kind, shot, label);
    m_text += text;
    close(place);
}

std::size_t PromptBuilder::open(SpanKind kind, int shot, std::string_view label)
{
    const auto begin = static_cast<std::int64_t>(m_text.size());
    m_spans.push_back({begin, begin, kind, shot, std::string(label)});
    return m_spans.size() - 1;
}

void PromptBuilder::close(std::size_t place)
{
    m_spans[place].end = static_cast<std::int64_t>(m_text.size());
}

void PromptBuilder::instruction(std::string_view text)
{
    if (text.empty())
        return;
    add(SpanKind::Instruction, text);
    m_text += "\n\n";
}

void PromptBuilder::shot(std::string_view question, std::string_view answer, std::string_view between)
{
    const int number = m_shots++;
    const std::size_t whole = open(SpanKind::Shot, number);
    add(SpanKind::ShotQuestion, question, number);
    m_text += between;
    add(SpanKind::ShotAnswer, answer, number);
    close(whole);
    m_text += "\n\n";
}

} // namespace kvloupe
