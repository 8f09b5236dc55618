// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"

#include "capture/adapter/adapter_files.h"
#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/safetensors_file.h"
#include "capture/checkpoint/sha256.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

namespace kvloupe {

namespace {

using nlohmann::json;

constexpr std::int64_t largestRank = 4096;
constexpr std::size_t longestText = 4096;

/// Fields of PEFT's LoraConfig that are read, or that do not change what the adapter computes. Any other, of whatever
/// version of PEFT, must be null, false or empty. Sorted.
constexpr auto plainFields = std::to_array<std::string_view>({"auto_mapping", "base_model_name_or_path", "bias",
    "ensure_weight_tying", "eva_config", "exclude_modules", "inference_mode", "init_lora_weights", "layers_pattern",
    "layers_to_transform", "lora_alpha", "lora_dropout", "megatron_core", "peft_type", "peft_version",
    "qalora_group_size", "r", "revision", "target_modules", "task_type", "use_rslora"});
/// Ways to begin a training that leave the base model's weights alone. Sorted.
constexpr auto plainInits = std::to_array<std::string_view>({"eva", "gaussian", "orthogonal"});

bool changesMeaning(const json& value)
{
    return !(value.is_null() || (value.is_boolean() && !value.get<bool>()) || (value.is_structured() && value.empty()));
}

std::string describe(const json& value)
{
    return value.is_primitive() && !value.is_string() ? value.dump() : fmt::format("JSON {}", value.type_name());
}

/// adapter_config.json, field by field.
class ConfigReader {
public:
    explicit ConfigReader(const std::filesystem::path& path)
        : m_path(path)
        , m_object(readJsonObject(path, {.bytes = 1U << 20, .depth = 8}))
    {
    }

    /// Rank, alpha and the base model; refuses what is not plain LoRA.
    AdapterWeights read() const
    {
        const std::optional<std::string> type = text("peft_type");
        if (!type)
            fail("peft_type", "is missing");
        if (*type != "LORA")
            fail("peft_type", fmt::format("found {}, expected \"LORA\"", inQuotes(*type)));
        for (const auto& [field, value] : m_object.items())
            if (!std::ranges::binary_search(plainFields, field) && changesMeaning(value))
                fail(inQuotes(field), fmt::format("found {}; adapters with it are not read", describe(value)));
        if (const json* init = find("init_lora_weights"); init != nullptr && init->is_string()
            && !std::ranges::binary_search(plainInits, init->get_ref<const std::string&>()))
            fail("init_lora_weights",
                fmt::format("found {}; adapters that change the base model's weights are not read",
                    inQuotes(init->get_ref<const std::string&>())));
        if (const std::optional<std::string> bias = text("bias"); bias && *bias != "none")
            fail("bias", fmt::format("found {}, expected \"none\"", inQuotes(*bias)));

        AdapterWeights weights;
        const json& rank = required("r");
        if (!rank.is_number_integer() || rank.get<double>() < 1 || rank.get<double>() > double{largestRank})
            fail("r", fmt::format("found {}, expected a whole number of 1 to {}", describe(rank), largestRank));
        weights.rank = rank.get<std::int64_t>();
        const json& alpha = required("lora_alpha");
        if (!alpha.is_number() || !(std::abs(alpha.get<double>()) <= 1e6))
            fail("lora_alpha", fmt::format("found {}, expected a number", describe(alpha)));
        weights.alpha = alpha.get<double>();
        if (const json* stabilised = find("use_rslora")) {
            if (!stabilised->is_boolean())
                fail("use_rslora", fmt::format("found {}, expected true or false", describe(*stabilised)));
            weights.rankStabilised = stabilised->get<bool>();
        }
        weights.baseModel = text("base_model_name_or_path").value_or("");
        return weights;
    }

private:
    [[noreturn]] void fail(std::string_view field, std::string_view problem) const
    {
        throw AdapterError(fmt::format("{}: {}: {}", m_path.string(), field, problem));
    }

    /// null is as good as absent.
    const json* find(const char* field) const
    {
        const auto found = m_object.find(field);
        return found == m_object.end() || found->is_null() ? nullptr : &*found;
    }

