// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/man_page.h"

#include "app/help_text.h"
#include "app/version.h"

#include <algorithm>
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <iterator>
#include <sstream>
#include <vector>

namespace kvloupe {

namespace {

/// Text that roff shows as it is, wherever it stands in a line.
std::string roffText(std::string_view text)
{
    std::string result;
    for (const char letter : text) {
        switch (letter) {
        case '\\':
            result += "\\e";
            break;
        case '-':
            result += "\\-";
            break;
        case '\'':
            result += "\\(aq";
            break;
        case '`':
            result += "\\(ga";
            break;
        case '^':
            result += "\\(ha";
            break;
        case '~':
            result += "\\(ti";
            break;
        default:
            result += letter;
        }
    }
    return result;
}

/// A line of its own: a dot at its beginning is no request.
std::string roffLine(std::string_view text)
{
    const std::string escaped = roffText(text);
    return (escaped.starts_with('.') ? "\\&" : "") + escaped + "\n";
}

std::string roffParagraph(std::string_view text)
{
    std::string result;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        result += line.empty() ? ".PP\n" : roffLine(line);
    }
    return result;
}

std::string roffVerbatim(std::string_view text)
{
    std::string result = ".PP\n.EX\n";
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        result += roffLine(line);
    }
    return result + ".EE\n";
}

/// Options of a command and of its option groups, hidden ones left out.
std::vector<const CLI::Option*> optionsOf(const CLI::App& command)
{
    std::vector<const CLI::Option*> result
        = command.get_options([](const CLI::Option* option) { return !option->get_group().empty(); });
    for (const CLI::App* group : command.get_subcommands([](const CLI::App* app) { return app->get_name().empty(); })) {
        std::ranges::copy(optionsOf(*group), std::back_inserter(result));
    }
    return result;
}

std::string optionHeading(const CLI::Option& option)
{
    const std::string type = valueText(option);
    if (!option.nonpositional()) {
        return fmt::format("\\fI{}\\fR", roffText(option.get_name(true)));
    }
    std::string names = "\\fB" + roffText(option.get_name(false, true)) + "\\fR";
    for (std::size_t comma = names.find(','); comma != std::string::npos; comma = names.find(',', comma + 7)) {
        names.replace(comma, 1, "\\fR, \\fB");
    }
    return type.empty() ? names : names + " \\fI" + roffText(type) + "\\fR";
}

std::string manOptions(const CLI::App& command)
{
    std::string result;
    for (const CLI::Option* option : optionsOf(command)) {
        std::string description = option->get_description();
        if (!option->get_default_str().empty())
            description += fmt::format(" [{}]", option->get_default_str());
        result += ".TP\n" + optionHeading(*option) + "\n" + roffParagraph(description);
    }
    return result;
}

std::string synopsis(const CLI::App& command)
{
    std::string result = fmt::format("\\fBkvloupe {}\\fR", roffText(command.get_name()));
    for (const CLI::Option* option : optionsOf(command)) {
        if (!option->nonpositional()) {
            const std::string name = roffText(option->get_name(true));
            const std::string_view dots = option->get_items_expected_max() > 1 ? " ..." : "";
            result += option->get_required() ? fmt::format(" \\fI{}\\fR{}", name, dots)
                                             : fmt::format(" [\\fI{}\\fR{}]", name, dots);
        }
    }
    return result + " [\\fIoptions\\fR]\n";
}

std::string manCommand(const CLI::App& command)
{
    std::string result = ".SS " + roffText(command.get_name()) + "\n" + synopsis(command) + ".PP\n"
        + roffParagraph(command.get_description()) + manOptions(command);
    if (const std::string footer = command.get_footer(); footer.find_first_not_of(" \n") != std::string::npos) {
        result += roffVerbatim(footer.substr(footer.find_first_not_of('\n')));
    }
    for (const CLI::App* nested : command.get_subcommands(
             [](const CLI::App* app) { return !app->get_name().empty() && !app->get_group().empty(); })) {
        result
            += fmt::format(".PP\n\\fBkvloupe {} {}\\fR:\n", roffText(command.get_name()), roffText(nested->get_name()))
            + roffParagraph(nested->get_description()) + manOptions(*nested);
    }
    return result;
}

constexpr std::string_view opening = R"(.SH NAME
kvloupe \- shows what KV\-cache compression throws away
.SH SYNOPSIS
\fBkvloupe\fR \fICOMMAND\fR [\fIarguments\fR]
.SH DESCRIPTION
kvloupe records the attention of language models, replays the keep and evict decisions of KV\-cache compression methods
on the record, and shows them token by token, layer by layer and head by head.
.PP
A model is a GGUF file, a folder in Hugging Face layout (config.json, *.safetensors, tokenizer.json), or a name that
\fBkvloupe models\fR lists.
A recording is an HDF5 file.
.SH COMMANDS
)";

constexpr std::string_view closing = R"(.SH EXIT STATUS
.TP
0
Done.
.TP
1
Failed; one line on standard error says what, where and what to do.
.TP
2
Wrong usage.
.TP
130
Interrupted; files that were being written are valid.
.SH ENVIRONMENT
.TP
\fBXDG_CACHE_HOME\fR
Models that were fetched lie in \fIkvloupe/models\fR below it; the default is \fI\(ti/.cache\fR.
.TP
\fBSOURCE_DATE_EPOCH\fR
Seconds since 1970 that are written in place of the current time, for files that are the same every time.
.SH SEE ALSO
The documents under docs/ in the sources: command\-line.md, recording\-format.md, methods.md.
)";

} // namespace

std::string manCommands(const CLI::App& program)
{
    std::string result;
    for (const CLI::App* command : program.get_subcommands(
             [](const CLI::App* app) { return !app->get_name().empty() && !app->get_group().empty(); })) {
        result += manCommand(*command);
    }
    return result;
}

std::string manPage(const CLI::App& program, std::string_view otherCommands)
{
    std::string result = fmt::format(".TH KVLOUPE 1 \"\" \"kvloupe {}\" \"User Commands\"\n", programVersion);
    result += opening;
    result += manCommands(program);
    result += otherCommands;
    result += ".SH OPTIONS\n" + manOptions(program);
    result += closing;
    return result;
}

} // namespace kvloupe
