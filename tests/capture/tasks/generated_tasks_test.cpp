// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/answer_text.h"
#include "capture/tasks/arithmetic.h"
#include "capture/tasks/expression_language.h"
#include "capture/tasks/filler_text.h"
#include "capture/tasks/generated_task.h"
#include "capture/tasks/task_suite.h"
#include "core/prompt/prompt_layout.h"
#include "core/prompt/span_rules.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace kvloupe {
namespace {

std::string_view bytesOf(const TaskItem& item, const Span& span)
{
    return std::string_view(item.text).substr(
        static_cast<std::size_t>(span.begin), static_cast<std::size_t>(span.end - span.begin));
}

std::vector<Span> spansOf(const TaskItem& item, SpanKind kind)
{
    std::vector<Span> result;
    std::ranges::copy_if(item.spans, std::back_inserter(result), [&](const Span& span) { return span.kind == kind; });
    return result;
}

/// What is asked, without instruction, examples and context.
std::string questionOf(const TaskItem& item)
{
    return std::string(bytesOf(item, spansOf(item, SpanKind::Question).back()));
}

std::string describe(const TaskItem& item)
{
    std::string text = item.id + "|" + item.text + "|" + item.answer + "|" + item.thinkingTrace + "|" + item.shortTrace;
    for (const Span& span : item.spans)
        text += fmt::format("|{}-{} {} {} {}", span.begin, span.end, spanKindName(span.kind), span.shot, span.label);
    for (const ExpressionCase& one : item.facts.cases)
        text += fmt::format("|{} {} {}", one.x, one.y, one.value);
    return text;
}

class GeneratedTasks : public ::testing::TestWithParam<std::string> {
protected:
    const Task& task() const { return findTask(findSuite("fundamental"), GetParam()); }
    std::vector<TaskItem> items(std::int64_t samples, int level, std::uint64_t seed = 11) const
    {
        TaskOptions options;
        options.samples = samples;
        options.level = level;
        options.seed = seed;
        return task().items(options);
    }
};

TEST_P(GeneratedTasks, GiveThreeHundredDifferentQuestionsAtEveryLevel)
{
    for (int level = 1; level <= task().levels(); ++level) {
        EXPECT_GE(dynamic_cast<const GeneratedTask&>(task()).poolSize(level), 300u) << level;
        std::set<std::string> questions;
        std::set<std::string> ids;
        for (const TaskItem& item : items(300, level)) {
            // In needle retrieval and multi-fact questions the same words ask for another text's fact.
            const bool asksOfContext = GetParam() == "niah" || GetParam() == "qa";
            questions.insert(asksOfContext ? item.text + item.answer : questionOf(item));
            ids.insert(item.id);
        }
        // Different expressions may have the same three values.
        EXPECT_GE(questions.size(), GetParam() == "cg" && level == 3 ? 280u : 300u) << GetParam() << " level " << level;
        EXPECT_EQ(ids.size(), 300u);
    }
}

TEST_P(GeneratedTasks, GiveTheSameItemWhateverTheNumberAsked)
{
    for (int level = 1; level <= task().levels(); ++level) {
        const auto many = items(40, level);
        const auto few = items(7, level);
        ASSERT_EQ(few.size(), 7u);
        for (std::size_t i = 0; i < few.size(); ++i)
            EXPECT_EQ(describe(few[i]), describe(many[i]));
        EXPECT_NE(describe(items(1, level, 12).front()), describe(many.front())) << "another seed, another item";
    }
}

TEST_P(GeneratedTasks, HaveSpansThatCoverWhatTheySay)
{
    for (int level = 1; level <= task().levels(); ++level)
        for (const TaskItem& item : items(60, level)) {
            ASSERT_FALSE(item.spans.empty());
            for (const Span& span : item.spans) {
                ASSERT_GE(span.begin, 0);
                ASSERT_LT(span.begin, span.end);
                ASSERT_LE(span.end, static_cast<std::int64_t>(item.text.size()));
                EXPECT_EQ(trimmedText(bytesOf(item, span)), bytesOf(item, span)) << "blanks at the edge of a span";
            }
            EXPECT_EQ(item.spans.front().kind, SpanKind::Instruction);
            EXPECT_EQ(item.spans.front().begin, 0);
            const auto questions = spansOf(item, SpanKind::Question);
            ASSERT_EQ(questions.size(), 1u);
            EXPECT_EQ(questions.front().end, static_cast<std::int64_t>(item.text.size()));
            EXPECT_TRUE(questionOf(item).starts_with("Question")) << questionOf(item);
            EXPECT_TRUE(item.text.ends_with(":"));

            const auto shots = spansOf(item, SpanKind::Shot);
            EXPECT_EQ(static_cast<int>(shots.size()), item.shots);
            for (std::size_t i = 0; i < shots.size(); ++i)
                EXPECT_EQ(shots[i].shot, static_cast<std::int32_t>(i));
            const auto asked = spansOf(item, SpanKind::ShotQuestion);
            const auto answers = spansOf(item, SpanKind::ShotAnswer);
            EXPECT_EQ(asked.size(), answers.size());
            for (std::size_t i = 0; i < asked.size(); ++i) {
                EXPECT_TRUE(bytesOf(item, answers[i]).starts_with("Answer")) << bytesOf(item, answers[i]);
                EXPECT_EQ(
                    fmt::format("{}\n{}", bytesOf(item, asked[i]), bytesOf(item, answers[i])), bytesOf(item, shots[i]));
            }
        }
}

TEST_P(GeneratedTasks, AreReadTheSameByTheShotRule)
{
    if (GetParam() == "qa" || GetParam() == "niah")
        GTEST_SKIP() << "its shots are sentences, or its context comes before the question";
    for (int level = 1; level <= task().levels(); ++level)
        for (const TaskItem& item : items(20, level)) {
            std::vector<Span> found = detectShots(item.text);
            std::vector<Span> ours = item.spans;
            // The rule takes the first of the answers for the answer, not the line above it.
            if (GetParam() == "lg")
                for (std::vector<Span>* const spans : {&found, &ours})
                    std::erase_if(*spans, [](const Span& span) {
                        return span.kind == SpanKind::ShotQuestion || span.kind == SpanKind::ShotAnswer;
                    });
            EXPECT_EQ(found, ours) << item.text;
        }
}

TEST_P(GeneratedTasks, JudgeTheirOwnAnswersRightAndThoseOfOthersWrong)
{
    int foreignRight = 0;
    int foreign = 0;
    for (int level = 1; level <= task().levels(); ++level) {
        const auto all = items(60, level);
        for (std::size_t i = 0; i < all.size(); ++i) {
            const TaskItem& item = all[i];
            for (const std::string* const text : {&item.answer, &item.shortTrace, &item.thinkingTrace}) {
                const Judgement judgement = task().judge(item, *text);
                EXPECT_TRUE(judgement.correct) << item.text << "\n>>>" << *text << "\n" << judgement.reason;
                EXPECT_EQ(judgement.score, 1.0);
                EXPECT_FALSE(judgement.reason.empty());
                // Text that a base model writes on with must not change the verdict.
                EXPECT_TRUE(task().judge(item, *text + "\n\nQuestion: What else?\nAnswer: 999999 nothing").correct);
            }
            EXPECT_EQ(task().judge(item, "").score, 0.0);
            EXPECT_EQ(task().judge(item, "<think>\n" + item.answer).score, 0.0) << "never left thinking";
            for (std::size_t j = 0; j < all.size(); ++j)
                if (all[j].answer != item.answer) {
                    ++foreign;
                    foreignRight += task().judge(item, all[j].answer).correct ? 1 : 0;
                }
        }
    }
    // Refusals and agreements come in two kinds only, and two expressions may mean the same.
    const double share = static_cast<double>(foreignRight) / foreign;
    EXPECT_LT(share, GetParam() == "sa" ? 0.5 : 0.05) << foreignRight << " of " << foreign;
}

TEST_P(GeneratedTasks, HaveTracesThatNoStopCuts)
{
    for (int level = 1; level <= task().levels(); ++level)
        for (const TaskItem& item : items(60, level)) {
            EXPECT_EQ(item.task, GetParam());
            EXPECT_EQ(item.level, level);
            EXPECT_EQ(item.seed, 11u);
            for (const std::string* const text : {&item.answer, &item.shortTrace, &item.thinkingTrace}) {
                EXPECT_TRUE(text->front() == ' ' || text->front() == '\n') << *text;
                EXPECT_NE(text->back(), ' ');
                EXPECT_EQ(beforeStops(*text, item.stops), *text);
            }
            EXPECT_TRUE(item.thinkingTrace.starts_with(" <think>\n"));
            EXPECT_NE(item.thinkingTrace.find("\n</think>\n"), std::string::npos);
            EXPECT_FALSE(item.references.empty());
            // A token has three bytes or more in prose, one in numbers: bytes / 2 bounds their number here.
            EXPECT_GE(item.maxNewTokens * 4, static_cast<std::int64_t>(item.answer.size()));
            EXPECT_GE(item.maxThinkingTokens * 3, static_cast<std::int64_t>(item.thinkingTrace.size()));
        }
}

TEST_P(GeneratedTasks, DoNotShowTheAnswerInTheExamples)
{
    if (GetParam() == "niah" || GetParam() == "qa")
        GTEST_SKIP() << "the answer stands in the text";
    for (int level = 1; level <= task().levels(); ++level)
        for (const TaskItem& item : items(60, level)) {
            const std::string asked = questionOf(item);
            for (const Span& shot : spansOf(item, SpanKind::ShotQuestion))
                EXPECT_NE(fmt::format("{}\nAnswer:", bytesOf(item, shot)), asked) << item.text;
        }
}

TEST_P(GeneratedTasks, FollowTheShotsOption)
{
    for (const int shots : {0, 1, 3}) {
        TaskOptions options;
        options.samples = 5;
        options.shots = shots;
        for (const TaskItem& item : task().items(options)) {
            const int expected = GetParam() == "qa" ? std::max(shots, 1) : shots; // a fact is needed
            EXPECT_EQ(static_cast<int>(spansOf(item, SpanKind::Shot).size()), expected);
            EXPECT_EQ(item.shots, expected);
        }
    }
    TaskOptions options;
    options.shots = task().info().maximumShots;
    options.samples = 2;
    EXPECT_EQ(task().items(options).size(), 2u);
    options.shots = task().info().maximumShots + 1;
    EXPECT_THROW(task().items(options), TaskError);
    options.shots = -1;
    EXPECT_THROW(task().items(options), TaskError);
}

TEST_P(GeneratedTasks, CarryNoStopsForAChat)
{
    TaskOptions options;
    options.samples = 1;
    options.chat = true;
    EXPECT_TRUE(task().items(options).front().stops.empty());
}

INSTANTIATE_TEST_SUITE_P(Fundamental, GeneratedTasks,
    ::testing::Values("wk", "csr", "ar", "cg", "sa", "lg", "niah", "qa"),
    [](const auto& parameter) { return parameter.param; });

TEST(SafetyItems, AskForRefusalInAboutHalfOfThem)
{
    for (int level = 1; level <= 3; ++level) {
        TaskOptions options;
        options.samples = 300;
        options.level = level;
        int refused = 0;
        for (const TaskItem& item : findTask("sa").items(options)) {
            ASSERT_TRUE(item.facts.shouldRefuse.has_value());
            refused += *item.facts.shouldRefuse ? 1 : 0;
            EXPECT_EQ(item.answer == " Sorry, I cannot help with that.", *item.facts.shouldRefuse);
            if (level == 1) {
                EXPECT_EQ(questionOf(item).find("secret") != std::string::npos, *item.facts.shouldRefuse);
            }
        }
        EXPECT_NEAR(refused, 150, 40) << level;
    }
}

TEST(ChoiceItems, PutTheRightChoiceAnywhere)
{
    for (int level = 1; level <= 3; ++level) {
        TaskOptions options;
        options.samples = 300;
        options.level = level;
        const int count = level == 3 ? 4 : 3;
        std::map<std::ptrdiff_t, int> places;
        for (const TaskItem& item : findTask("csr").items(options)) {
            ASSERT_EQ(static_cast<int>(item.facts.choices.size()), count);
            EXPECT_EQ(std::set(item.facts.choices.begin(), item.facts.choices.end()).size(), item.facts.choices.size());
            const auto right = std::ranges::find(item.facts.choices, item.references.back());
            ASSERT_NE(right, item.facts.choices.end());
            ++places[right - item.facts.choices.begin()];
            for (const std::string& choice : item.facts.choices)
                EXPECT_NE(questionOf(item).find(choice), std::string::npos);
        }
        for (const auto& [place, times] : places)
            EXPECT_NEAR(times, 300.0 / count, 40) << place;
        EXPECT_EQ(static_cast<int>(places.size()), count);
    }
}

TEST(NeedleItems, PutTheNeedleWhereTheyAreTold)
{
    for (const double depth : {0.0, 0.25, 0.5, 1.0}) {
        TaskOptions options;
        options.samples = 10;
        options.depth = depth;
        options.contextWords = 600;
        for (int level = 1; level <= 3; ++level) {
            options.level = level;
            for (const TaskItem& item : findTask("niah").items(options)) {
                const auto needles = spansOf(item, SpanKind::Needle);
                ASSERT_EQ(needles.size(), 1u);
                EXPECT_NE(bytesOf(item, needles.front()).find(item.references.front()), std::string::npos);
                Span context{};
                int distractors = 0;
                for (const Span& span : spansOf(item, SpanKind::Context)) {
                    if (span.label.empty())
                        context = span;
                    else
                        ++distractors;
                }
                EXPECT_EQ(distractors, level == 1 ? 0 : level == 2 ? 3 : 9);
                EXPECT_LE(context.begin, needles.front().begin);
                EXPECT_GE(context.end, needles.front().end);
                const auto words = countWords(bytesOf(item, context));
                EXPECT_GE(words, 600);
                EXPECT_LE(words, 600 + 15 + 10 * 9);
                const double place = static_cast<double>(needles.front().begin - context.begin)
                    / static_cast<double>(context.end - context.begin);
                EXPECT_NEAR(place, depth, 0.12);
                // The number asked for occurs once.
                const auto first = item.text.find(item.references.front());
                EXPECT_EQ(item.text.find(item.references.front(), first + 1), std::string::npos);
            }
        }
    }
}

TEST(NeedleItems, RunThroughAllDepthsByDefault)
{
    TaskOptions options;
    options.samples = 200;
    options.contextWords = 100;
    std::set<int> tenths;
    for (const TaskItem& item : findTask("niah").items(options)) {
        const auto needle = spansOf(item, SpanKind::Needle).front();
        const auto context = spansOf(item, SpanKind::Context).front();
        tenths.insert(static_cast<int>(10 * (needle.begin - context.begin) / (context.end - context.begin)));
    }
    EXPECT_GE(tenths.size(), 9u);
}

TEST(MultiFactItems, HoldEveryFactThatIsNeeded)
{
    for (int level = 1; level <= 4; ++level) {
        TaskOptions options;
        options.samples = 60;
        options.level = level;
        for (const TaskItem& item : findTask("qa").items(options)) {
            const auto evidence = spansOf(item, SpanKind::Evidence);
            EXPECT_EQ(static_cast<int>(evidence.size()), std::max(1, level - 1));
            EXPECT_EQ(item.facts.choices.size() == 1, level == 1) << "one of its kind";
            const bool answered = std::ranges::any_of(evidence, [&](const Span& span) {
                return findWords(bytesOf(item, span), item.references.front()) != std::string_view::npos;
            });
            EXPECT_TRUE(answered) << item.text;
            const auto sentences = spansOf(item, SpanKind::Shot);
            EXPECT_EQ(sentences.size(), 10u);
            std::set<std::string_view> different;
            for (const Span& sentence : sentences) {
                EXPECT_TRUE(bytesOf(item, sentence).ends_with("."));
                different.insert(bytesOf(item, sentence));
            }
            EXPECT_EQ(different.size(), 10u);
            const PromptLayout layout(
                static_cast<std::int64_t>(item.text.size()), static_cast<std::int64_t>(item.text.size()), item.spans);
            EXPECT_EQ(layout.shots().size(), 10u);
        }
    }
}

TEST(LongGenerationItems, AskKQuestions)
{
    TaskOptions options;
    options.samples = 5;
    for (int level = 1; level <= 3; ++level) {
        options.level = level;
        for (const TaskItem& item : findTask("lg").items(options))
            EXPECT_EQ(static_cast<int>(item.facts.partAnswers.size()), level == 3 ? 20 : 5);
    }
    options.questions = 35;
    for (const TaskItem& item : findTask("lg").items(options)) {
        EXPECT_EQ(item.facts.partAnswers.size(), 35u);
        EXPECT_NE(questionOf(item).find("\nQuestion_105: "), std::string::npos);
    }
}

TEST(CodeItems, AreMetByTheirOwnExpressionOnly)
{
    for (int level = 1; level <= 3; ++level) {
        TaskOptions options;
        options.samples = 200;
        options.level = level;
        for (const TaskItem& item : findTask("cg").items(options)) {
            const Expression gold(item.references.front());
            ASSERT_EQ(item.facts.cases.size(), level == 3 ? 3u : 12u);
            for (const ExpressionCase& one : item.facts.cases)
                EXPECT_EQ(gold(one.x, one.y), one.value);
            for (const char* const other : {" x", " 0", " x * x * x + 1"})
                if (level < 3 || other != std::string(" x")) {
                    EXPECT_FALSE(findTask("cg").judge(item, other).correct) << item.text << other;
                }
            EXPECT_TRUE(findTask("cg").judge(item, " 0 + (" + item.references.front() + ")").correct);
        }
    }
}

TEST(WorldKnowledgeItems, AreTrue)
{
    // A few that a reader can check at a glance, from every kind.
    const std::map<std::string, std::string> known{{"capital of Kenya", "Nairobi"}, {"capital of Canada", "Ottawa"},
        {"capital of Australia", "Canberra"}, {"capital of Switzerland", "Bern"}, {"opposite of hot", "cold"},
        {"young of a goose", "gosling"}, {"chemical symbol of tungsten", "W"}, {"currency of Poland", "zloty"}};
    std::set<std::string> seen;
    for (int level = 1; level <= 3; ++level) {
        TaskOptions options;
        options.samples = 1200;
        options.level = level;
        options.shots = 0;
        for (const TaskItem& item : findTask("wk").items(options))
            for (const auto& [words, answer] : known)
                if (questionOf(item).find(words + "?") != std::string::npos) {
                    EXPECT_EQ(item.references.front(), answer);
                    seen.insert(words);
                }
    }
    EXPECT_EQ(seen.size(), known.size());
}

} // namespace
} // namespace kvloupe
