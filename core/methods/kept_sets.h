// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/chooser.h"
#include "core/methods/method.h"
#include "core/methods/method_registry.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

/// Kept sets of one sample at one budget, as another program wrote them.
struct KeptLine {
    std::int64_t number = 0; ///< in the file, from 1
    int sample = 0;
    std::optional<std::int64_t> promptTokens; ///< of the prompt they were made for
    std::optional<Budget> budget;
    std::string method; ///< for messages; may be empty
    Granularity granularity = Granularity::KvHead;
    Fidelity fidelity = Fidelity::Exact;
    std::map<int, KeepSet> layers; ///< positions ascend; every layer has as many sets
};

/// A file of kept sets: JSON lines in the form that `kvloupe replay --json` prints.
///
/// Of a line, `sample` and `kept` {layer: {head: [positions]}} must be there; `prompt_tokens`, `budget` {"keep": "0.3"}
/// or `keep`, `granularity` (without it kv_head), `fidelity`, `method` and `at` (must be "prefill") are checked if they
/// are; everything else is skipped. Memory: 4 bytes per position, some 100 per head, layer and line.
class KeptSets {
public:
    static constexpr std::int64_t largestFile = std::int64_t{2} << 30; ///< bytes
    static constexpr std::int64_t longestLine = std::int64_t{256} << 20; ///< bytes
    static constexpr std::int64_t largestMemory = std::int64_t{4} << 30; ///< bytes

    /// Throws MethodError naming file, line and field, what was found and what was expected.
    static KeptSets read(const std::filesystem::path& path);

    std::span<const KeptLine> lines() const { return m_lines; }
    Granularity granularity() const { return m_lines.front().granularity; } ///< the same in all lines
    Fidelity fidelity() const; ///< the least exact of all lines

    /// The line of `sample` whose budget is `budget`, or else its only line. Throws MethodError if there is none, or
    /// more than one.
    const KeptLine& find(int sample, const Budget& budget) const;
    /// Begins messages about a line: "kept.jsonl: line 3".
    std::string where(const KeptLine& line) const;

private:
    std::string m_file;
    std::vector<KeptLine> m_lines;
};

/// Keeps what a file says, after checking that it fits the layers at hand.
class GivenSets final : public Chooser {
public:
    explicit GivenSets(KeptSets sets);

    ChooserScope scope() const override { return ChooserScope::Model; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
    std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    KeptSets m_sets;
};

/// `file:PATH`.
MethodInfo keptSetsMethod();

} // namespace kvloupe
