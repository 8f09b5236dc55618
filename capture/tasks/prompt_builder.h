// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/span.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvloupe {

/// Writes a prompt and knows which bytes are what while it writes. Few-shot prompts come out as the `auto` rule of
/// core/prompt/span_rules.h reads them: "Question: ...\nAnswer: ...", blank lines between examples.
class PromptBuilder {
public:
    void plain(std::string_view text) { m_text += text; }
    /// Appends text that is one span.
    void add(SpanKind kind, std::string_view text, int shot = -1, std::string_view label = {});
    /// The same for a span of several appends: open() gives the place, close() makes the span.
    std::size_t open(SpanKind kind, int shot = -1, std::string_view label = {});
    void close(std::size_t place);

    /// The instruction and a blank line; nothing if it is empty.
    void instruction(std::string_view text);
    /// A worked example and a blank line. `question` and `answer` are complete lines: "Question: ...", "Answer: ...".
    void shot(std::string_view question, std::string_view answer, std::string_view between = "\n");
    /// Takes the prompt's end: "Question: ...\nAnswer:".
    void question(std::string_view text) { add(SpanKind::Question, text); }

    int shots() const { return m_shots; }
    const std::string& text() const { return m_text; }
    std::string takeText() { return std::move(m_text); }
    std::vector<Span> takeSpans() { return std::move(m_spans); }

private:
    std::string m_text;
    std::vector<Span> m_spans;
    int m_shots = 0;
};

} // namespace kvloupe
