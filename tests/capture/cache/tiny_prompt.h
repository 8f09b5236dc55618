// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/batch_decoder.h"
#include "capture/cache/cpu_live_model.h"
#include "capture/cache/live_prompt.h"
#include "capture/cache/token_pages.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/transformer.h"
#include "capture/recorder/capture_session.h"
#include "core/methods/method_registry.h"
#include "core/recording/recording.h"
#include "tests/support/temporary_folder.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

/// The random llama of tests/data: 2 layers, 4 query heads over 2 KV heads of 8, vocabulary 64, context 256.
inline std::filesystem::path tinyModelPath()
{
    return std::filesystem::path(KVLOUPE_TEST_DATA) / "tiny_llama";
}

inline std::shared_ptr<Transformer> tinyModel(int threads = 2)
{
    return Transformer::load(*Checkpoint::open(tinyModelPath()), {threads, {}});
}

inline std::vector<std::int32_t> tinyIds(int length, int seed = 0)
{
    std::vector<std::int32_t> ids;
    for (int i = 0; i < length; ++i)
        ids.push_back((7 * i * i + 3 * i + length + 13 * seed) % 60 + 4);
    return ids;
}

/// Instruction, three few-shot examples and a question.
inline PromptLayout tinyLayout(std::int64_t tokens)
{
    std::vector<Span> spans{{0, 10, SpanKind::Instruction, -1, ""}};
    const std::int64_t each = (tokens - 30) / 3;
    for (std::int32_t shot = 0; shot < 3; ++shot)
        spans.push_back({10 + shot * each, 10 + (shot + 1) * each, SpanKind::Shot, shot, ""});
    spans.push_back({tokens - 15, tokens, SpanKind::Question, -1, ""});
    return {tokens, tokens, std::move(spans)};
}

inline std::vector<Method> methodsOf(std::span<const std::string> specs)
{
    std::vector<Method> methods;
    for (const std::string& spec : specs)
        methods.push_back(parseMethod(spec));
    return methods;
}

/// Every method of the registry at its defaults and every preset.
inline std::vector<Method> everyMethod()
{
    std::vector<Method> methods;
    for (const MethodInfo& info : methodRegistry()) {
        if (info.takesPath)
            continue;
        methods.push_back(parseMethod(info.name));
        for (const PresetInfo& preset : info.presets)
            methods.push_back(parseMethod(info.name + "@" + preset.name));
    }
    return methods;
}

/// Records a prompt with queries, keys and values, and greedy tokens after it.
inline Recording recordTiny(const TemporaryFolder& folder, const std::vector<std::int32_t>& ids,
    std::int64_t generate = 0, const std::filesystem::path& model = tinyModelPath())
{
    CaptureOptions options;
    options.model = model;
    options.out = folder.path() / "tiny.h5";
    options.kind = RecordKind::QueriesKeys;
    options.outputNorms = true;
    options.generate = generate;
    options.prompts.emplace_back().ids = ids;
    CaptureSession(options, {}).run();
    return Recording::open(options.out);
}

/// Key of alive(list)[index].
inline std::vector<float> keyOf(const LayerCache& layer, int list, std::size_t index)
{
    return dynamic_cast<const TokenPages&>(layer.store(list)).key(layer.slots(list)[index]);
}

} // namespace kvloupe
