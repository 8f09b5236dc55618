// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/human_eval.h"
#include "capture/tasks/isolated_run.h"
#include "capture/tasks/task_suite.h"

#include <gtest/gtest.h>

namespace kvloupe {
namespace {

class HumanEvalJudging : public ::testing::Test {
protected:
    void SetUp() override
    {
        try {
            IsolatedRun();
        } catch (const TaskError& error) {
            GTEST_SKIP() << error.what();
        }
        m_item.stops = {"\nclass", "\ndef", "\n#", "\nif", "\nprint"};
        m_item.facts.codePrefix
            = "from typing import List\n\n\ndef twice(x: int) -> int:\n    \"\"\" Twice x. \"\"\"\n";
        m_item.facts.testCode = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-3) == -6\n";
        m_item.facts.entryPoint = "twice";
    }
    Judgement judge(std::string_view output) const
    {
        return findTask("humaneval").judge(m_item, output, {.allowCodeExecution = true});
    }
    TaskItem m_item;
};

TEST_F(HumanEvalJudging, RunsTheTestOnTheCompletion)
{
    EXPECT_TRUE(judge("    return 2 * x\n").correct) << judge("    return 2 * x\n").reason;
    EXPECT_TRUE(judge("    return x + x\n\ndef other():\n    broken(").correct) << "cut at the stop";
    EXPECT_FALSE(judge("    return x * x\n").correct);
    EXPECT_EQ(judge("    return x * x\n").reason, "status 1: AssertionError");
    EXPECT_FALSE(judge("").correct);
    EXPECT_FALSE(judge("    return 2 *").correct);
}

TEST_F(HumanEvalJudging, TakesAWholeFunctionFromAFence)
{
    m_item.stops.clear();
    EXPECT_TRUE(judge(
        "Sure!\n```python\ndef twice(x: int) -> int:\n    y: List[int] = [x, x]\n    return sum(y)\n```\nIt adds.")
                    .correct);
}

TEST_F(HumanEvalJudging, DoesNotTakeAnEarlyEndForSuccess)
{
    for (const char* const trick : {"    import os\n    os._exit(0)\n", "    raise SystemExit(0)\n",
             "    import sys\n    print('passed')\n    sys.exit()\n"})
        EXPECT_FALSE(judge(trick).correct) << trick;
}

} // namespace
} // namespace kvloupe
