// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "tests/support/temporary_folder.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace kvloupe {

/// A llama of random weights, 4 query heads over 2 KV heads, small enough for a slow and obvious reference in float64.
class TinyLlama {
public:
    static constexpr int layers = 2; // unless options say otherwise
    static constexpr int heads = 4;
    static constexpr int kvHeads = 2;
    static constexpr int headDim = 6; // no multiple of any vector, and heads * headDim is not the hidden size
    static constexpr int hidden = 20;
    static constexpr int intermediate = 44;
    static constexpr int vocabulary = 61;
    static constexpr int maximumTokens = 96;
    static constexpr double epsilon = 1e-5;
    static constexpr double theta = 500;

    struct Options {
        bool tied = true;
        bool biases = false;
        int depth = layers;
    };

    using Vector = std::vector<double>;
    using Matrix = std::vector<Vector>;

    struct Forward {
        Matrix logits; // [n, vocab]
        std::vector<Matrix> attention; // per layer and head: [n, n]
    };

    explicit TinyLlama(Options options)
        : m_options(options)
    {
        add("model.embed_tokens.weight", {vocabulary, hidden});
        for (int layer = 0; layer < m_options.depth; ++layer) {
            const std::string prefix = "model.layers." + std::to_string(layer) + ".";
            add(prefix + "input_layernorm.weight", {hidden});
            addProjection(prefix + "self_attn.q_proj", heads * headDim, hidden);
            addProjection(prefix + "self_attn.k_proj", kvHeads * headDim, hidden);
            addProjection(prefix + "self_attn.v_proj", kvHeads * headDim, hidden);
            addProjection(prefix + "self_attn.o_proj", hidden, heads * headDim);
            add(prefix + "post_attention_layernorm.weight", {hidden});
            addProjection(prefix + "mlp.gate_proj", intermediate, hidden);
            addProjection(prefix + "mlp.up_proj", intermediate, hidden);
            addProjection(prefix + "mlp.down_proj", hidden, intermediate);
        }
        add("model.norm.weight", {hidden});
        if (!options.tied)
            add("lm_head.weight", {vocabulary, hidden});
    }

    std::vector<float>& tensor(const std::string& name) { return m_tensors.at(name).values; }

