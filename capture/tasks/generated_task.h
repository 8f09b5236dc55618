// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/prompt_builder.h"
#include "capture/tasks/task.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A question as a few-shot example shows it and as it is asked: "Question: <question>\nAnswer: <answer>".
struct Exchange {
    std::string question;
    std::string answer;
    std::string shortTrace; ///< without the leading blank
    std::vector<std::string> thinking; ///< lines
};

/// A task of the suite `fundamental`: items come out of bundled tables and a hash.
class GeneratedTask : public Task {
public:
    using Task::Task;

    /// How many different questions there are at a level; item number i repeats the question of item i - poolSize with
    /// other examples.
    virtual std::uint64_t poolSize(int level) const = 0;

protected:
    /// What all items share and is read once: sentences of a folder of essays.
    virtual std::vector<std::string> material(const TaskOptions& /*options*/) const { return {}; }
    struct Place {
        std::uint64_t index = 0; ///< number of the item in the run
        std::uint64_t question = 0; ///< in [0, poolSize); differs between all items of one round
        std::span<const std::string> material;
    };
    virtual TaskItem makeItem(const TaskOptions& options, const Place& place) const = 0;

private:
    std::vector<TaskItem> makeItems(const TaskOptions& options) const final;
};

/// " <think>\n" lines "</think>\n" answer.
std::string thinkingTrace(const std::vector<std::string>& lines, std::string_view answer);

/// Instruction, shots and the question; fills text, spans, answer, references and traces.
TaskItem fewShotItem(std::string_view instruction, const std::vector<Exchange>& shots, const Exchange& asked);

/// "a", "a or b", "a, b or c".
std::string alternatives(const std::vector<std::string>& names);

} // namespace kvloupe
