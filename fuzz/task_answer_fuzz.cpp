// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/answer_text.h"
#include "capture/tasks/expression_language.h"
#include "capture/tasks/task_suite.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    // What a model may write: every task judges it, and a score is always a share.
    const std::string_view output(reinterpret_cast<const char*>(data), size);
    static const auto items = [] {
        std::vector<TaskItem> all;
        TaskOptions options;
        options.samples = 2;
        options.contextWords = 50;
        for (const auto& task : findSuite("fundamental").tasks)
            for (options.level = 1; options.level <= task->levels(); ++options.level)
                for (TaskItem& item : task->items(options))
                    all.push_back(std::move(item));
        return all;
    }();
    for (const TaskItem& item : items) {
        const double score = findTask(item.task).judge(item, output).score;
        if (!(score >= 0.0 && score <= 1.0))
            std::abort();
    }
    strictNumber(output);
    codeBlock(output);
    normalisedAnswer(output);
    return 0;
}
