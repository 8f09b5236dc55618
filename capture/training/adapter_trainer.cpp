// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/training/adapter_trainer.h"

#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/safetensors_writer.h"
#include "capture/model/task_runner.h"
#include "capture/model/transformer.h"
#include "capture/tokenizer/tokenizer.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>

namespace kvloupe {

namespace {

constexpr std::int64_t passTokens = 256; // what goes through the products together, unless one example is longer
constexpr double firstDecay = 0.9;
constexpr double secondDecay = 0.999;
constexpr double epsilon = 1e-8;

std::int32_t endOf(const Transformer& model)
{
    if (model.config().eosIds.empty())
        throw AdapterError(fmt::format(
            "model {}: names no end-of-sequence token, expected one to end answers with", model.config().name));
    return model.config().eosIds.front();
}

/// Examples in the order they came, as many together as fit into one pass.
std::vector<std::vector<TrainingSequence>> passesOf(const std::vector<TrainingExample>& examples)
{
    std::vector<std::vector<TrainingSequence>> passes;
    std::int64_t room = 0;
    for (const TrainingExample& example : examples) {
        const std::int64_t tokens = std::ssize(example.ids);
        if (tokens > room) {
            passes.emplace_back();
            room = passTokens;
        }
        room -= tokens;
        const auto answer = static_cast<double>(tokens - example.answerBegin);
        passes.back().push_back({example.ids, example.answerBegin, 1.0 / std::sqrt(answer)});
    }
    return passes;
}

} // namespace

std::string_view adapterStyleName(AdapterStyle style)
{
    return style == AdapterStyle::Instruct ? "instruct" : "reasoning";
}

std::string TrainingOptions::fingerprint() const
{
    return nlohmann::json{{"style", adapterStyleName(style)}, {"steps", steps}, {"rank", rank}, {"alpha", alpha},
        {"learning_rate", learningRate}, {"warm_up_steps", warmUpSteps}, {"clip_norm", clipNorm}, {"batch", batch},
        {"maximum_tokens", maximumTokens}, {"seed", seed}}
        .dump();
}

AdapterTrainer::AdapterTrainer(
    const Transformer& model, const Tokenizer& tokenizer, std::string modelSha256, const TrainingOptions& options)
    : m_modelSha256(std::move(modelSha256))
    , m_options(options)
    , m_mixture(tokenizer, endOf(model), options.style, options.seed,
          std::min(options.maximumTokens, model.config().maxPositions))
    , m_lora(model, options.rank, options.alpha, options.seed)
    , m_firstMoments(m_lora.parameters().size())
    , m_secondMoments(m_lora.parameters().size())
{
}

double AdapterTrainer::learningRate() const
{
    const auto step = static_cast<double>(m_step);
    const auto warmUp = static_cast<double>(m_options.warmUpSteps);
    if (step < warmUp)
        return m_options.learningRate * (step + 1.0) / (warmUp + 1.0);
    return m_options.learningRate * (static_cast<double>(m_options.steps) - step)
        / (static_cast<double>(m_options.steps) - warmUp);
}

std::vector<TrainingExample> AdapterTrainer::nextExamples() const
{
    std::vector<TrainingExample> examples;
    for (std::int64_t i = 0; i < m_options.batch; ++i)
        examples.push_back(m_mixture.example(static_cast<std::uint64_t>(m_step * m_options.batch + i)));
    return examples;
}

TrainingStep AdapterTrainer::step()
{
    const std::vector<TrainingExample> examples = nextExamples();
    const auto passes = passesOf(examples);
    std::vector<LoraModel::Gradient> gradients(passes.size());
    TaskRunner runner(m_options.threads);
    runner.enter([&] {
        runner.run(std::ssize(passes), [&](std::int64_t pass, int) {
            const auto index = static_cast<std::size_t>(pass);
            gradients[index] = m_lora.gradient(passes[index]);
        });
    });

    TrainingStep report;
    double weight = 0.0; // of all answer tokens
    for (const auto& pass : passes) {
        for (const TrainingSequence& sequence : pass) {
            const std::int64_t answer = std::ssize(sequence.ids) - sequence.answerBegin;
            report.tokens += std::ssize(sequence.ids);
            report.answerTokens += answer;
            weight += sequence.weight * static_cast<double>(answer);
        }
    }
    std::vector<float> sum = std::move(gradients.front().values);
    double nll = gradients.front().nll;
    for (std::size_t i = 1; i < gradients.size(); ++i) {
        std::ranges::transform(sum, gradients[i].values, sum.begin(), std::plus());
        nll += gradients[i].nll;
    }
    double squares = 0.0;
    for (const float value : sum)
        squares += static_cast<double>(value) * static_cast<double>(value);

    report.loss = nll / static_cast<double>(report.answerTokens);
    report.gradientNorm = std::sqrt(squares) / weight;
    report.learningRate = learningRate();
    ++m_step;
    report.step = m_step;
    update(sum, std::min(1.0, m_options.clipNorm / std::max(report.gradientNorm, 1e-30)) / weight, report.learningRate);
    m_tokens += report.tokens;
    m_answerTokens += report.answerTokens;
    return report;
}

/// One step of Adam along `factor` x `gradient`.
void AdapterTrainer::update(std::span<const float> gradient, double factor, double rate)
{
    const double firstCorrection = 1.0 - std::pow(firstDecay, static_cast<double>(m_step));
    const double secondCorrection = 1.0 - std::pow(secondDecay, static_cast<double>(m_step));
    const std::span<float> parameters = m_lora.parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const double slope = static_cast<double>(gradient[i]) * factor;
        const double first = firstDecay * static_cast<double>(m_firstMoments[i]) + (1.0 - firstDecay) * slope;
        const double second
            = secondDecay * static_cast<double>(m_secondMoments[i]) + (1.0 - secondDecay) * slope * slope;
        m_firstMoments[i] = static_cast<float>(first);
        m_secondMoments[i] = static_cast<float>(second);
        parameters[i]
            -= static_cast<float>(rate * (first / firstCorrection) / (std::sqrt(second / secondCorrection) + epsilon));
    }
}

