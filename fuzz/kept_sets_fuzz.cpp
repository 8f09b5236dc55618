// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/kept_sets.h"
#include "core/methods/method_error.h"
#include "fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    const ScratchFile input({data, size});
    try {
        const KeptSets sets = KeptSets::read(input.path());
        const GivenSets chooser(sets);
        // A recording of two layers and two heads, as if the file had been made for it.
        const PromptLayout layout(64);
        const std::vector<int> layers{0, 1};
        Scores scores{sets.granularity()};
        scores.sets = 2;
        scores.tokens = 64;
        const std::vector<Scores> both(2, scores);
        for (const KeptLine& line : sets.lines()) {
            const Budget budget = line.budget.value_or(Budget::capacity(1));
            try {
                const ChoiceContext context{layers, 2, 2, budget, layout, line.sample};
                for (const KeepSet& keep : chooser.choose(both, context))
                    for (const auto& set : keep.sets)
                        if (!set.empty() && (set.front() < 0 || set.back() >= 64))
                            return -1;
            } catch (const MethodError&) {
                // It was made for another one.
            }
        }
    } catch (const MethodError&) {
        return 0;
    }
    return 0;
}
