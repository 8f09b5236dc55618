// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/transformer.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>
#include <fstream>

namespace kvloupe {
namespace {

std::filesystem::path data(const char* name)
{
    return std::filesystem::path(KVLOUPE_TEST_DATA) / name;
}

/// Logits of transformers with PEFT; make_adapter_reference.py makes them.
class PeftReference {
public:
    PeftReference()
    {
        std::ifstream in(data("tiny_adapters") / "reference.json");
        m_json = nlohmann::json::parse(in);
    }

    std::vector<std::int32_t> ids() const { return m_json.at("ids").get<std::vector<std::int32_t>>(); }

    /// [n, vocab]
    std::vector<float> logits(const char* name) const
    {
        const auto hex = m_json.at(name).get<std::string>();
        std::string bytes;
        for (std::size_t i = 0; i < hex.size(); i += 2)
            bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
        std::vector<float> values(bytes.size() / sizeof(float));
        std::memcpy(values.data(), bytes.data(), bytes.size());
        return values;
    }

private:
    nlohmann::json m_json;
};

/// Largest difference of the logits after every prefix of the reference's prompt.
double largestDifference(const Transformer& model, const PeftReference& reference, const char* name)
{
    const auto ids = reference.ids();
    const auto expected = reference.logits(name);
    const std::size_t vocabulary = expected.size() / ids.size();
    double largest = 0.0;
    for (std::size_t n = 1; n <= ids.size(); ++n) {
        KvCache cache = model.makeCache(16);
        const auto logits = model.prefill(std::span(ids).first(n), cache).lastLogits;
        for (std::size_t i = 0; i < vocabulary; ++i)
            largest = std::max(largest, std::abs(static_cast<double>(logits[i] - expected[(n - 1) * vocabulary + i])));
    }
    return largest;
}

std::unique_ptr<Transformer> load(const std::filesystem::path& model, const char* adapter)
{
    LoadOptions options;
    options.threads = 2;
    if (adapter != nullptr)
        options.adapter = Adapter::read(data("tiny_adapters") / adapter);
    return Transformer::load(*Checkpoint::open(model), options);
}

TEST(AdapterMerge, LogitsAreThoseOfTransformersWithPeft)
{
    const PeftReference reference;
    EXPECT_LT(largestDifference(*load(data("tiny_llama"), nullptr), reference, "base"), 1e-3);
    EXPECT_GT(largestDifference(*load(data("tiny_llama"), nullptr), reference, "plain"), 1.0);
    for (const char* name : {"plain", "stabilised"})
        EXPECT_LT(largestDifference(*load(data("tiny_llama"), name), reference, name), 1e-3) << name;
}

/// The rows of q and k stand in another order in GGUF files.
TEST(AdapterMerge, AnAdapterLandsInTheSamePlacesOfAGgufFile)
{
    const PeftReference reference;
    for (const char* name : {"plain", "stabilised"})
        EXPECT_LT(largestDifference(*load(data("tiny_llama/tiny_llama.gguf"), name), reference, name), 1e-3) << name;
}

TEST(AdapterMerge, AnAdapterForAnotherModelIsRefusedBeforeAnythingIsLoaded)
{
    const TemporaryFolder folder;
    AdapterWeights weights{1, 1.0, false, "", {{"model.layers.0.self_attn.q_proj", 5, 32, {}, {}}}};
    weights.modules[0].down.resize(32);
    weights.modules[0].up.resize(5);
    writeAdapter(folder.path() / "a", weights, {{"name", "a"}});
    LoadOptions options;
    options.adapter = Adapter::read(folder.path() / "a");
    EXPECT_THROW(Transformer::load(*Checkpoint::open(data("tiny_llama")), options), AdapterError);
}

} // namespace
} // namespace kvloupe
