// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/recorder/item_prompt.h"

#include "capture/tasks/task.h"

namespace kvloupe {

PromptInput promptOfItem(const TaskItem& item, bool chat)
{
    PromptInput input;
    input.id = item.id;
    input.pairId = item.id;
    input.task = item.task;
    input.seed = static_cast<std::int64_t>(item.seed);
    input.spans = item.spans;
    if (chat) {
        if (!item.system.empty())
            input.messages.push_back({"system", item.system});
        input.messages.push_back({"user", item.text});
    } else {
        input.text = item.text;
    }
    return input;
}

} // namespace kvloupe
