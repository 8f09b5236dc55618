// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace kvloupe {

class ItemDraws;
class Task;
class Tokenizer;
struct TaskItem;

/// What an adapter is taught: short worked answers, or `<think>` traces with restating, steps and a check.
enum class AdapterStyle { Instruct, Reasoning };

/// A prompt of the suite `fundamental` with a worked answer behind it, tokenized apart as a running model meets them;
/// ends with the end-of-sequence token.
struct TrainingExample {
    std::string task;
    int level = 0;
    std::vector<std::int32_t> ids;
    std::int64_t answerBegin = 0; ///< first token of the answer
};

/// One task at one level and how often it is shown.
struct MixturePart {
    std::string_view task;
    int level = 1;
    double weight = 1.0;
};

/// An endless list of training examples, each a hash of (seed, number).
///
/// Items come from seeds of 1,000,000,000 on, evaluations use seeds from 0 on. The questions of items 0 to 99 of seed 0
/// of every task and level are held out: none is ever shown with the answer it has there. (The tables behind `wk` and
/// `csr` are finite: a held-out question's fact is still shown in other wordings.) Const and thread-safe.
class TrainingMixture {
public:
    static constexpr std::int64_t heldOutItems = 100;

    /// `tokenizer` outlives this object. Examples are at most `maximumTokens` long, which takes at least 300 tokens.
    TrainingMixture(const Tokenizer& tokenizer, std::int32_t endId, AdapterStyle style, std::uint64_t seed,
        std::int64_t maximumTokens);

    TrainingExample example(std::uint64_t number) const;

    static std::span<const MixturePart> parts();

private:
    TaskItem draw(const MixturePart& part, ItemDraws& draws, std::uint64_t itemSeed, int shots) const;

    const Tokenizer& m_tokenizer;
    std::int32_t m_endId;
    AdapterStyle m_style;
    std::uint64_t m_seed;
    std::int64_t m_maximumTokens;
    std::unordered_set<std::string> m_heldOut; // question and answer
};

} // namespace kvloupe
