// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/run_header.h"

#include "core/results/json_fields.h"
#include "core/results/results_error.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t mostBranches = std::size_t{1} << 20;

template <typename Value> OrderedJson orNull(const std::optional<Value>& value)
{
    return value ? OrderedJson(*value) : OrderedJson();
}

std::optional<std::int64_t> optionalInteger(const JsonFields& fields, std::string_view field)
{
    return fields.has(field) ? std::optional(fields.integer(field, 0, most)) : std::nullopt;
}

OrderedJson headerJson(const RunHeader& header)
{
    OrderedJson branches = OrderedJson::array();
    for (const ResultBranch& branch : header.branches)
        branches.push_back({{"method", branch.method}, {"spec", branch.spec}, {"parameters", branch.parameters},
            {"budget_kind", branch.budgetKind}, {"budget", branch.budget}});
    OrderedJson line{{"format", "kvloupe-results"}, {"version", resultsVersion}, {"type", "run"}};
    line["suite"] = header.suite;
    line["tasks"] = header.tasks;
    line["shots"] = orNull(header.shots);
    line["level"] = orNull(header.level);
    line["samples"] = header.samples;
    line["seed"] = header.seed;
    line["data_sha256"] = orNull(header.dataSha256);
    line["model"] = modelJson(header.model);
    line["chat"] = header.chat;
    line["compress_span"] = header.compressSpan;
    line["first_token"] = header.firstToken;
    line["max_new_tokens"] = orNull(header.maxNewTokens);
    line["decode_keep"] = orNull(header.decodeKeep);
    line["branches"] = std::move(branches);
    line["options"] = header.options;
    line["versions"] = header.versions;
    line["created"] = header.created;
    return line;
}

/// Compares in the order of the fields, so that the first difference is the one that a person would name first.
std::optional<std::string> difference(const OrderedJson& found, const OrderedJson& expected, const std::string& path)
{
    const auto named = [](const OrderedJson& value) { return shownJson(Json(value)); };
    if (found == expected)
        return std::nullopt;
    if (found.is_object() && expected.is_object()) {
        const std::string prefix = path.empty() ? "" : path + ".";
        for (const auto& [name, value] : expected.items()) {
            const auto other = found.find(name);
            if (other == found.end())
                return fmt::format("{}{}: found nothing, expected {}", prefix, name, named(value));
            if (const auto result = difference(*other, value, prefix + name))
                return result;
        }
        for (const auto& [name, value] : found.items())
            if (!expected.contains(name))
                return fmt::format("{}{}: found {}, expected nothing", prefix, name, named(value));
    }
    if (found.is_array() && expected.is_array()) {
        for (std::size_t index = 0; index < std::min(found.size(), expected.size()); ++index)
            if (const auto result = difference(found[index], expected[index], fmt::format("{}[{}]", path, index)))
                return result;
        return fmt::format("{}: found {} entries, expected {}", path, found.size(), expected.size());
    }
    return fmt::format("{}: found {}, expected {}", path, named(found), named(expected));
}

} // namespace

std::string headerLine(const RunHeader& header)
{
    return headerJson(header).dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

RunHeader runHeaderFromJson(const Json& object, const std::string& where)
{
    const JsonFields fields(object, where);
    fields.text("format", {"kvloupe-results"});
    fields.integer("version", resultsVersion, resultsVersion);
    RunHeader header;
    header.suite = fields.text("suite");
    header.tasks = fields.texts("tasks");
    header.shots = optionalInteger(fields, "shots");
    header.level = optionalInteger(fields, "level");
    header.samples = fields.integer("samples", 0, most);
    header.seed = fields.unsignedInteger("seed");
    if (fields.has("data_sha256"))
        header.dataSha256 = fields.sha256("data_sha256");
    header.model = modelFromJson(fields.object("model"));
    header.chat = fields.boolean("chat");
    header.compressSpan = fields.text("compress_span", {"prompt", "context"});
    header.firstToken = fields.text("first_token", {"auto", "full", "compressed"});
    header.maxNewTokens = optionalInteger(fields, "max_new_tokens");
    if (fields.has("decode_keep"))
        header.decodeKeep = fields.text("decode_keep");
    for (const JsonFields& branch : fields.objects("branches", mostBranches)) {
        ResultBranch& one = header.branches.emplace_back();
        one.method = branch.text("method");
        one.spec = branch.text("spec");
        one.parameters = branch.textMap("parameters");
        one.budgetKind = branch.text("budget_kind", {"keep", "capacity", "compression_ratio"});
        one.budget = branch.text("budget");
    }
    header.options = fields.textMap("options");
    header.versions = fields.textMap("versions");
    header.created = fields.text("created");
    return header;
}

std::optional<std::string> firstDifference(const RunHeader& found, const RunHeader& expected)
{
    OrderedJson one = headerJson(found);
    OrderedJson other = headerJson(expected);
    one.erase("created");
    other.erase("created");
    return difference(one, other, "");
}

} // namespace kvloupe
