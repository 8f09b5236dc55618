// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/training/training_log.h"

#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/safetensors_writer.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <span>
#include <sstream>

namespace kvloupe {

namespace {

constexpr std::size_t longestLog = std::size_t{64} << 20;
constexpr std::size_t steppedOver = 10; // steps that a mean loss is taken over

std::string lineOf(const TrainingLog::Entry& entry)
{
    const TrainingStep& step = entry.step;
    return nlohmann::ordered_json{{"step", step.step}, {"loss", step.loss}, {"gradient_norm", step.gradientNorm},
               {"learning_rate", step.learningRate}, {"tokens", step.tokens}, {"answer_tokens", step.answerTokens},
               {"seconds", entry.seconds}}
               .dump()
        + "\n";
}

TrainingLog::Entry entryOf(const nlohmann::json& line)
{
    TrainingLog::Entry entry;
    line.at("step").get_to(entry.step.step);
    line.at("loss").get_to(entry.step.loss);
    line.at("gradient_norm").get_to(entry.step.gradientNorm);
    line.at("learning_rate").get_to(entry.step.learningRate);
    line.at("tokens").get_to(entry.step.tokens);
    line.at("answer_tokens").get_to(entry.step.answerTokens);
    line.at("seconds").get_to(entry.seconds);
    return entry;
}

double meanLoss(std::span<const TrainingLog::Entry> entries)
{
    double sum = 0.0;
    for (const TrainingLog::Entry& entry : entries)
        sum += entry.step.loss;
    return entries.empty() ? 0.0 : sum / static_cast<double>(entries.size());
}

} // namespace

TrainingLog TrainingLog::begin(const std::filesystem::path& file)
{
    writeFileAtomically(file, "");
    return TrainingLog(file);
}

TrainingLog TrainingLog::resume(const std::filesystem::path& file, std::int64_t steps)
{
    TrainingLog log(file);
    std::istringstream lines(readSmallFile(file, longestLog));
    std::string kept;
    for (std::string line; std::ssize(log.m_entries) < steps && std::getline(lines, line);) {
        const std::string where = fmt::format("{}: line {}", file.string(), log.m_entries.size() + 1);
        try {
            log.m_entries.push_back(entryOf(parseJson(line, where)));
        } catch (const nlohmann::json::exception&) {
            throw AdapterError(fmt::format("{}: a field is missing or of another type", where));
        }
        if (log.m_entries.back().step.step != std::ssize(log.m_entries))
            throw AdapterError(fmt::format(
                "{}: step: found {}, expected {}", where, log.m_entries.back().step.step, log.m_entries.size()));
        kept += line + "\n";
    }
    if (std::ssize(log.m_entries) < steps)
        throw AdapterError(fmt::format(
            "{}: found {} steps, expected the {} of the saved state", file.string(), log.m_entries.size(), steps));
    writeFileAtomically(file, kept);
    return log;
}

void TrainingLog::append(const Entry& entry)
{
    std::ofstream out(m_file, std::ios::app | std::ios::binary);
    out << lineOf(entry) << std::flush;
    if (!out)
        throw AdapterError(fmt::format("{}: cannot be written", m_file.string()));
    m_entries.push_back(entry);
}

double TrainingLog::firstLoss() const
{
    return meanLoss(std::span(m_entries).first(std::min(steppedOver, m_entries.size())));
}

double TrainingLog::lastLoss() const
{
    return meanLoss(std::span(m_entries).last(std::min(steppedOver, m_entries.size())));
}

double TrainingLog::seconds() const
{
    double sum = 0.0;
    for (const Entry& entry : m_entries)
        sum += entry.seconds;
    return sum;
}

} // namespace kvloupe
