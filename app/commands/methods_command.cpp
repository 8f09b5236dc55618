// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/methods_command.h"

#include "app/text_table.h"
#include "core/methods/method_registry.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

namespace {

using Json = nlohmann::ordered_json;

/// A long prompt of one example and a question of `question` tokens.
PromptLayout longPrompt(std::int64_t question)
{
    const std::int64_t tokens = 1 << 20;
    return {tokens, tokens,
        {{0, tokens - question, SpanKind::Shot, 0, ""}, {tokens - question, tokens, SpanKind::Question, -1, ""}}};
}

/// What a method with its default parameters wants to see of a long prompt.
std::vector<std::string> evidenceOf(const Method& method)
{
    const EvidenceNeeds needs = method.needs(longPrompt(500));
    const bool dependsOnQuestion = needs.lastRows != method.needs(longPrompt(600)).lastRows;
    std::vector<std::string> result;
    const auto add = [&](bool wanted, std::string name) {
        if (wanted) {
            result.push_back(std::move(name));
        }
    };
    add(needs.lastRows > 0,
        dependsOnQuestion         ? "rows of the question"
            : needs.lastRows == 1 ? "last row"
                                  : fmt::format("last {} rows", needs.lastRows));
    add(needs.columnSums, "column sums");
    add(needs.keyNorms, "key norms");
    add(needs.valueNorms, "value norms");
    add(needs.outputValueNorms, "output value norms");
    add(needs.lastQueries > 0,
        needs.lastQueries == EvidenceNeeds::allQueries ? "queries" : fmt::format("last {} queries", needs.lastQueries));
    add(needs.keys, "keys");
    add(needs.values, "values");
    add(needs.queryStatistics, "query statistics");
    add(method.layerPruner != nullptr, "queries and keys of all layers");
    return result;
}

std::string rangeText(const ParameterInfo& parameter)
{
    std::vector<std::string> values;
    if (parameter.type == ParameterInfo::Type::Integer || parameter.type == ParameterInfo::Type::Real) {
        values.push_back(fmt::format("{} .. {}", parameter.minimum, parameter.maximum));
    } else if (parameter.type == ParameterInfo::Type::Boolean) {
        values = {"true", "false"};
    }
    values.insert(values.end(), parameter.choices.begin(), parameter.choices.end());
    return fmt::format("{}", fmt::join(values, " | "));
}

/// The method with its default parameters; of one that is made from a file, what can be said without it.
Method defaultMethod(const MethodInfo& info)
{
    if (!info.takesPath)
        return parseMethod(info.name);
    Method method;
    method.name = info.name;
    method.fidelity = info.fidelity;
    return method;
}

/// Level of its sets; nothing if a file says it.
std::optional<std::string_view> granularityOf(const MethodInfo& info, const Method& method)
{
    return info.takesPath ? std::nullopt : std::optional(granularityName(method.granularity));
}

Json methodJson(const MethodInfo& info)
{
    const Method method = defaultMethod(info);
    Json parameters = Json::array();
    for (const ParameterInfo& parameter : info.parameters) {
        Json entry{{"name", parameter.name}, {"type", parameterTypeName(parameter.type)},
            {"default", parameter.defaultValue}, {"description", parameter.description}};
        if (parameter.type == ParameterInfo::Type::Integer || parameter.type == ParameterInfo::Type::Real) {
            entry["minimum"] = parameter.minimum;
            entry["maximum"] = parameter.maximum;
        }
        if (!parameter.choices.empty()) {
            entry["choices"] = parameter.choices;
        }
        parameters.push_back(std::move(entry));
    }
    Json presets = Json::array();
    for (const PresetInfo& preset : info.presets) {
        presets.push_back({{"name", preset.name}, {"values", preset.values}, {"description", preset.description}});
    }
    return {{"name", info.name}, {"title", info.title}, {"summary", info.summary}, {"source", info.source},
        {"fidelity", fidelityName(method.fidelity)},
        {"fidelity_while_decoding", fidelityName(method.fidelityWhileDecoding())},
        {"granularity", granularityOf(info, method) ? Json(*granularityOf(info, method)) : Json()},
        {"decides_while_decoding", method.decodePolicy != nullptr}, {"evidence", evidenceOf(method)},
        {"parameters", std::move(parameters)}, {"presets", std::move(presets)}};
}

void printText(const MethodInfo& info)
{
    const Method method = defaultMethod(info);
    const auto evidence = evidenceOf(method);
    fmt::print("{} ({})\n  {}\n  Source: {}\n", info.name, info.title, info.summary, info.source);
    const bool differs = method.fidelityWhileDecoding() != method.fidelity;
    fmt::print("  Replay: {}{}. Sets per {}. Evidence: {}.\n", fidelityName(method.fidelity),
        differs ? fmt::format(", {} while decoding", fidelityName(method.fidelityWhileDecoding())) : "",
        granularityOf(info, method).value_or("layer or head, as the file says"),
        evidence.empty() ? "none" : fmt::format("{}", fmt::join(evidence, ", ")));
    if (!info.parameters.empty()) {
        TextTable table({"parameter", "default", "values", "meaning"});
        for (const ParameterInfo& parameter : info.parameters) {
            table.add({parameter.name, parameter.defaultValue, rangeText(parameter), parameter.description});
        }
        fmt::print("\n{}", table.text(2));
    }
    if (!info.presets.empty()) {
        TextTable table({"preset", "sets", "meaning"});
        for (const PresetInfo& preset : info.presets) {
            std::vector<std::string> values;
            for (const auto& [name, value] : preset.values) {
                values.push_back(name + "=" + value);
            }
            table.add({"@" + preset.name, fmt::format("{}", fmt::join(values, ",")), preset.description});
        }
        fmt::print("\n{}", table.text(2));
    }
}

} // namespace

void addMethodsCommand(CLI::App& program)
{
    struct Options {
        std::vector<std::string> names;
        bool json = false;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = program.add_subcommand(
        "methods", "List compression methods: parameters, defaults, presets, evidence needed, exact or approximate");
    command->add_option("NAME", options->names, "Methods to list; all without")->type_name("");
    command->add_flag("--json", options->json, "Print one JSON array");
    command->footer("Example:\n  kvloupe methods snapkv");
    command->callback([options] {
        std::vector<const MethodInfo*> chosen;
        for (const std::string& name : options->names) {
            chosen.push_back(&findMethod(name));
        }
        if (chosen.empty()) {
            for (const MethodInfo& info : methodRegistry()) {
                chosen.push_back(&info);
            }
        }
        if (options->json) {
            Json list = Json::array();
            for (const MethodInfo* info : chosen) {
                list.push_back(methodJson(*info));
            }
            fmt::print("{}\n", list.dump(2));
            return;
        }
        for (const MethodInfo* info : chosen) {
            fmt::print("{}", info == chosen.front() ? "" : "\n");
            printText(*info);
        }
    });
}

} // namespace kvloupe
