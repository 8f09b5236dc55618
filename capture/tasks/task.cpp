// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/task.h"

#include "capture/tasks/answer_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvloupe {

namespace {

constexpr std::int64_t mostSamples = 1'000'000;
constexpr std::int64_t mostContextWords = 1'000'000;
constexpr int mostQuestions = 1'000;

} // namespace

Task::Task(Info info)
    : m_info(std::move(info))
{
}

Task::~Task() = default;

std::vector<TaskItem> Task::items(const TaskOptions& options) const
{
    const auto require = [this](bool holds, std::string_view field, const auto& found, const std::string& expected) {
        if (!holds)
            throw TaskError(fmt::format("task {}: {}: found {}, expected {}", m_info.name, field, found, expected));
    };
    const std::int64_t fewest = m_info.readsData ? 0 : 1;
    require(options.samples >= fewest && options.samples <= mostSamples, "samples", options.samples,
        fmt::format("{} to {}", fewest, mostSamples));
    TaskOptions filled = options;
    filled.shots = options.shots.value_or(m_info.defaultShots);
    require(*filled.shots >= 0 && *filled.shots <= m_info.maximumShots, "shots", *filled.shots,
        fmt::format("0 to {}", m_info.maximumShots));
    require(options.level >= 0 && options.level <= m_info.levels, "level", options.level,
        fmt::format("1 to {}, or 0 for the default", m_info.levels));
    if (filled.level == 0)
        filled.level = m_info.defaultLevel;
    require(options.contextWords >= 0 && options.contextWords <= mostContextWords, "words of context",
        options.contextWords, fmt::format("0 to {}", mostContextWords));
    require(options.questions >= 0 && options.questions <= mostQuestions, "questions", options.questions,
        fmt::format("0 to {}", mostQuestions));
    if (options.depth)
        require(std::isfinite(*options.depth) && *options.depth >= 0.0 && *options.depth <= 1.0, "depth",
            *options.depth, "a number from 0 to 1");
    require(!m_info.readsData || !options.data.empty(), "data", "no file", "the file to read (--data FILE)");
    require(m_info.readsData || m_info.takesData || options.data.empty(), "data", options.data.string(),
        "no file: it makes its items itself");
    std::vector<TaskItem> items = makeItems(filled);
    if (options.chat)
        for (TaskItem& item : items)
            item.stops.clear();
    return items;
}

Judgement Task::judge(const TaskItem& item, std::string_view output, const JudgeOptions& options) const
{
    const std::optional<std::string_view> spoken = withoutThinking(output);
    if (!spoken)
        return {.score = 0.0, .correct = false, .extracted = {}, .reason = "the thinking never ended"};
    Judgement result = judgeAnswer(item, beforeStops(*spoken, item.stops), options);
    result.correct = result.score >= 1.0;
    return result;
}

} // namespace kvloupe
