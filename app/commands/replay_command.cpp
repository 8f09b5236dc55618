// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/replay_command.h"

#include "core/error.h"
#include "core/methods/method_registry.h"
#include "core/progress/interrupt.h"
#include "core/progress/progress.h"
#include "core/prompt/span_json.h"
#include "core/replay/replay.h"
#include "core/replay/replay_json.h"

#include <algorithm>
#include <charconv>
#include <CLI/CLI.hpp>
#include <cmath>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
    std::string recording;
    std::vector<std::string> samples;
    std::vector<std::string> specs;
    std::vector<std::string> keep;
    std::vector<std::string> capacity;
    std::vector<std::string> compressionRatio;
    std::string decodeKeep;
    std::string at = "prefill";
    std::string spans;
    std::string progress = "bar";
    bool timeline = false;
    bool explain = false;
    bool json = false;
    bool csv = false;
};

/// Generated tokens after which the cache is shown; none = right after the prefill.
struct Moment {
    bool decoding = false;
    std::optional<std::int64_t> steps; ///< empty while decoding = all that were generated
};

std::optional<Moment> momentFromText(std::string_view text)
{
    if (text == "prefill")
        return Moment{};
    if (text == "end")
        return Moment{true, std::nullopt};
    if (!text.starts_with("step:"))
        return std::nullopt;
    text.remove_prefix(5);
    std::int64_t steps = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), steps);
    if (error != std::errc() || end != text.data() + text.size() || steps < 0)
        return std::nullopt;
    return Moment{true, steps};
}

/// A check for CLI11 out of a function that throws Error: what it says becomes a usage error.
template <class Parse> CLI::Validator parses(Parse parse)
{
    return {[parse](std::string& text) {
                try {
                    parse(text);
                    return std::string();
                } catch (const Error& error) {
                    return std::string(error.what());
                }
            },
        ""};
}

std::vector<Budget> budgetsOf(const Options& options)
{
    std::vector<Budget> result;
    for (const std::string& text : options.keep)
        result.push_back(Budget::keep(std::string_view(text)));
    for (const std::string& text : options.capacity)
        result.push_back(Budget::capacity(std::string_view(text)));
    for (const std::string& text : options.compressionRatio)
        result.push_back(Budget::compressionRatio(text));
    return result;
}

std::vector<int> samplesOf(const Recording& recording, const std::vector<std::string>& names)
{
    std::vector<int> result;
    for (int sample = 0; sample < recording.sampleCount(); ++sample) {
        const bool wanted = names.empty() || std::ranges::any_of(names, [&](const std::string& name) {
            return name == std::to_string(sample) || name == recording.sample(sample).id;
        });
        if (wanted)
            result.push_back(sample);
    }
    for (const std::string& name : names) {
        if (std::ranges::none_of(result,
                [&](int sample) { return name == std::to_string(sample) || name == recording.sample(sample).id; }))
            throw Error(fmt::format("{}: no sample is called \"{}\", expected a number from 0 to {}, or an id that "
                                    "`kvloupe info` lists",
                recording.path().string(), name, recording.sampleCount() - 1));
    }
    return result;
}

/// One method at one budget, and what is printed beside the kept sets.
struct Line {
    const ScoredSample* scored = nullptr;
    const Budget* budget = nullptr;
    ReplayContext context;
    std::optional<CacheTimeline> timeline;
    std::optional<Explanation> explanation;
};

void printLine(const Options& options, const Line& line, const ReplayResult& result)
{
    const Method& method = line.scored->method();
    if (options.csv) {
        fmt::print("{}", replayCsv(line.context, method, *line.budget, result));
        return;
    }
    const std::string text = replayJson(line.context, method, *line.budget, result);
    if (!line.explanation && !options.timeline) {
        fmt::print("{}\n", text);
        return;
    }
    Json object = Json::parse(text);
    if (line.explanation)
        object["explanation"] = explanationJson(*line.explanation);
    if (options.timeline && line.timeline)
        object["timeline"] = timelineJson(*line.timeline);
    fmt::print("{}\n", object.dump());
}

void replaySample(const Options& options, const Recording& recording, const Replay& replay, int sample,
    const PromptLayout& layout, const std::vector<Method>& methods, const std::vector<Budget>& budgets)
{
    const Moment moment = momentFromText(options.at).value_or(Moment{});
    const std::optional<Budget> decodeBudget
        = options.decodeKeep.empty() ? std::nullopt : std::optional(Budget::keep(std::string_view(options.decodeKeep)));
    const std::vector<ScoredSample> scored = replay.score(sample, layout, methods);
    std::vector<Line> lines;
    std::vector<ReplayResult> results;
    for (const ScoredSample& one : scored) {
        for (const Budget& budget : budgets) {
            Line line{&one, &budget, {}, std::nullopt, std::nullopt};
            line.context.sample = sample;
            line.context.sampleId = recording.sample(sample).id;
            line.context.promptTokens = recording.sample(sample).promptTokens;
            line.context.at = options.at;
            line.context.fidelity = one.method().fidelity;
            ReplayResult result = one.choose(budget);
            if (options.explain)
                line.explanation = replay.explain(sample, one, budget);
            if (moment.decoding || options.timeline) {
                line.timeline = replay.timeline(sample, one, budget,
                    moment.decoding ? moment.steps : std::optional<std::int64_t>(),
                    decodeBudget ? &*decodeBudget : nullptr);
                if (moment.decoding) {
                    line.context.fidelity = line.timeline->fidelity;
                    result.kept = line.timeline->aliveAfter(line.timeline->steps);
                }
            }
            lines.push_back(std::move(line));
            results.push_back(std::move(result));
        }
    }
    if (!moment.decoding)
        replay.addRetainedMass(sample, results);
    for (std::size_t index = 0; index < lines.size(); ++index)
        printLine(options, lines[index], results[index]);
}

