// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/long_generation.h"
#include "capture/tasks/safety.h"
#include "capture/tasks/task_suite.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace kvloupe {
namespace {

TaskItem itemWith(std::vector<std::string> references)
{
    TaskItem item;
    item.references = std::move(references);
    item.stops = {"\n\n", "\nQuestion:"};
    return item;
}

TEST(ArithmeticJudging, TakesTheAnswersNumberInManyForms)
{
    const Task& task = findTask("ar");
    const TaskItem item = itemWith({"1234"});
    for (const char* const right : {" 1000 + 234 = 1234. The answer is 1,234.", "The answer is 1234",
             "So it is 1,234.00!", "$1234", "The answer is 1234. Because 5 + 5 = 10.", "1234 apples"})
        EXPECT_TRUE(task.judge(item, right).correct) << right;
    for (const char* const wrong : {"The answer is 1233.", "-1234", "1234 + 1 = 1235", "none", "",
             "The answer is 12.34", "The answer is 5. Earlier it was 1234"})
        EXPECT_FALSE(task.judge(item, wrong).correct) << wrong;
    EXPECT_EQ(task.judge(item, "It is 1234", {.extraction = NumberExtraction::Strict}).reason, "no number");
    EXPECT_EQ(task.judge(item, "The answer is 7.").reason, "another number, expected 1234");
}

TEST(WorldKnowledgeJudging, WantsTheAnswerAsAWord)
{
    const Task& task = findTask("wk");
    const TaskItem paris = itemWith({"Paris"});
    for (const char* const right :
        {" Paris", "paris.", "The capital of France is Paris.", "PARIS, France", "Paris\nLyon"})
        EXPECT_TRUE(task.judge(paris, right).correct) << right;
    for (const char* const wrong : {"Lyon", "Parisian", "Lyon\nParis", ""})
        EXPECT_FALSE(task.judge(paris, wrong).correct) << wrong;
    const TaskItem tungsten = itemWith({"W"});
    EXPECT_TRUE(task.judge(tungsten, " W").correct);
    EXPECT_FALSE(task.judge(tungsten, " w").correct);
    EXPECT_FALSE(task.judge(tungsten, " We").correct);
}

TEST(ChoiceJudging, TakesTheChoiceThatIsNamedFirst)
{
    const Task& task = findTask("csr");
    TaskItem item = itemWith({"a pen"});
    item.facts.choices = {"a pen", "a rock", "an oven"};
    EXPECT_TRUE(task.judge(item, " a pen").correct);
    EXPECT_TRUE(task.judge(item, " You need a pen, not a rock").correct);
    EXPECT_FALSE(task.judge(item, " a rock, or a pen").correct);
    EXPECT_EQ(task.judge(item, " a spoon").reason, "names no choice");
    item.references = {"B", "a rock"};
    EXPECT_TRUE(task.judge(item, " B").correct);
    EXPECT_TRUE(task.judge(item, " B. a rock").correct);
    EXPECT_TRUE(task.judge(item, " a rock").correct);
    EXPECT_FALSE(task.judge(item, " A").correct);
}

TEST(NeedleJudging, TakesTheFirstLongNumber)
{
    const Task& task = findTask("niah");
    const TaskItem item = itemWith({"4821"});
    for (const char* const right : {" 4821", "The code is 4821.", "4,821", "number 7: 4821", "4821 and 9999"})
        EXPECT_TRUE(task.judge(item, right).correct) << right;
    for (const char* const wrong : {" 4822", "9999 or 4821", "48210", "482", "", "4 8 2 1"})
        EXPECT_FALSE(task.judge(item, wrong).correct) << wrong;
}

TEST(RefusalJudging, ComparesWithWhatWasToBeDone)
{
    EXPECT_EQ(judgeRefusal("I'm sorry, I can't.", true).score, 1.0);
    EXPECT_EQ(judgeRefusal("I'm sorry, I can't.", false).score, 0.0);
    EXPECT_EQ(judgeRefusal("Sure, here is it.", false).score, 1.0);
    EXPECT_EQ(judgeRefusal("Sure, here is it.", true).score, 0.0);
    EXPECT_EQ(judgeRefusal(" \n", false).score, 0.0);
}

TEST(LongGenerationJudging, DividesByAllQuestions)
{
    const std::vector<std::string> golds{"7", "12", "-3", "1200"};
    const auto score = [&](std::string_view text) { return judgeNumberedAnswers(text, golds, 1).score; };
    EXPECT_EQ(score("Answer_1: 3 + 4 = 7. The answer is 7.\nAnswer_2: The answer is 12.\nAnswer_3: The answer is -3.\n"
                    "Answer_4: The answer is 1,200."),
        1.0);
    EXPECT_EQ(score("Answer_1:\nThe answer is 7.\n\nAnswer_2:\nThe answer is 13."), 0.25);
    EXPECT_EQ(score("Answer_2: 12"), 0.25) << "by number, not by order";
    EXPECT_EQ(score("Answer_1: 8\nAnswer_1: 7"), 0.0) << "the first counts";
    EXPECT_EQ(score("Answer_1: The answer is 7. There were 9 before."), 0.25);
    EXPECT_EQ(score("Answer_x: 7 Answer_: Answer_99999999999999999999: 7"), 0.0);
    EXPECT_EQ(score(""), 0.0);
    EXPECT_EQ(judgeNumberedAnswers("Answer_9: 7", std::vector<std::string>{"7"}, 9).score, 1.0);
    EXPECT_EQ(judgeNumberedAnswers("Answer_1: 5 Answer_3: 6", golds, 1).extracted, "5 - 6 -");
    EXPECT_FALSE(judgeNumberedAnswers("Answer_1: 7", golds, 1).correct);
    const std::vector<std::string> names{"Paris", "Addis Ababa"};
    EXPECT_EQ(judgeNumberedAnswers("Answer_1: It is Paris.\nAnswer_2: addis ababa", names, 1).score, 1.0);
    EXPECT_EQ(judgeNumberedAnswers("Answer_1: Addis Ababa\nAnswer_2: Paris", names, 1).score, 0.0);
}

TEST(MultiFactJudging, ComparesWithTheOtherFacts)
{
    const Task& task = findTask("qa");
    TaskItem item = itemWith({"Oslo"});
    item.facts.choices = {"Oslo", "Rome", "Lima"};
    EXPECT_TRUE(task.judge(item, " Anna lives in Oslo.").correct);
    EXPECT_FALSE(task.judge(item, " Rome, not Oslo").correct);
    EXPECT_EQ(task.judge(item, " Berlin").reason, "none of the facts");
}

} // namespace
} // namespace kvloupe
