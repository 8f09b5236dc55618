// SPDX-License-Identifier: GPL-3.0-or-later

// Seconds that one encoding of a text takes, the best of several, as JSON. peer_tokenizers.py sets it beside Hugging
// Face's tokenizers.
//
// usage: tokenizer_benchmark TOKENIZER TEXT.txt [ROUNDS]

#include "capture/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

int main(int argc, char** argv)
{
    using Clock = std::chrono::steady_clock;
    if (argc < 3) {
        fmt::print(stderr, "usage: tokenizer_benchmark TOKENIZER TEXT.txt [ROUNDS]\n");
        return 2;
    }
    try {
        const auto began = Clock::now();
        const auto tokenizer = kvloupe::Tokenizer::open(argv[1]);
        const std::chrono::duration<double> load = Clock::now() - began;
        std::ifstream file(argv[2], std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        double best = std::numeric_limits<double>::max();
        std::size_t tokens = 0;
        for (int round = 0; round < (argc > 3 ? std::stoi(argv[3]) : 5); ++round) {
            const auto start = Clock::now();
            tokens = tokenizer->encode(text).ids.size();
            best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
        }
        fmt::print("{{\"bytes\": {}, \"tokens\": {}, \"seconds\": {:.6f}, \"load_seconds\": {:.6f}}}\n", text.size(),
            tokens, best, load.count());
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
