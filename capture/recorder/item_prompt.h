// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/recorder/prompt_input.h"

namespace kvloupe {

struct TaskItem;

/// The prompt of an item with its spans: the text itself, or with `chat` its system and user messages. The item's id is
/// the prompt's and its pair id, so that recordings of one item by several models belong together.
PromptInput promptOfItem(const TaskItem& item, bool chat);

} // namespace kvloupe