void runReplay(const Options& options)
{
    const InterruptGuard interrupt;
    Progress progress(progressModeFromName(options.progress).value_or(ProgressMode::Bar));
    const Recording recording = Recording::open(options.recording);
    const std::vector<int> samples = samplesOf(recording, options.samples);
    const std::vector<Budget> budgets = budgetsOf(options);
    std::vector<Method> methods;
    for (const std::string& spec : options.specs)
        methods.push_back(parseMethod(spec));
    const std::optional<std::vector<Span>> spans
        = options.spans.empty() ? std::nullopt : std::optional(readSpanFile(options.spans));

    const Replay replay(recording);
    if (options.csv)
        fmt::print("{}\n", replayCsvHeader());
    progress.begin("replaying", static_cast<double>(samples.size()));
    for (std::size_t done = 0; done < samples.size(); ++done) {
        const SampleInfo& info = recording.sample(samples[done]);
        const PromptLayout layout = spans ? PromptLayout(info.promptTokens, info.totalTokens, *spans)
                                          : promptLayout(recording, samples[done]);
        progress.clear();
        replaySample(options, recording, replay, samples[done], layout, methods, budgets);
        if (!progress.advance(static_cast<double>(done + 1)) && done + 1 < samples.size())
            throw Error(
                fmt::format("{}: interrupted after {} of {} samples", options.recording, done + 1, samples.size()));
    }
}

} // namespace

void addReplayCommand(CLI::App& program)
{
    auto options = std::make_shared<Options>();
    CLI::App* command = program.add_subcommand(
        "replay", "Show which tokens methods keep of a recorded prompt, one JSON object per line");
    command->add_option("REC", options->recording, "Recording: an HDF5 file, or the folder of parts of one that grows")
        ->required()
        ->type_name("");
    command
        ->add_option("--method", options->specs,
            "Method as name[@preset][:key=value,...], see `kvloupe methods`; may be given several times")
        ->required()
        ->allow_extra_args(false)
        ->check(parses([](const std::string& text) { parseMethod(text); }))
        ->type_name("SPEC");

    const auto addBudget = [&](const char* name, std::vector<std::string>& values, const char* type, const char* text) {
        return command->add_option(name, values, text)
            ->delimiter(',')
            ->allow_extra_args(false)
            ->type_name(type)
            ->group("Budget, exactly one of these");
    };
    addBudget(
        "--keep", options->keep, "R,R,...", "Shares of the prompt's tokens to keep, in (0, 1]; rounded down exactly")
        ->check(parses([](const std::string& text) { Budget::keep(std::string_view(text)); }));
    addBudget("--capacity", options->capacity, "N,N,...", "Tokens to keep per head")
        ->check(parses([](const std::string& text) { Budget::capacity(std::string_view(text)); }));
    addBudget("--compression-ratio", options->compressionRatio, "C,C,...",
        "Shares of the prompt's tokens to remove, in [0, 1)")
        ->check(parses([](const std::string& text) { Budget::compressionRatio(text); }));

    command
        ->add_option("--sample", options->samples, "Number or id of a sample; all without; may be given several times")
        ->allow_extra_args(false)
        ->type_name("SAMPLE");
    command
        ->add_option(
            "--at", options->at, "When to look: prefill, end (after all generated tokens), or step:N (after N of them)")
        ->capture_default_str()
        ->check(parses([](const std::string& text) {
            if (!momentFromText(text))
                throw Error(fmt::format("found \"{}\", expected prefill, end or step:N", text));
        }))
        ->type_name("WHEN");
    command
        ->add_option("--spans", options->spans,
            "JSON file with the token ranges of instruction, shots and question, in place of the recorded ones")
        ->type_name("FILE");
    command
        ->add_option("--decode-keep", options->decodeKeep,
            "Share of the generated tokens to keep, for methods that evict those (shotkv); as --keep without it")
        ->check(parses([](const std::string& text) { Budget::keep(std::string_view(text)); }))
        ->type_name("R");
    CLI::Option* timeline = command->add_flag("--timeline", options->timeline,
        "Add the life of every token: evicted_at (0 = cut after the prefill, n = after n generated tokens, -1 = "
        "never), "
        "and its score, rank and guard then");
    CLI::Option* explain = command->add_flag("--explain", options->explain,
        "Add why every token stayed or went: score, rank, threshold, what guarded it, what pooling did to it");
    CLI::Option* json = command->add_flag("--json", options->json, "JSON lines; this is the default");
    command->add_flag("--csv", options->csv, "One CSV line per layer and head")
        ->excludes(json)
        ->excludes(timeline)
        ->excludes(explain);
    command->add_option("--progress", options->progress, "bar, json or none")
        ->check(CLI::IsMember({"bar", "json", "none"}))
        ->capture_default_str();
    command->footer(
        "Example:\n  kvloupe replay fewshot.h5 --method snapkv@kvpress --method streaming_llm --keep 0.1,0.3,0.5");
    command->callback([options] {
        const int kinds
            = int(!options->keep.empty()) + int(!options->capacity.empty()) + int(!options->compressionRatio.empty());
        if (kinds != 1)
            throw CLI::ValidationError("budget",
                fmt::format(
                    "found {} kinds, expected exactly one of --keep, --capacity and --compression-ratio", kinds));
        runReplay(*options);
    });
}

} // namespace kvloupe
