// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/recorder/capture_device.h"
#include "capture/recorder/prompt_preparation.h"
#include "core/recording/attention_recorder.h"
#include "core/recording/recording_types.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

class Adapter;
class CaptureDevice;
class Transformer;
enum class WeightPlacement;

/// What `kvloupe capture` is asked to do; the command line and the Record dialog both end up here.
struct CaptureOptions {
    std::filesystem::path model;
    std::string modelName; ///< as the user named it
    std::filesystem::path out;
    std::vector<PromptInput> prompts;
    std::optional<RecordKind> kind; ///< empty: full while the maps of a sample stay under 2 GiB, else qk
    Compression compression = Compression::Fast;
    std::int64_t generate = 0; ///< tokens, greedy
    std::int64_t decodeRows = -1; ///< the last n generated rows, negative = all
    std::vector<int> layers; ///< to record, empty = all
    bool rowOrder = false; ///< also Gini and top masses of rows (statistics recordings always have them)
    bool outputNorms = false; ///< also 1-norms of W_o,h v
    std::map<int, std::vector<int>> mapHeads; ///< layer: heads with maps; empty = all of them
    PromptRules rules;
    std::string chatTemplate; ///< overrides the model's
    std::shared_ptr<const Adapter> adapter; ///< may be null
    std::string role; ///< empty: what the adapter says
    std::string command; ///< for the recording, prompt text left out
    std::shared_ptr<CaptureDevice> device; ///< where the model runs; null = on the CPU
    int threads = 0; ///< 0 = all cores
    /// Bytes; 0 = what is available. Weights that do not fit stay in their file and are read piece by piece.
    std::uint64_t memoryLimit = 0;
    bool overwrite = false;
    bool resume = false;
    bool merge = true;
};

/// What a run of a model tells on its way; every member may be empty.
struct RunEvents {
    std::function<void(std::string_view message)> say; ///< a line for the user
    /// A stage ("load model", "sample 2 of 10") and its fraction in [0, 1]; false cancels.
    std::function<bool(std::string_view stage, double fraction)> progress;
};

/// Bytes on disk and in memory, seconds of work: what `capture --estimate` prints.
struct CaptureEstimate {
    RecordKind kind = RecordKind::Full;
    std::uint64_t fileBytes = 0; ///< before compression; maps typically shrink to about half
    std::uint64_t mapBytes = 0; ///< of these
    std::uint64_t memoryBytes = 0;
    WeightPlacement placement = {}; ///< what `memoryBytes` is of
    std::optional<double> seconds; ///< from a timed run of the model on the first tokens; never of a device
    std::optional<DeviceCost> device; ///< where the model runs on one
};

struct CaptureSummary {
    int recorded = 0;
    int resumed = 0; ///< samples that were there already
    std::uint64_t fileBytes = 0;
    double forwardSeconds = 0.0;
};

/// Real forward passes into a recording.
///
/// Everything that can be wrong with the input (unknown template, text that is not UTF-8, an empty prompt, one longer
/// than the context, heads that do not exist) is found by the constructor, before anything is written.
class CaptureSession {
public:
    /// `model` may be given when it is loaded already, with the adapter; otherwise it is loaded when it is first
    /// needed.
    CaptureSession(CaptureOptions options, RunEvents events, std::shared_ptr<Transformer> model = nullptr);
    ~CaptureSession();

    std::span<const PreparedPrompt> prompts() const;
    RecordKind kind() const;
    /// Loads the model and waits for the hash of its weights; otherwise run() does so.
    void prepare();
    CaptureEstimate estimate(bool timed);
    /// Records every prompt. Cancelled by events.progress: finished samples stay, Cancelled is thrown.
    CaptureSummary run();

private:
    struct State;
    std::unique_ptr<State> m_state;
};

/// One line per sample about its spans, for people: "sample 0: 712 tokens, instruction 0-12, 8 shots, question
/// 690-712".
std::string describeSpans(const PreparedPrompt& prompt);

} // namespace kvloupe
