// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/replay_command.h"

#include "app/commands/method_options.h"
#include "app/commands/option_check.h"
#include "app/commands/sample_options.h"
#include "core/error.h"
#include "core/progress/interrupt.h"
#include "core/progress/progress.h"
#include "core/replay/replay.h"
#include "core/replay/replay_json.h"

#include <charconv>
#include <CLI/CLI.hpp>
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
    SampleOptions samples;
    MethodOptions methods;
    std::string at = "prefill";
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
    const std::optional<Budget> decodeBudget = options.methods.decodeBudget();
    const std::vector<ScoredSample> scored = replay.score(sample, layout, methods);
    std::vector<Line> lines;
    std::vector<ReplayResult> results;
    for (const ScoredSample& one : scored) {
        one.prepare(budgets);
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
    const std::vector<int> samples = options.samples.samplesOf(recording);
    const std::vector<Budget> budgets = options.methods.budgets();
    const std::vector<Method> methods = options.methods.methods();
    const SampleLayouts layouts(recording, options.samples);

    const Replay replay(recording);
    if (options.csv)
        fmt::print("{}\n", replayCsvHeader());
    progress.begin("replaying", static_cast<double>(samples.size()));
    for (std::size_t done = 0; done < samples.size(); ++done) {
        progress.clear();
        replaySample(options, recording, replay, samples[done], layouts.of(samples[done]), methods, budgets);
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
    options->methods.addTo(*command);
    options->samples.addTo(*command);
    command
        ->add_option(
            "--at", options->at, "When to look: prefill, end (after all generated tokens), or step:N (after N of them)")
        ->capture_default_str()
        ->check(parses([](const std::string& text) {
            if (!momentFromText(text))
                throw Error(fmt::format("found \"{}\", expected prefill, end or step:N", text));
        }))
        ->type_name("WHEN");
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
        options->methods.require();
        runReplay(*options);
    });
}

} // namespace kvloupe
