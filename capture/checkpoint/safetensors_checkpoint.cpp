// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/safetensors_checkpoint.h"

#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/sha256.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>

namespace kvloupe {

namespace {

using nlohmann::json;

constexpr std::size_t largestIndex = std::size_t{64} << 20;
constexpr std::size_t largestTemplate = std::size_t{1} << 20;

/// Tensor name to shard, from model.safetensors.index.json.
std::map<std::string, std::string> readIndex(const std::filesystem::path& path)
{
    const json index = readJsonObject(path, {.bytes = largestIndex, .depth = 8});
    const auto weights = index.find("weight_map");
    if (weights == index.end() || !weights->is_object())
        throw CheckpointError(fmt::format("{}: weight_map: is missing or no object", path.string()));
    std::map<std::string, std::string> shards;
    for (const auto& [tensor, shard] : weights->items()) {
        const std::string name = shard.is_string() ? shard.get<std::string>() : "";
        if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos
            || name.find('\0') != std::string::npos || name.find('\\') != std::string::npos)
            throw CheckpointError(
                fmt::format("{}: weight_map: tensor {}: the shard {} is no file name inside the folder", path.string(),
                    inQuotes(tensor), inQuotes(name)));
        shards.emplace(tensor, name);
    }
    return shards;
}

/// Every shard must be there and hold the tensors that the index says it holds.
void checkIndex(const std::filesystem::path& indexPath, const std::map<std::string, std::string>& index,
    std::span<const SafetensorsFile> shards)
{
    std::map<std::string_view, std::set<std::string>> holders;
    for (const SafetensorsFile& shard : shards)
        for (const SafetensorsEntry& entry : shard.tensors())
            holders[entry.name].insert(shard.path().filename().string());
    for (const auto& [tensor, shard] : index) {
        const auto found = holders.find(tensor);
        if (found == holders.end())
            throw CheckpointError(fmt::format("{}: weight_map: tensor {}: found in no shard, expected in {}",
                indexPath.string(), inQuotes(tensor), shard));
        if (!found->second.contains(shard))
            throw CheckpointError(fmt::format("{}: weight_map: tensor {}: found in {}, expected in {}",
                indexPath.string(), inQuotes(tensor), *found->second.begin(), shard));
    }
}

std::optional<std::filesystem::path> firstPickle(const std::filesystem::path& folder)
{
    std::set<std::filesystem::path> pickles;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (isPickle(entry.path()))
            pickles.insert(entry.path());
    return pickles.empty() ? std::nullopt : std::optional(*pickles.begin());
}

std::optional<DataType> dataTypeOf(std::string_view dtype)
{
    for (const DataType type : {DataType::F32, DataType::F16, DataType::BF16})
        if (dtype == dataTypeName(type))
            return type;
    return std::nullopt;
}

/// Models that see keep their text part under a prefix, whose place transformers has changed. The rest of such a model
/// keeps its names, which no architecture needs.
std::string nameInTextModel(const std::string& name)
{
    for (const std::string_view prefix : {"language_model.model.", "model.language_model."})
        if (name.starts_with(prefix))
            return "model." + name.substr(prefix.size());
    constexpr std::string_view head = "language_model.lm_head.";
    return name.starts_with(head) ? "lm_head." + name.substr(head.size()) : name;
}

} // namespace

SafetensorsCheckpoint::SafetensorsCheckpoint(const std::filesystem::path& folder)
    : Checkpoint(folder)
{
    ModelConfig config = configFromFolder(folder);
    const std::filesystem::path single = folder / "model.safetensors";
    const std::filesystem::path indexPath = folder / "model.safetensors.index.json";
    std::map<std::string, std::string> index;
    if (std::filesystem::exists(indexPath)) {
        index = readIndex(indexPath);
        std::set<std::string> names;
        for (const auto& [tensor, shard] : index)
            names.insert(shard);
        for (const std::string& name : names) {
            if (!std::filesystem::exists(folder / name))
                throw CheckpointError(fmt::format("{}: the shard is missing, {} names {} shards",
                    (folder / name).string(), indexPath.filename().string(), names.size()));
            m_shards.emplace_back(folder / name);
        }
        checkIndex(indexPath, index, m_shards);
    } else if (std::filesystem::exists(single)) {
        m_shards.emplace_back(single);
    } else if (const auto pickled = firstPickle(folder)) {
        throw pickleError(*pickled);
    } else {
        throw CheckpointError(
            fmt::format("{}: holds neither model.safetensors nor model.safetensors.index.json", folder.string()));
    }

    std::set<std::string, std::less<>> needed;
    for (const auto& [name, shape] : requiredTensors(config))
        needed.insert(name);
    std::vector<TensorInfo> tensors;
    std::vector<std::span<const std::byte>> storage;
    for (const SafetensorsFile& shard : m_shards) {
        const std::string shardName = shard.path().filename().string();
        for (const SafetensorsEntry& entry : shard.tensors()) {
            const auto listed = index.find(entry.name);
            if (listed != index.end() && listed->second != shardName)
                continue; // the index decides which copy counts
            const auto type = dataTypeOf(entry.dtype);
            const std::string name = nameInTextModel(entry.name);
            if (!type && needed.contains(name))
                throw CheckpointError(fmt::format("{}: tensor {}: type {} is not supported (supported: F32, F16, BF16)",
                    shard.path().string(), inQuotes(entry.name), entry.dtype));
            if (!type)
                continue; // position ids and masks of other programs, which no architecture reads
            tensors.push_back({name, entry.shape, *type});
            storage.push_back(entry.bytes);
        }
    }
    adopt(std::move(config), std::move(tensors), std::move(storage));
}

std::string SafetensorsCheckpoint::sha256() const
{
    if (m_shards.size() == 1)
        return sha256OfMapping(m_shards.front().bytes());
    std::string list;
    for (const SafetensorsFile& shard : m_shards)
        list += fmt::format("{}  {}\n", sha256OfMapping(shard.bytes()), shard.path().filename().string());
    return sha256Hex(list);
}

const MappedFile& SafetensorsCheckpoint::fileOf(std::span<const std::byte> storage) const
{
    const auto holds = [&](const SafetensorsFile& shard) {
        const auto bytes = shard.bytes();
        return storage.data() >= bytes.data() && storage.data() <= bytes.data() + bytes.size();
    };
    return std::ranges::find_if(m_shards, holds)->mapping();
}

std::string SafetensorsCheckpoint::chatTemplate() const
{
    return chatTemplateOfFolder(path());
}

std::string SafetensorsCheckpoint::format() const
{
    return "safetensors";
}

std::string chatTemplateOfFolder(const std::filesystem::path& folder)
{
    const std::filesystem::path own = folder / "chat_template.jinja";
    if (std::filesystem::exists(own))
        return readSmallFile(own, largestTemplate);
    const std::filesystem::path configPath = folder / "tokenizer_config.json";
    if (!std::filesystem::exists(configPath))
        return "";
    const json config = readJsonObject(configPath, {.bytes = largestIndex, .depth = 32});
    const auto found = config.find("chat_template");
    if (found == config.end() || found->is_null())
        return "";
    if (found->is_string())
        return found->get<std::string>();
    if (found->is_array())
        for (const json& entry : *found)
            if (entry.is_object() && entry.value("name", json()) == "default" && entry.contains("template")
                && entry["template"].is_string())
                return entry["template"].get<std::string>();
    throw CheckpointError(
        fmt::format("{}: chat_template: expected a string or a list with one named 'default'", configPath.string()));
}

} // namespace kvloupe
