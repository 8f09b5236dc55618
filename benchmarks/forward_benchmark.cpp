// SPDX-License-Identifier: GPL-3.0-or-later

// The plain forward pass (logits and nll for all positions) against the rate of OpenBLAS on this machine, measured in
// the same run on as many threads. Prints one JSON object.
//
//   forward_benchmark MODEL [--tokens 712,2048] [--threads 2] [--repeat 5] [--decode 16] [--streamed [--cold]]
//       [--last-logits]
//
// --streamed leaves the weights in their files; --cold has the kernel forget the files before every pass and before
// every decoded token. Both print how long reading the files alone takes, as cold or warm as the passes find them.
// --last-logits measures passes that give the last logits alone as well.

#include "capture/checkpoint/checkpoint.h"
#include "capture/model/blas_info.h"
#include "capture/model/model_weights.h"
#include "capture/model/transformer.h"

#include <cblas.h>
#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

namespace {

using namespace kvloupe;
using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point begin)
{
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Giga floating-point operations per second of square products of 1,024 rows, `threads` at once.
double productRate(int threads)
{
    constexpr int edge = 1024;
    constexpr int repeat = 16;
    const auto multiply = [] {
        const std::vector<float> a(std::size_t{edge} * edge, 0.5F);
        std::vector<float> c(a.size());
        for (int i = 0; i < repeat; ++i) {
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, edge, edge, edge, 1.0F, a.data(), edge, a.data(), edge,
                0.0F, c.data(), edge);
        }
    };
    const auto begin = Clock::now();
    std::vector<std::jthread> workers;
    for (int i = 0; i < threads; ++i)
        workers.emplace_back(multiply);
    workers.clear();
    return 2.0 * edge * edge * edge * repeat * threads / secondsSince(begin) / 1e9;
}

/// Operations of the matrix products of one pass: twice the multiply-adds, attention counted for causal cells only.
double operations(const ModelConfig& config, std::int64_t tokens)
{
    const double hidden = config.hiddenSize;
    const double heads = static_cast<double>(config.numHeads) * config.headDim;
    const double kvHeads = static_cast<double>(config.numKvHeads) * config.headDim;
    const double n = static_cast<double>(tokens);
    const double perToken = 2 * hidden * heads + 2 * hidden * kvHeads + 3.0 * hidden * config.intermediateSize;
    const double attention = heads * n * n; // half of the cells, two products
    return 2 * (config.numLayers * (perToken * n + attention) + n * hidden * config.vocabSize);
}

std::int64_t peakBytes()
{
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmHWM:"))
            return std::stoll(line.substr(6)) * 1024;
    }
    return 0;
}

std::vector<std::filesystem::path> filesOf(const std::filesystem::path& model)
{
    if (!std::filesystem::is_directory(model))
        return {model};
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(model))
        if (entry.path().extension() == ".safetensors")
            files.push_back(entry.path());
    return files;
}

/// Has the kernel forget what it holds of the files.
void forget(const std::vector<std::filesystem::path>& files)
{
    for (const auto& path : files) {
        const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        ::fsync(file);
        ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        ::close(file);
    }
}

/// Seconds in which `threads` threads read all of the files.
double readSeconds(const std::vector<std::filesystem::path>& files, int threads)
{
    constexpr std::size_t piece = std::size_t{8} << 20;
    const auto begin = Clock::now();
    for (const auto& path : files) {
        const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        std::atomic<std::size_t> next = 0;
        std::vector<std::jthread> workers;
        for (int i = 0; i < threads; ++i) {
            workers.emplace_back([&] {
                std::vector<char> buffer(piece);
                while (::pread(file, buffer.data(), piece, static_cast<off_t>(next.fetch_add(1) * piece)) > 0) { }
            });
        }
        workers.clear();
        ::close(file);
    }
    return secondsSince(begin);
}

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

} // namespace

int main(int argc, char** argv)
{
    CLI::App program("forward_benchmark");
    std::string modelPath;
    std::vector<std::int64_t> lengths{712, 2048};
    int threads = 2;
    int repeat = 5;
    int decoded = 16;
    bool streamed = false;
    bool cold = false;
    bool lastAlone = false;
    program.add_option("model", modelPath)->required();
    program.add_option("--tokens", lengths)->delimiter(',');
    program.add_option("--threads", threads);
    program.add_option("--repeat", repeat);
    program.add_option("--decode", decoded);
    CLI::Option* const streams = program.add_flag("--streamed", streamed);
    program.add_flag("--cold", cold)->needs(streams);
    program.add_flag("--last-logits", lastAlone);
    CLI11_PARSE(program, argc, argv);

    const auto loadBegin = Clock::now();
    const auto checkpoint = Checkpoint::open(modelPath);
    LoadOptions load;
    load.threads = threads;
    load.placement = streamed ? WeightPlacement::Streamed : WeightPlacement::Resident;
    const auto model = Transformer::load(*checkpoint, load);
    const BlasInfo blas = loadedBlas();
    nlohmann::json result{{"load_seconds", secondsSince(loadBegin)}, {"blas", blas.library}, {"kernels", blas.core},
        {"threads", threads}, {"weights", streamed ? "streamed" : "resident"}, {"cold", cold}};
    const std::vector<std::filesystem::path> files = filesOf(modelPath);
    const auto chill = [&] {
        if (cold)
            forget(files);
    };
    if (streamed) {
        if (!cold)
            readSeconds(files, threads);
        chill();
        result["read_seconds"] = readSeconds(files, threads);
    }

    for (const std::int64_t tokens : lengths) {
        std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens));
        for (std::size_t i = 0; i < ids.size(); ++i)
            ids[i] = static_cast<std::int32_t>(i * 7919 % static_cast<std::size_t>(model->config().vocabSize));
        std::vector<double> passes;
        std::vector<double> passesForLast;
        std::vector<double> rates;
        std::vector<double> shares;
        for (int i = 0; i < repeat; ++i) {
            rates.push_back(productRate(threads));
            KvCache cache = model->makeCache(tokens);
            chill();
            const auto begin = Clock::now();
            model->prefill(ids, cache);
            passes.push_back(secondsSince(begin));
            shares.push_back(operations(model->config(), tokens) / passes.back() / 1e9 / rates.back());
            if (lastAlone) {
                KvCache another = model->makeCache(tokens);
                chill();
                const auto beginLast = Clock::now();
                model->prefill(ids, another, {.positionLogits = false});
                passesForLast.push_back(secondsSince(beginLast));
            }
        }
        KvCache cache = model->makeCache(tokens + decoded);
        model->prefill(ids, cache, {.positionLogits = false});
        std::vector<double> steps;
        for (int i = 0; i < decoded; ++i) {
            chill();
            const auto begin = Clock::now();
            model->decode(7, cache);
            steps.push_back(secondsSince(begin));
        }
        result["prefill"].push_back({{"tokens", tokens}, {"seconds", median(passes)},
            {"gflop_per_second", operations(model->config(), tokens) / median(passes) / 1e9},
            {"product_gflop_per_second", median(rates)}, {"share_of_product_rate", median(shares)},
            {"decode_seconds_per_token", median(steps)}});
        if (!passesForLast.empty())
            result["prefill"].back()["seconds_last_logits"] = median(passesForLast);
    }
    result["peak_bytes"] = peakBytes();
    fmt::print("{}\n", result.dump(2));
    return 0;
}
