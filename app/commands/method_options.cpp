// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/method_options.h"

#include "app/commands/option_check.h"
#include "core/methods/method_registry.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <string_view>

namespace kvloupe {

void MethodOptions::addTo(CLI::App& command)
{
    command
        .add_option("--method", specs,
            "Method as name[@preset][:key=value,...], see `kvloupe methods`; may be given several times")
        ->allow_extra_args(false)
        ->check(parses([](const std::string& text) { parseMethod(text); }))
        ->type_name("SPEC");

    const auto addBudget = [&](const char* name, std::vector<std::string>& values, const char* type, const char* text) {
        return command.add_option(name, values, text)
            ->delimiter(',')
            ->allow_extra_args(false)
            ->type_name(type)
            ->group("Budget, exactly one of these");
    };
    addBudget("--keep", keep, "R,R,...", "Shares of the prompt's tokens to keep, in (0, 1]; rounded down exactly")
        ->check(parses([](const std::string& text) { Budget::keep(std::string_view(text)); }));
    addBudget("--capacity", capacity, "N,N,...", "Tokens to keep per head")->check(parses([](const std::string& text) {
        Budget::capacity(std::string_view(text));
    }));
    addBudget("--compression-ratio", compressionRatio, "C,C,...", "Shares of the prompt's tokens to remove, in [0, 1)")
        ->check(parses([](const std::string& text) { Budget::compressionRatio(text); }));

    command
        .add_option("--decode-keep", decodeKeep,
            "Share of the generated tokens to keep, for methods that evict those (shotkv); as --keep without it")
        ->check(parses([](const std::string& text) { Budget::keep(std::string_view(text)); }))
        ->type_name("R");
}

void MethodOptions::require() const
{
    if (specs.empty())
        throw CLI::RequiredError("--method");
    const int kinds = int(!keep.empty()) + int(!capacity.empty()) + int(!compressionRatio.empty());
    if (kinds != 1)
        throw CLI::ValidationError("budget",
            fmt::format("found {} kinds, expected exactly one of --keep, --capacity and --compression-ratio", kinds));
}

bool MethodOptions::given() const
{
    return !(specs.empty() && keep.empty() && capacity.empty() && compressionRatio.empty());
}

std::vector<Method> MethodOptions::methods() const
{
    std::vector<Method> result;
    for (const std::string& spec : specs)
        result.push_back(parseMethod(spec));
    return result;
}

std::vector<Budget> MethodOptions::budgets() const
{
    std::vector<Budget> result;
    for (const std::string& text : keep)
        result.push_back(Budget::keep(std::string_view(text)));
    for (const std::string& text : capacity)
        result.push_back(Budget::capacity(std::string_view(text)));
    for (const std::string& text : compressionRatio)
        result.push_back(Budget::compressionRatio(text));
    return result;
}

std::optional<Budget> MethodOptions::decodeBudget() const
{
    return decodeKeep.empty() ? std::nullopt : std::optional(Budget::keep(std::string_view(decodeKeep)));
}

} // namespace kvloupe