    const json& required(const char* field) const
    {
        const json* const value = find(field);
        if (value == nullptr)
            fail(field, "is missing");
        return *value;
    }

    std::optional<std::string> text(const char* field) const
    {
        const json* const value = find(field);
        if (value == nullptr)
            return std::nullopt;
        if (!value->is_string() || value->get_ref<const std::string&>().size() > longestText)
            fail(field, fmt::format("found {}, expected a text", describe(*value)));
        return value->get<std::string>();
    }

    std::filesystem::path m_path;
    json m_object;
};

/// "base_model.model.NAME.lora_A.weight" taken apart.
struct Key {
    std::string module;
    bool isDown = false;
};

std::optional<Key> parseKey(std::string_view name)
{
    constexpr std::string_view prefix = "base_model.model.";
    if (!name.starts_with(prefix))
        return std::nullopt;
    name.remove_prefix(prefix.size());
    for (const auto& [suffix, isDown] : {std::pair<std::string_view, bool>{".lora_A.weight", true},
             std::pair<std::string_view, bool>{".lora_B.weight", false}})
        if (name.ends_with(suffix) && name.size() > suffix.size())
            return Key{std::string(name.substr(0, name.size() - suffix.size())), isDown};
    return std::nullopt;
}

/// Numbers of a tensor as float32, all of them finite.
std::vector<float> values(const SafetensorsEntry& entry, const std::string& where)
{
    const std::map<std::string_view, DataType> types{
        {"F32", DataType::F32}, {"F16", DataType::F16}, {"BF16", DataType::BF16}};
    const auto type = types.find(entry.dtype);
    if (type == types.end())
        throw AdapterError(fmt::format("{}: dtype: found {}, expected F32, F16 or BF16", where, entry.dtype));
    std::vector<float> result(static_cast<std::size_t>(entry.shape[0] * entry.shape[1]));
    if (const auto bad = dequantizeFinite(type->second, entry.bytes, result)) {
        const auto length = static_cast<std::size_t>(entry.shape[1]);
        throw AdapterError(fmt::format("{}: row {}, column {}: found {}, expected a finite number", where,
            *bad / length, *bad % length, result[*bad]));
    }
    return result;
}

std::vector<AdapterModule> readModules(const SafetensorsFile& file, std::int64_t rank)
{
    const std::string path = file.path().string();
    std::map<std::string, std::pair<const SafetensorsEntry*, const SafetensorsEntry*>> pairs; // down and up by module
    for (const SafetensorsEntry& entry : file.tensors()) {
        const std::string where = fmt::format("{}: tensor {}", path, inQuotes(entry.name));
        const std::optional<Key> key = parseKey(entry.name);
        if (!key)
            throw AdapterError(
                fmt::format("{}: is no part of a LoRA pair (base_model.model.NAME.lora_A.weight, ...)", where));
        if (entry.shape.size() != 2)
            throw AdapterError(fmt::format("{}: found {} dimensions, expected 2", where, entry.shape.size()));
        if (const std::int64_t found = entry.shape[key->isDown ? 0 : 1]; found != rank)
            throw AdapterError(
                fmt::format("{}: found a rank of {}, expected {} as {} says", where, found, rank, adapterConfigFile));
        (key->isDown ? pairs[key->module].first : pairs[key->module].second) = &entry;
    }
    if (pairs.empty())
        throw AdapterError(fmt::format("{}: holds no LoRA pairs", path));
    std::vector<AdapterModule> modules;
    for (const auto& [name, pair] : pairs) {
        const std::string where = fmt::format("{}: module {}", path, inQuotes(name));
        if (pair.first == nullptr || pair.second == nullptr)
            throw AdapterError(fmt::format("{}: lora_{} is missing", where, pair.first == nullptr ? 'A' : 'B'));
        modules.push_back({name, pair.second->shape[0], pair.first->shape[1], values(*pair.first, where + ": lora_A"),
            values(*pair.second, where + ": lora_B")});
    }
    return modules;
}

/// The facts beside an adapter; those of a folder without the file are its name alone.
AdapterFacts readFacts(const std::filesystem::path& folder)
{
    AdapterFacts facts{adapterFolderName(folder), "", false};
    const std::filesystem::path path = folder / adapterFactsFile;
    std::error_code error;
    if (!std::filesystem::exists(path, error))
        return facts;
    const json object = readJsonObject(path, {.bytes = 1U << 20, .depth = 8});
    const auto take = [&](const char* field, auto& target, bool rightType) {
        if (!rightType)
            throw AdapterError(fmt::format("{}: {}: found {}", path.string(), field, describe(object.at(field))));
        object.at(field).get_to(target);
    };
    for (const auto& [field, target] : {std::pair<const char*, std::string*>{"name", &facts.name},
             std::pair<const char*, std::string*>{"role", &facts.role}})
        if (const auto found = object.find(field); found != object.end())
            take(field, *target, found->is_string() && found->get_ref<const std::string&>().size() <= longestText);
    if (const auto found = object.find("thinks"); found != object.end())
        take("thinks", facts.thinks, found->is_boolean());
    return facts;
}

} // namespace

double AdapterWeights::scale() const
{
    return alpha / (rankStabilised ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
}

std::shared_ptr<const Adapter> Adapter::read(const std::filesystem::path& folder)
{
    std::error_code error;
    if (!std::filesystem::is_directory(folder, error))
        throw AdapterError(
            fmt::format("{}: found no folder, expected one with {}", folder.string(), adapterConfigFile));
    try {
        return std::shared_ptr<const Adapter>(new Adapter(folder));
    } catch (const CheckpointError& problem) {
        throw AdapterError(problem.what());
    }
}

Adapter::Adapter(const std::filesystem::path& folder)
    : m_path(folder / adapterWeightsFile)
    , m_weights(ConfigReader(folder / adapterConfigFile).read())
    , m_facts(readFacts(folder))
{
    const SafetensorsFile file(m_path);
    m_weights.modules = readModules(file, m_weights.rank);
    m_sha256 = sha256OfMapping(file.bytes());
}

void Adapter::check(const ModelConfig& config) const
{
    std::map<std::string, std::vector<std::int64_t>> shapes;
    for (auto& [name, shape] : requiredTensors(config))
        if (name.starts_with("model.layers.") && name.ends_with("_proj.weight"))
            shapes.emplace(name, shape);
    for (const AdapterModule& module : m_weights.modules) {
        const auto found = shapes.find(module.name + ".weight");
        if (found == shapes.end())
            throw AdapterError(fmt::format("{}: module {}: found no such projection in model {} of {} layers; the "
                                           "adapter is one for another model",
                m_path.string(), inQuotes(module.name), inQuotes(config.name), config.numLayers));
        if (found->second != std::vector<std::int64_t>{module.outputs, module.inputs})
            throw AdapterError(fmt::format("{}: module {}: found shape [{}, {}], expected [{}, {}] of model {}; the "
                                           "adapter is one for another model",
                m_path.string(), module.name, module.outputs, module.inputs, found->second[0], found->second[1],
                inQuotes(config.name)));
    }
}

void Adapter::addTo(std::string_view tensor, std::int64_t rowBegin, std::int64_t rowEnd, std::span<float> values) const
{
    constexpr std::string_view suffix = ".weight";
    if (!tensor.ends_with(suffix))
        return;
    tensor.remove_suffix(suffix.size());
    const auto found = std::ranges::lower_bound(m_weights.modules, tensor, {}, &AdapterModule::name);
    if (found == m_weights.modules.end() || found->name != tensor)
        return;
    const auto scale = static_cast<float>(m_weights.scale());
    const std::int64_t rank = m_weights.rank;
    std::vector<float> change(static_cast<std::size_t>(found->inputs));
    for (std::int64_t row = rowBegin; row < rowEnd; ++row) {
        std::ranges::fill(change, 0.0F);
        for (std::int64_t i = 0; i < rank; ++i) {
            const float factor = found->up[static_cast<std::size_t>(row * rank + i)];
            const float* const down = found->down.data() + i * found->inputs;
            for (std::size_t column = 0; column < change.size(); ++column)
                change[column] += factor * down[column];
        }
        float* const weights = values.data() + (row - rowBegin) * found->inputs;
        for (std::size_t column = 0; column < change.size(); ++column)
            weights[column] += scale * change[column];
    }
}

} // namespace kvloupe
