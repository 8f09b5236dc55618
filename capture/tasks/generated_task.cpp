// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/generated_task.h"

#include "capture/tasks/item_draws.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

std::vector<TaskItem> GeneratedTask::makeItems(const TaskOptions& options) const
{
    const IndexPermutation order(poolSize(options.level), options.seed, fmt::format("{}:{}", name(), options.level));
    const std::vector<std::string> shared = material(options);
    std::vector<TaskItem> items;
    items.reserve(static_cast<std::size_t>(options.samples));
    for (std::uint64_t index = 0; index < static_cast<std::uint64_t>(options.samples); ++index) {
        TaskItem item = makeItem(options, {index, order[index % order.size()], shared});
        item.id = fmt::format("{}:{}:{}", name(), options.seed, index);
        item.task = category();
        item.seed = options.seed;
        item.shots = static_cast<int>(std::ranges::count(item.spans, SpanKind::Shot, &Span::kind));
        item.level = options.level;
        items.push_back(std::move(item));
    }
    return items;
}

std::string thinkingTrace(const std::vector<std::string>& lines, std::string_view answer)
{
    std::string trace = " <think>\n";
    for (const std::string& line : lines)
        trace += line + "\n";
    trace += "</think>\n";
    trace += answer;
    return trace;
}

TaskItem fewShotItem(std::string_view instruction, const std::vector<Exchange>& shots, const Exchange& asked)
{
    PromptBuilder prompt;
    prompt.instruction(instruction);
    for (const Exchange& shot : shots)
        prompt.shot("Question: " + shot.question, "Answer: " + shot.answer);
    prompt.question("Question: " + asked.question + "\nAnswer:");
    TaskItem item;
    item.text = prompt.takeText();
    item.spans = prompt.takeSpans();
    item.answer = " " + asked.answer;
    item.references = {asked.answer};
    item.shortTrace = " " + asked.shortTrace;
    item.thinkingTrace = thinkingTrace(asked.thinking, asked.shortTrace);
    return item;
}

std::string alternatives(const std::vector<std::string>& names)
{
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i > 0)
            text += i + 1 == names.size() ? " or " : ", ";
        text += names[i];
    }
    return text;
}

} // namespace kvloupe