std::string AdapterTrainer::stateJson() const
{
    return nlohmann::json{{"options", m_options.fingerprint()}, {"model_sha256", m_modelSha256}, {"step", m_step},
        {"tokens", m_tokens}, {"answer_tokens", m_answerTokens}}
        .dump();
}

void AdapterTrainer::saveState(const std::filesystem::path& file) const
{
    const std::string json = stateJson();
    const auto floats = [](const char* name, std::span<const float> values) {
        return SafetensorsEntry{name, "F32", {std::ssize(values)}, std::as_bytes(values)};
    };
    const std::array<SafetensorsEntry, 4> entries{floats("parameters", m_lora.parameters()),
        floats("first_moments", m_firstMoments), floats("second_moments", m_secondMoments),
        SafetensorsEntry{"state", "U8", {std::ssize(json)}, std::as_bytes(std::span(json))}};
    writeSafetensors(file, entries);
}

void AdapterTrainer::loadState(const std::filesystem::path& file)
{
    const SafetensorsFile state(file);
    const auto find = [&](std::string_view name, std::string_view dtype) {
        const auto found = std::ranges::find(state.tensors(), name, &SafetensorsEntry::name);
        if (found == state.tensors().end() || found->dtype != dtype)
            throw AdapterError(
                fmt::format("{}: tensor {}: is missing, the file is no state of a training", file.string(), name));
        return found->bytes;
    };
    const auto text = find("state", "U8");
    const nlohmann::json json = parseJson({reinterpret_cast<const char*>(text.data()), text.size()},
        file.string() + ": state", {.bytes = 1U << 16, .depth = 4});
    try {
        if (json.at("options") != m_options.fingerprint())
            throw AdapterError(fmt::format("{}: options: found {}, expected {}; the state belongs to another training",
                file.string(), json.at("options").get<std::string>(), m_options.fingerprint()));
        if (json.at("model_sha256") != m_modelSha256)
            throw AdapterError(
                fmt::format("{}: model: found SHA-256 {}, expected {}; the state belongs to another model",
                    file.string(), json.at("model_sha256").get<std::string>(), m_modelSha256));
        const auto step = json.at("step").get<std::int64_t>();
        if (step < 0 || step > m_options.steps)
            throw AdapterError(
                fmt::format("{}: step: found {}, expected 0 to {}", file.string(), step, m_options.steps));
        const auto load = [&](const char* name, std::span<float> target) {
            const auto bytes = find(name, "F32");
            if (bytes.size() != target.size_bytes())
                throw AdapterError(fmt::format("{}: tensor {}: found {} bytes, expected {}", file.string(), name,
                    bytes.size(), target.size_bytes()));
            std::memcpy(target.data(), bytes.data(), bytes.size());
        };
        load("parameters", m_lora.parameters());
        load("first_moments", m_firstMoments);
        load("second_moments", m_secondMoments);
        m_step = step;
        m_tokens = json.at("tokens").get<std::int64_t>();
        m_answerTokens = json.at("answer_tokens").get<std::int64_t>();
    } catch (const nlohmann::json::exception&) {
        throw AdapterError(fmt::format("{}: state: a field is missing or of another type", file.string()));
    }
}

} // namespace kvloupe
