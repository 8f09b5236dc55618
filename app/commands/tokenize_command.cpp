// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/tokenize_command.h"

#include "capture/checkpoint/model_catalog.h"
#include "capture/tokenizer/tokenizer.h"
#include "core/error.h"

#include <cerrno>
#include <CLI/CLI.hpp>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace kvloupe {

namespace {

using nlohmann::json;

struct Options {
    std::string model;
    std::string lines;
    std::string jsonLines;
    bool special = false;
    bool addTemplate = false;
    bool offsets = false;

    bool isJson() const { return !jsonLines.empty(); }
    const std::string& input() const { return isJson() ? jsonLines : lines; }
};

/// The text of one line of input: the line itself, or the JSON string (or the "text" of the JSON object) on it.
std::string textOf(const std::string& line, const Options& options, std::size_t number)
{
    if (!options.isJson()) {
        return line;
    }
    const json value = json::parse(line, nullptr, false);
    if (value.is_string()) {
        return value.get<std::string>();
    }
    if (value.is_object() && value.contains("text") && value["text"].is_string()) {
        return value["text"].get<std::string>();
    }
    throw Error(fmt::format(
        "{}: line {}: expected a JSON string, or an object with the string \"text\"", options.input(), number));
}

void printEncoding(const Encoding& encoding, bool withOffsets)
{
    const json ids(encoding.ids);
    std::cout << (withOffsets ? json({{"ids", ids}, {"offsets", encoding.offsets}}).dump() : ids.dump()) << '\n';
}

void tokenizeLines(const Tokenizer& tokenizer, std::istream& input, const Options& options)
{
    std::string line;
    for (std::size_t number = 1; std::getline(input, line); ++number) {
        Encoding encoding;
        try {
            encoding = tokenizer.encode(
                textOf(line, options, number), {.parseSpecial = options.special, .addTemplate = options.addTemplate});
        } catch (const TokenizerError& error) {
            throw Error(fmt::format("{}: line {}: {}", options.input(), number, error.what()));
        }
        if (!encoding.droppedBytes.empty()) {
            fmt::print(stderr,
                "kvloupe: warning: {}: line {}: {} bytes have no token in this vocabulary and are left out, the first "
                "at "
                "byte {}\n",
                options.input(), number, encoding.droppedBytes.size(), encoding.droppedBytes.front());
        }
        printEncoding(encoding, options.offsets);
    }
    if (input.bad()) {
        throw Error(fmt::format("{}: cannot be read: {}", options.input(), std::strerror(errno)));
    }
}

void tokenize(const Options& options)
{
    const auto tokenizer = Tokenizer::open(resolveModel(options.model));
    if (options.input() == "-") {
        return tokenizeLines(*tokenizer, std::cin, options);
    }
    std::ifstream file(options.input(), std::ios::binary);
    if (!file) {
        throw Error(fmt::format("{}: cannot be opened: {}", options.input(), std::strerror(errno)));
    }
    tokenizeLines(*tokenizer, file, options);
}

} // namespace

void addTokenizeCommand(CLI::App& program)
{
    auto options = std::make_shared<Options>();
    options->lines = "-";
    CLI::App* command = program.add_subcommand("tokenize", "Turn lines of text into token ids, one JSON list per line");
    command
        ->add_option(
            "MODEL", options->model, "GGUF file, folder with a tokenizer.json, or a name that `kvloupe models` lists")
        ->required()
        ->type_name("");
    CLI::Option* lines
        = command->add_option("--lines", options->lines, "Text, one per line (default: standard input, also as -)");
    lines->type_name("FILE");
    command
        ->add_option("--json-lines", options->jsonLines,
            "Text that may hold line breaks: per line one JSON string, or an object with \"text\"")
        ->type_name("FILE")
        ->excludes(lines);
    command->add_flag("--special", options->special, "Parse special tokens written in the text");
    command->add_flag("--template", options->addTemplate, "Add the tokens that the model's post-processor adds");
    command->add_flag(
        "--offsets", options->offsets, "Print objects with \"ids\" and \"offsets\" (byte ranges in the text)");
    command->footer("Example:\n  echo 'The capital of France is' | kvloupe tokenize smollm2-135m-instruct");
    command->callback([options] { tokenize(*options); });
}

} // namespace kvloupe