    /// config.json and model.safetensors.
    void write(const TemporaryFolder& folder) const
    {
        const nlohmann::json config{{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"},
            {"_name_or_path", "tiny"}, {"num_hidden_layers", m_options.depth}, {"num_attention_heads", heads},
            {"num_key_value_heads", kvHeads}, {"head_dim", headDim}, {"hidden_size", hidden},
            {"intermediate_size", intermediate}, {"vocab_size", vocabulary}, {"max_position_embeddings", maximumTokens},
            {"rms_norm_eps", epsilon}, {"rope_theta", theta}, {"hidden_act", "silu"},
            {"tie_word_embeddings", m_options.tied}, {"attention_bias", m_options.biases},
            {"mlp_bias", m_options.biases}, {"bos_token_id", 1}, {"eos_token_id", 2}};
        nlohmann::json header = nlohmann::json::object();
        std::string data;
        for (const auto& [name, tensor] : m_tensors) {
            const std::size_t begin = data.size();
            data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
            header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
        }
        std::string text = header.dump();
        text.resize((text.size() + 7) / 8 * 8, ' ');
        const std::uint64_t length = text.size();
        const std::string prefix(reinterpret_cast<const char*>(&length), sizeof length);
        folder.write("config.json", config.dump());
        folder.write("model.safetensors", prefix + text + data);
    }

    /// The forward pass written out formula by formula, in float64.
    Forward forward(const std::vector<std::int32_t>& ids) const
    {
        const std::size_t n = ids.size();
        Forward result;
        Matrix x;
        for (const std::int32_t id : ids)
            x.push_back(row("model.embed_tokens.weight", static_cast<std::size_t>(id), hidden));
        for (int layer = 0; layer < m_options.depth; ++layer) {
            const std::string prefix = "model.layers." + std::to_string(layer) + ".";
            Matrix queries;
            Matrix keys;
            Matrix values;
            for (std::size_t t = 0; t < n; ++t) {
                const Vector normed = norm(x[t], prefix + "input_layernorm.weight");
                queries.push_back(rope(project(normed, prefix + "self_attn.q_proj", heads * headDim), t));
                keys.push_back(rope(project(normed, prefix + "self_attn.k_proj", kvHeads * headDim), t));
                values.push_back(project(normed, prefix + "self_attn.v_proj", kvHeads * headDim));
            }
            Matrix context(n, Vector(heads * headDim));
            for (std::size_t head = 0; head < heads; ++head) {
                const std::size_t kvHead = head / (heads / kvHeads);
                Matrix map(n, Vector(n));
                for (std::size_t q = 0; q < n; ++q) {
                    double sum = 0;
                    for (std::size_t k = 0; k <= q; ++k) {
                        double product = 0;
                        for (std::size_t i = 0; i < headDim; ++i)
                            product += queries[q][head * headDim + i] * keys[k][kvHead * headDim + i];
                        map[q][k] = std::exp(product / std::sqrt(double{headDim}));
                        sum += map[q][k];
                    }
                    for (std::size_t k = 0; k <= q; ++k) {
                        map[q][k] /= sum;
                        for (std::size_t i = 0; i < headDim; ++i)
                            context[q][head * headDim + i] += map[q][k] * values[k][kvHead * headDim + i];
                    }
                }
                result.attention.push_back(map);
            }
            for (std::size_t t = 0; t < n; ++t) {
                addTo(x[t], project(context[t], prefix + "self_attn.o_proj", hidden));
                const Vector normed = norm(x[t], prefix + "post_attention_layernorm.weight");
                Vector gate = project(normed, prefix + "mlp.gate_proj", intermediate);
                const Vector up = project(normed, prefix + "mlp.up_proj", intermediate);
                for (std::size_t i = 0; i < gate.size(); ++i)
                    gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
                addTo(x[t], project(gate, prefix + "mlp.down_proj", hidden));
            }
        }
        const std::string head = m_options.tied ? "model.embed_tokens" : "lm_head";
        for (const Vector& token : x)
            result.logits.push_back(project(norm(token, "model.norm.weight"), head, vocabulary));
        return result;
    }

private:
    struct Tensor {
        std::vector<int> shape;
        std::vector<float> values;
    };

    void add(const std::string& name, const std::vector<int>& shape)
    {
        Tensor tensor{shape, {}};
        std::size_t size = 1;
        for (const int extent : shape)
            size *= static_cast<std::size_t>(extent);
        std::normal_distribution<float> normal(0, 0.4F);
        for (std::size_t i = 0; i < size; ++i)
            tensor.values.push_back(normal(m_random) + (shape.size() == 1 ? 1.0F : 0.0F));
        m_tensors.emplace(name, std::move(tensor));
    }

    void addProjection(const std::string& name, int outputs, int inputs)
    {
        add(name + ".weight", {outputs, inputs});
        if (m_options.biases)
            add(name + ".bias", {outputs});
    }

    Vector row(const std::string& name, std::size_t index, std::size_t length) const
    {
        const auto begin = m_tensors.at(name).values.begin() + static_cast<std::ptrdiff_t>(index * length);
        return {begin, begin + static_cast<std::ptrdiff_t>(length)};
    }

    Vector norm(const Vector& x, const std::string& gain) const
    {
        double squares = 0;
        for (const double value : x)
            squares += value * value;
        Vector result = row(gain, 0, x.size());
        for (std::size_t i = 0; i < x.size(); ++i)
            result[i] *= x[i] / std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
        return result;
    }

    Vector project(const Vector& x, const std::string& name, int outputs) const
    {
        Vector result(static_cast<std::size_t>(outputs));
        const auto bias = m_tensors.find(name + ".bias");
        for (std::size_t i = 0; i < result.size(); ++i) {
            const Vector weights = row(name + ".weight", i, x.size());
            for (std::size_t c = 0; c < x.size(); ++c)
                result[i] += weights[c] * x[c];
            if (bias != m_tensors.end())
                result[i] += static_cast<double>(bias->second.values[i]);
        }
        return result;
    }

    static Vector rope(Vector x, std::size_t position)
    {
        constexpr std::size_t half = headDim / 2;
        for (std::size_t head = 0; head < x.size(); head += headDim) {
            for (std::size_t i = 0; i < half; ++i) {
                const double angle = static_cast<double>(position)
                    * std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(headDim));
                const double a = x[head + i];
                const double b = x[head + half + i];
                x[head + i] = a * std::cos(angle) - b * std::sin(angle);
                x[head + half + i] = b * std::cos(angle) + a * std::sin(angle);
            }
        }
        return x;
    }

    static void addTo(Vector& x, const Vector& y)
    {
        for (std::size_t i = 0; i < x.size(); ++i)
            x[i] += y[i];
    }

    Options m_options;
    std::mt19937 m_random{11};
    std::map<std::string, Tensor> m_tensors;
};

} // namespace kvloupe
