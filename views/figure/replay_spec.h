// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/keep_set.h"
#include "core/prompt/prompt_layout.h"
#include "views/figure/panel.h"
#include "views/session/sample_model.h"

#include <QColor>
#include <QString>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

class Recording;
class ScoredSample;
class SpecFields;

/// What figures of a replayed sample have in common.
struct ReplaySpec {
    std::filesystem::path recording;
    std::string sample = "0"; ///< its number, or its id
    std::optional<int> layer; ///< nothing = all
    std::optional<int> head; ///< query head, with a layer only; nothing = all
    std::vector<std::string> methods; ///< SPECs
    Budget budget = Budget::keep("0.3");
    std::optional<TokenRange> keys; ///< nothing = the whole prompt
    std::optional<std::string> title; ///< nothing = the figure's own; "" = none
    double widthMm = 120.0;
    double heightMm = 0.0; ///< 0 = as needed
    double fontPoints = 8.0;
    int dpi = 300;
};

/// Fields as the command line names its options. Unknown fields are left to the caller. Throws FigureError.
ReplaySpec replaySpecFromFields(SpecFields& fields);
/// The SPEC of figure `name` without what a page decides.
PanelSpec::Json replaySpecToJson(const ReplaySpec& spec, std::string_view name);
/// Throws FigureError for sizes that make no picture, and for a head without a layer.
void checkReplaySpec(const ReplaySpec& spec);

/// "keep 0.3", "64 tokens per head", "compression ratio 0.7".
QString budgetText(const Budget& budget);

/// What one method keeps.
struct ReplayedMethod {
    QString title; ///< "SnapKV", its SPEC where several have that title
    std::string spec;
    QColor color;
    std::shared_ptr<const std::vector<KeepSet>> kept; ///< of the layers that were asked for
};

/// A sample with what methods keep of it.
struct ReplayedSample {
    ReplaySpec spec;
    std::string recordingUuid;
    SampleModelPtr sample;
    std::vector<LayerInfo> layers; ///< that were asked for
    std::vector<ReplayedMethod> methods;

    /// "SmolLM2, all heads", "..., layer 3", "..., layer 3, head 2".
    QString scope() const;
    QString description() const;
    /// "on sample x (712 tokens) of SmolLM2, all heads, at keep 0.3"
    QString circumstances() const;
};

/// Scores and cuts: everything, one layer, or one head. Throws FigureError, MethodError or RecordingError.
ReplayedSample replaySample(const Recording& recording, const ReplaySpec& spec);
/// Throws FigureError if a figure named `name` needs methods and has none.
void requireMethods(const ReplaySpec& spec, std::string_view name, std::size_t least);

} // namespace kvloupe
