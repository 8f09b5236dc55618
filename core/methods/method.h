// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"
#include "core/methods/chooser.h"
#include "core/methods/decode_policy.h"
#include "core/methods/layer_pruner.h"
#include "core/methods/scorer.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace kvloupe {

class MethodError : public Error {
public:
    using Error::Error;
};

/// How far a replay from full-attention records can be trusted (docs/methods.md).
enum class Fidelity { Exact, Renormalised, Approximate };
std::string_view fidelityName(Fidelity fidelity);

/// A compression method with its parameters fixed: at most four parts. Cheap to copy, immutable, shared by replay, live cache and tests.
struct Method {
    std::string name; ///< registry name: "snapkv"
    std::string spec; ///< as the user wrote it: "snapkv@kvpress:window=32"
    std::map<std::string, std::string> parameters; ///< every parameter with its effective value, as text
    Granularity granularity = Granularity::KvHead;
    Fidelity fidelity = Fidelity::Exact;
    std::shared_ptr<const Scorer> scorer;
    std::shared_ptr<const Chooser> chooser;
    std::shared_ptr<const DecodePolicy> decodePolicy; ///< prototype to clone per head; null = generated tokens are all kept
    std::shared_ptr<const LayerPruner> layerPruner; ///< null for all but PyramidInfer

    EvidenceNeeds needs(const PromptLayout& layout) const;
};

} // namespace kvloupe
