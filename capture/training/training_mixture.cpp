// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/training/training_mixture.h"

#include "capture/tasks/item_draws.h"
#include "capture/tasks/task_suite.h"
#include "capture/tokenizer/tokenizer.h"
#include "core/prompt/span.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kvloupe {

namespace {

constexpr std::uint64_t trainingSeeds = 1'000'000'000;
constexpr int attempts = 64;

constexpr auto mixture = std::to_array<MixturePart>(
    {{"wk", 1, 2.0}, {"wk", 2, 1.0}, {"csr", 1, 2.0}, {"csr", 2, 1.0}, {"ar", 1, 2.0}, {"ar", 2, 6.0}, {"cg", 1, 2.0},
        {"cg", 2, 1.0}, {"sa", 1, 1.5}, {"lg", 1, 0.5}, {"niah", 1, 2.0}, {"qa", 1, 1.0}, {"qa", 2, 1.0}});

const Task& taskOf(const MixturePart& part)
{
    return findTask(findSuite("fundamental"), part.task);
}

/// What makes two items the same one: the question and its answer. (Names and numbers of `niah` and `qa` stand in the
/// answer.)
std::string identity(const TaskItem& item)
{
    std::string text = item.task + "\n";
    for (const Span& span : item.spans)
        if (span.kind == SpanKind::Question)
            text += item.text.substr(
                static_cast<std::size_t>(span.begin), static_cast<std::size_t>(span.end - span.begin));
    return text + "\n" + item.answer;
}

/// Whether a digit goes over ten: what small models get wrong.
bool carries(const TaskItem& item)
{
    return item.thinkingTrace.find("carry") != std::string::npos
        || item.thinkingTrace.find("borrow") != std::string::npos;
}

const MixturePart& pickPart(ItemDraws& draws)
{
    double total = 0.0;
    for (const MixturePart& part : mixture)
        total += part.weight;
    double place = static_cast<double>(draws.below(std::uint64_t{1} << 32)) * 0x1p-32 * total;
    for (const MixturePart& part : mixture) {
        if (place < part.weight)
            return part;
        place -= part.weight;
    }
    return mixture.back();
}

/// Mostly 0 to 3, sometimes as many as an evaluation shows.
int pickShots(const Task& task, ItemDraws& draws)
{
    constexpr std::array<int, 10> usual{0, 0, 0, 0, 1, 1, 1, 2, 2, 3};
    const bool asEvaluated = draws.below(24) == 0;
    const int drawn = draws.pick(usual);
    if (task.name() == "qa") // sentences, not examples
        return static_cast<int>(draws.between(4, task.defaultShots()));
    return std::min(asEvaluated ? task.defaultShots() : drawn, task.defaultShots());
}

} // namespace

std::span<const MixturePart> TrainingMixture::parts()
{
    return mixture;
}

TrainingMixture::TrainingMixture(
    const Tokenizer& tokenizer, std::int32_t endId, AdapterStyle style, std::uint64_t seed, std::int64_t maximumTokens)
    : m_tokenizer(tokenizer)
    , m_endId(endId)
    , m_style(style)
    , m_seed(seed)
    , m_maximumTokens(maximumTokens)
{
    if (maximumTokens < 300)
        throw TaskError(
            fmt::format("training: found examples of at most {} tokens, expected at least 300", maximumTokens));
    for (const MixturePart& part : mixture) {
        TaskOptions options;
        options.samples = heldOutItems;
        options.level = part.level;
        for (const TaskItem& item : taskOf(part).items(options))
            m_heldOut.insert(identity(item));
    }
}

TaskItem TrainingMixture::draw(const MixturePart& part, ItemDraws& draws, std::uint64_t itemSeed, int shots) const
{
    TaskOptions options;
    options.samples = 1;
    options.level = part.level;
    options.shots = shots;
    // Three of four problems of two steps go over ten.
    const bool wantsCarries = part.task == "ar" && part.level == 2 && draws.below(4) != 0;
    if (part.task == "niah")
        options.contextWords = draws.between(30, 120);
    for (int attempt = 0; attempt < attempts; ++attempt) {
        options.seed = itemSeed + static_cast<std::uint64_t>(attempt);
        TaskItem item = taskOf(part).items(options).front();
        if (!m_heldOut.contains(identity(item)) && (!wantsCarries || carries(item)))
            return item;
    }
    throw TaskError(fmt::format("training: task {}: found no item in {} that is not held out", part.task, attempts));
}

TrainingExample TrainingMixture::example(std::uint64_t number) const
{
    ItemDraws draws(m_seed, "training example", number);
    const MixturePart& part = pickPart(draws);
    const std::uint64_t itemSeed
        = trainingSeeds + ItemDraws(m_seed, "training item", number).below(std::uint64_t{1} << 32) * attempts;
    for (int shots = pickShots(taskOf(part), draws);; --shots) {
        ItemDraws same = draws;
        const TaskItem item = draw(part, same, itemSeed, std::max(shots, 0));
        TrainingExample example{item.task, item.level, m_tokenizer.encode(item.text, {.addTemplate = true}).ids, 0};
        example.answerBegin = std::ssize(example.ids);
        const auto answer
            = m_tokenizer.encode(m_style == AdapterStyle::Instruct ? item.shortTrace : item.thinkingTrace).ids;
        example.ids.insert(example.ids.end(), answer.begin(), answer.end());
        example.ids.push_back(m_endId);
        if (std::ssize(example.ids) <= m_maximumTokens || shots <= 0)
            return example;
    }
}

} // namespace kvloupe
