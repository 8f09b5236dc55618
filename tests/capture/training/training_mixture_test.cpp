// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/training/training_mixture.h"

#include "capture/tasks/task_suite.h"
#include "capture/tokenizer/tokenizer.h"
#include "tests/support/byte_llama.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

namespace kvloupe {
namespace {

constexpr std::int32_t endId = 256; // of the byte llama

class TrainingExamples : public ::testing::Test {
protected:
    void SetUp() override { m_tokenizer = Tokenizer::open(writeByteLlama(m_folder)); }

    TrainingMixture mixture(AdapterStyle style, std::uint64_t seed = 0, std::int64_t maximumTokens = 2048) const
    {
        return {*m_tokenizer, endId, style, seed, maximumTokens};
    }
    std::string prompt(const TrainingExample& example) const
    {
        return m_tokenizer->decode(std::span(example.ids).first(static_cast<std::size_t>(example.answerBegin)));
    }
    std::string answer(const TrainingExample& example) const
    {
        const auto rest = std::span(example.ids).subspan(static_cast<std::size_t>(example.answerBegin));
        return m_tokenizer->decode(rest.first(rest.size() - 1));
    }

    TemporaryFolder m_folder;
    std::unique_ptr<Tokenizer> m_tokenizer;
};

TEST_F(TrainingExamples, AnExampleIsAPromptWithAWorkedAnswerAndAnEnd)
{
    const TrainingMixture shortAnswers = mixture(AdapterStyle::Instruct);
    const TrainingMixture traces = mixture(AdapterStyle::Reasoning);
    for (std::uint64_t number = 0; number < 60; ++number) {
        const TrainingExample plain = shortAnswers.example(number);
        const TrainingExample thinking = traces.example(number);
        EXPECT_EQ(plain.ids.back(), endId);
        EXPECT_EQ(thinking.ids.back(), endId);
        // The two styles are taught on the same questions.
        EXPECT_EQ(prompt(plain), prompt(thinking));
        EXPECT_EQ(answer(plain).find("<think>"), std::string::npos);
        EXPECT_TRUE(answer(thinking).starts_with(" <think>\n")) << answer(thinking);
        EXPECT_NE(answer(thinking).find("</think>\n"), std::string::npos);
        EXPECT_GT(thinking.ids.size(), plain.ids.size());
    }
}

TEST_F(TrainingExamples, ExamplesDependOnSeedAndNumberAlone)
{
    const TrainingMixture one = mixture(AdapterStyle::Instruct, 3);
    const TrainingMixture same = mixture(AdapterStyle::Instruct, 3);
    const TrainingMixture other = mixture(AdapterStyle::Instruct, 4);
    EXPECT_EQ(one.example(1000).ids, same.example(1000).ids);
    EXPECT_NE(one.example(1000).ids, other.example(1000).ids);
    EXPECT_NE(one.example(1000).ids, one.example(1001).ids);
}

TEST_F(TrainingExamples, EveryPartIsShownAboutAsOftenAsItsWeightSays)
{
    const TrainingMixture examples = mixture(AdapterStyle::Instruct);
    constexpr int drawn = 600;
    std::map<std::pair<std::string, int>, int> shown;
    for (std::uint64_t number = 0; number < drawn; ++number) {
        const TrainingExample example = examples.example(number);
        ++shown[{example.task, example.level}];
    }
    double total = 0.0;
    for (const MixturePart& part : TrainingMixture::parts())
        total += part.weight;
    EXPECT_EQ(shown.size(), TrainingMixture::parts().size());
    for (const MixturePart& part : TrainingMixture::parts()) {
        const double expected = drawn * part.weight / total;
        EXPECT_NEAR((shown[{std::string(part.task), part.level}]), expected, 4.0 * std::sqrt(expected)) << part.task;
    }
}

TEST_F(TrainingExamples, NoHeldOutQuestionIsShownWithItsAnswer)
{
    std::set<std::string> heldOut;
    for (const MixturePart& part : TrainingMixture::parts()) {
        TaskOptions options;
        options.samples = TrainingMixture::heldOutItems;
        options.level = part.level;
        options.shots = 4;
        for (const TaskItem& item : findTask(findSuite("fundamental"), part.task).items(options)) {
            // The last lines of a prompt are its question.
            const std::size_t begin = item.text.rfind("Question:");
            if (begin != std::string::npos)
                heldOut.insert(item.text.substr(begin) + item.shortTrace);
        }
    }
    const TrainingMixture examples = mixture(AdapterStyle::Instruct);
    int questions = 0;
    for (std::uint64_t number = 0; number < 1500; ++number) {
        const TrainingExample example = examples.example(number);
        const std::string text = prompt(example);
        if (const std::size_t begin = text.rfind("Question:"); begin != std::string::npos) {
            ++questions;
            EXPECT_FALSE(heldOut.contains(text.substr(begin) + answer(example))) << text.substr(begin);
        }
    }
    EXPECT_GT(questions, 1200);
}

TEST_F(TrainingExamples, MostProblemsOfTwoStepsGoOverTen)
{
    const TrainingMixture examples = mixture(AdapterStyle::Reasoning);
    int problems = 0;
    int over = 0;
    for (std::uint64_t number = 0; number < 400; ++number) {
        const TrainingExample example = examples.example(number);
        if (example.task != "ar" || example.level != 2)
            continue;
        const std::string trace = answer(example);
        ++problems;
        over += trace.find("carry") != std::string::npos || trace.find("borrow") != std::string::npos ? 1 : 0;
    }
    EXPECT_GT(problems, 60);
    EXPECT_GT(over, problems * 6 / 10);
}

TEST_F(TrainingExamples, LongExamplesLoseTheirShots)
{
    const TrainingMixture wide = mixture(AdapterStyle::Instruct, 0, 4096);
    const TrainingMixture narrow = mixture(AdapterStyle::Instruct, 0, 400);
    int shortened = 0;
    for (std::uint64_t number = 0; number < 200; ++number) {
        const TrainingExample whole = wide.example(number);
        const TrainingExample cut = narrow.example(number);
        if (whole.ids.size() <= 400)
            EXPECT_EQ(whole.ids, cut.ids);
        else
            shortened += cut.ids.size() < whole.ids.size() ? 1 : 0;
    }
    EXPECT_GT(shortened, 20);
}

} // namespace
} // namespace kvloupe
