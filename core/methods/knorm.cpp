// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/knorm.h"

#include "core/methods/group_reduction.h"
#include "core/methods/nearest_names.h"
#include "core/methods/parameter_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <utility>

namespace kvloupe {

EvidenceNeeds KeyNormScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.keyNorms = true;
    return needs;
}

Scores KeyNormScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    Scores scores = emptyScores(Granularity::KvHead, evidence);
    scores.values.resize(evidence.keyNorms.size());
    std::ranges::transform(evidence.keyNorms, scores.values.begin(), std::negate<>());
    return scores;
}

LayerSelection::LayerSelection(std::string_view text)
{
    if (text == "none")
        return;
    const auto fail = [&] {
        return MethodError(fmt::format("skip_layers is '{}', expected none, or numbers and ranges of layers joined by "
                                       "'+' as in 0-1+7",
            shownName(text)));
    };
    const auto number = [&](std::string_view digits) {
        int value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc() || end != digits.data() + digits.size() || value < 0)
            throw fail();
        return value;
    };
    std::string_view rest = text;
    for (bool more = true; more;) {
        const auto plus = rest.find('+');
        const std::string_view item = rest.substr(0, plus);
        const auto dash = item.find('-');
        const int first = number(item.substr(0, dash));
        const int last = dash == std::string_view::npos ? first : number(item.substr(dash + 1));
        if (last < first)
            throw fail();
        m_ranges.push_back({first, last});
        more = plus != std::string_view::npos;
        if (more)
            rest.remove_prefix(plus + 1);
    }
}

bool LayerSelection::contains(int layer) const
{
    return std::ranges::any_of(
        m_ranges, [layer](const Range& range) { return layer >= range.first && layer <= range.last; });
}

TopOutsideLayers::TopOutsideLayers(LayerSelection exempt, BudgetRule rounding)
    : m_exempt(std::move(exempt))
    , m_best({0, 0, rounding})
{
}

std::vector<KeepSet> TopOutsideLayers::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<KeepSet> result;
    for (std::size_t index = 0; index < scores.size(); ++index) {
        const bool exempt = m_exempt.contains(context.layers[index]);
        if (exempt)
            context.note("the layers of skip_layers are kept whole, beyond the budget");
        const auto one = scores.subspan(index, 1);
        result.push_back(std::move((exempt ? KeepAll().choose(one, context) : m_best.choose(one, context)).front()));
    }
    return result;
}

std::vector<LayerRanking> TopOutsideLayers::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result;
    for (std::size_t index = 0; index < scores.size(); ++index) {
        if (!m_exempt.contains(context.layers[index])) {
            result.push_back(std::move(m_best.rank(scores.subspan(index, 1), context).front()));
            continue;
        }
        const std::vector<Guard> guards(static_cast<std::size_t>(scores[index].tokens), Guard::Layer);
        result.emplace_back().sets.resize(static_cast<std::size_t>(context.kvHeads), {{}, guards});
    }
    return result;
}

MethodInfo knormMethod()
{
    MethodInfo info;
    info.name = "knorm";
    info.title = "Knorm";
    info.summary = "Keeps the keys of the smallest norm, which tend to draw most attention.";
    info.source = "Devoto et al. 2024, arXiv 2406.11430, section 3";
    info.parameters = {
        {"skip_layers", ParameterInfo::Type::Text, "none", "layers that are kept whole: none, or as in 0-1+7", 0, 0,
            {}},
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress", {{"budget_rounding", "trunc_double"}}, "KnormPress of kvpress: all layers"},
        {"kvcf", {{"skip_layers", "0-1"}, {"budget_rounding", "round_half_even"}},
            "L2Norm of KVCache-Factory: layers 0 and 1 stay whole"},
    };
    info.make = [](const ParameterValues& values) {
        Method method;
        method.granularity = Granularity::KvHead;
        method.scorer = std::make_shared<KeyNormScorer>();
        method.chooser
            = std::make_shared<TopOutsideLayers>(LayerSelection(values.at("skip_layers")), budgetRule(values));
        return method;
    };
    return info;
}

} // namespace kvloupe
