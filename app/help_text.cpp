// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/help_text.h"

#include <algorithm>
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <sstream>
#include <utility>

namespace kvloupe {

namespace {

constexpr std::size_t helpColumns = 100;
constexpr std::size_t nameColumns = 28;

class HelpFormatter final : public CLI::Formatter {
public:
    HelpFormatter()
    {
        column_width(nameColumns);
        label("SUBCOMMAND", "COMMAND");
        label("Positionals", "Arguments");
    }

    std::string make_description(const CLI::App* app) const override
    {
        return wrapped(app->get_description(), helpColumns) + "\n";
    }

    /// Commands are typed after `kvloupe`, whichever program carries them out.
    std::string make_usage(const CLI::App* app, std::string name) const override
    {
        for (const std::string_view program : {"kvloupe-run ", "kvloupe-view "}) {
            if (name.starts_with(program))
                name.replace(0, program.size(), "kvloupe ");
        }
        return CLI::Formatter::make_usage(app, std::move(name));
    }

    std::string make_option_opts(const CLI::Option* option) const override
    {
        std::string result = option->nonpositional() ? valueText(*option) : std::string();
        result.insert(0, result.empty() ? "" : " ");
        return result + (option->nonpositional() && option->get_required() ? " (required)" : "");
    }

    std::string make_option_desc(const CLI::Option* option) const override
    {
        std::string text = option->get_description();
        if (!option->get_default_str().empty())
            text += fmt::format(" [{}]", option->get_default_str());
        return wrapped(text, helpColumns - nameColumns);
    }

    std::string make_subcommand(const CLI::App* command) const override
    {
        std::ostringstream out;
        CLI::detail::format_help(
            out, command->get_name(), wrapped(command->get_description(), helpColumns - nameColumns), nameColumns);
        return out.str();
    }
};

void setFormatter(CLI::App& app, const std::shared_ptr<HelpFormatter>& formatter)
{
    app.formatter(formatter);
    if (app.get_group() == "Subcommands")
        app.group("Commands");
    for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
        setFormatter(*command, formatter);
}

} // namespace

std::string valueText(const CLI::Option& option)
{
    if (option.get_type_size() == 0)
        return {};
    std::string type = option.get_type_name();
    const auto choices = type.find('{');
    if (choices != std::string::npos && type.ends_with('}')) {
        type = type.substr(choices + 1, type.size() - choices - 2);
        std::ranges::replace(type, ',', '|');
        return type;
    }
    // A type name may carry what a check says of itself: "INT:NONNEGATIVE", "INT in [0 - 4096]".
    type.erase(std::min(type.find(" in ["), type.size()));
    if (const auto colon = type.find(':'); colon != std::string::npos && type.find(',') == std::string::npos)
        type.erase(colon);
    return type;
}

std::string wrapped(std::string_view text, std::size_t columns)
{
    std::string result;
    std::size_t length = 0;
    std::istringstream words{std::string(text)};
    for (std::string word; words >> word;) {
        if (length > 0 && length + 1 + word.size() > columns) {
            result += '\n';
            length = 0;
        }
        result += length > 0 ? " " : "";
        result += word;
        length += word.size() + (length > 0 ? 1 : 0);
    }
    return result;
}

void formatHelp(CLI::App& program)
{
    setFormatter(program, std::make_shared<HelpFormatter>());
}

} // namespace kvloupe
