// SPDX-License-Identifier: GPL-3.0-or-later

// Loads a model, reads a text and prints the id of the greedy next token: what peer_transformers.py times from the
// start of the process to that line.
//
//   first_token_benchmark MODEL --text TEXT [--threads 2]

#include "capture/checkpoint/checkpoint.h"
#include "capture/model/transformer.h"
#include "capture/tokenizer/tokenizer.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <string>

int main(int argc, char** argv)
{
    using namespace kvloupe;
    CLI::App program("first_token_benchmark");
    std::string path;
    std::string text;
    int threads = 2;
    program.add_option("model", path)->required();
    program.add_option("--text", text)->required();
    program.add_option("--threads", threads);
    CLI11_PARSE(program, argc, argv);

    const auto ids = Tokenizer::open(path)->encode(text, {.addTemplate = true}).ids;
    const auto model = Transformer::load(*Checkpoint::open(path), {.threads = threads});
    KvCache cache = model->makeCache(std::ssize(ids));
    const auto logits = model->prefill(ids, cache, {.positionLogits = false}).lastLogits;
    fmt::print("{}\n", std::ranges::max_element(logits) - logits.begin());
}
