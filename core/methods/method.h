// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/decode_policy.h"
#include "core/methods/layer_pruner.h"
#include "core/methods/method_error.h"
#include "core/methods/scorer.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kvloupe {

/// How far a replay from full-attention records can be trusted (docs/methods.md).
enum class Fidelity { Exact, Renormalised, Approximate };
std::string_view fidelityName(Fidelity fidelity); ///< "exact", "renormalised", "approximate"

/// Where keys stand after a cut: at their own positions, or moved together to 0 .. n-1. Matters to live caches only.
enum class PositionMode { Keep, Rerotate };

/// A compression method with its parameters fixed: at most four parts. Cheap to copy, immutable, shared by replay, live
/// cache and tests.
struct Method {
    std::string name; ///< registry name: "snapkv"
    std::string spec; ///< as the user wrote it: "snapkv@kvpress:window=32"
    std::map<std::string, std::string> parameters; ///< every parameter with its effective value, as text
    Granularity granularity = Granularity::KvHead;
    Fidelity fidelity = Fidelity::Exact; ///< of what it keeps of the prompt; see fidelityWhileDecoding()
    PositionMode positions = PositionMode::Keep;
    std::shared_ptr<const Scorer> scorer; ///< null = the choice needs no scores
    std::shared_ptr<const Chooser> chooser;
    std::shared_ptr<const DecodePolicy> decodePolicy; ///< prototype to clone per set; null = all generated tokens stay
    std::shared_ptr<const LayerPruner> layerPruner; ///< null for all but PyramidInfer

    /// What the scorer wants to see.
    EvidenceNeeds needs(const PromptLayout& layout) const;
    /// Scores of one layer; without a scorer an empty Scores of the right shape.
    Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const;
    /// Of what it keeps after generated tokens: a policy that reads attention, queries or keys sees those of full
    /// attention, renormalised.
    Fidelity fidelityWhileDecoding() const;
    /// The method with its scorer's pooling switched off; nothing if it does not pool.
    std::optional<Method> withoutPooling() const;
};

} // namespace kvloupe
