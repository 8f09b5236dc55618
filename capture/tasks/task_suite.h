// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/task.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Tasks that are evaluated together.
struct TaskSuite {
    std::string name;
    std::string title;
    std::vector<std::shared_ptr<const Task>> tasks;
};

/// `fundamental` (wk, csr, ar, cg, sa, lg, niah, qa: generated) and `published` (gsm8k, mmlu, commonsense_qa,
/// humaneval, jailbreakv, longgenbench, hotpotqa: read from files that the user names).
std::span<const TaskSuite> taskSuites();

/// Throw TaskError with the nearest names for an unknown one.
const TaskSuite& findSuite(std::string_view name);
/// By name, of one suite.
const Task& findTask(const TaskSuite& suite, std::string_view name);
/// By name, of any suite.
const Task& findTask(std::string_view name);

} // namespace kvloupe
