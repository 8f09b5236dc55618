// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/sample_options.h"

#include "core/error.h"
#include "core/prompt/span_json.h"
#include "core/replay/evidence_builder.h"

#include <algorithm>
#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace kvloupe {

void SampleOptions::addTo(CLI::App& command)
{
    command.add_option("--sample", names, "Number or id of a sample; all without; may be given several times")
        ->allow_extra_args(false)
        ->type_name("SAMPLE");
    command
        .add_option("--spans", spans,
            "JSON file with the token ranges of instruction, shots and question, in place of the recorded ones")
        ->type_name("FILE");
}

std::vector<int> SampleOptions::samplesOf(const Recording& recording) const
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

SampleLayouts::SampleLayouts(const Recording& recording, const SampleOptions& options)
    : m_recording(&recording)
{
    if (!options.spans.empty())
        m_spans = readSpanFile(options.spans);
}

PromptLayout SampleLayouts::of(int sample) const
{
    const SampleInfo& info = m_recording->sample(sample);
    return m_spans ? PromptLayout(info.promptTokens, info.totalTokens, *m_spans) : promptLayout(*m_recording, sample);
}

} // namespace kvloupe
