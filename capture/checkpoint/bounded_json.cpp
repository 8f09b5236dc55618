// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/bounded_json.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/mapped_file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>
#include <vector>

namespace kvloupe {

namespace {

using nlohmann::json;

/// Builds the document while it counts depth and refuses repeated keys, which nlohmann's own builder lets pass.
class BoundedBuilder final : public nlohmann::json_sax<json> {
public:
    BoundedBuilder(std::string what, int maximumDepth)
        : m_what(std::move(what))
        , m_maximumDepth(maximumDepth)
    {
    }

    json take() { return std::move(m_root); }

    bool null() override { return put(nullptr); }
    bool boolean(bool value) override { return put(value); }
    bool number_integer(number_integer_t value) override { return put(value); }
    bool number_unsigned(number_unsigned_t value) override { return put(value); }
    bool number_float(number_float_t value, const string_t&) override { return put(value); }
    bool string(string_t& value) override { return put(std::move(value)); }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(json::object()); }
    bool start_array(std::size_t) override { return open(json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override
    {
        const auto [place, isNew] = m_open.back()->get_ref<json::object_t&>().emplace(name, nullptr);
        if (!isNew)
            throw CheckpointError(fmt::format("{}: the key {} occurs twice", m_what, inQuotes(name)));
        m_member = &place->second;
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override
    {
        // What stands behind the last colon quotes the input, at any length.
        std::string reason = error.what();
        reason = reason.substr(reason.find("] ") == std::string::npos ? 0 : reason.find("] ") + 2);
        throw CheckpointError(
            fmt::format("{}: is not valid JSON at byte {}: {}", m_what, position, reason.substr(0, 160)));
    }

private:
    template <typename Value> json* place(Value&& value)
    {
        if (m_open.empty()) {
            m_root = std::forward<Value>(value);
            return &m_root;
        }
        if (m_open.back()->is_array()) {
            auto& array = m_open.back()->get_ref<json::array_t&>();
            return &array.emplace_back(std::forward<Value>(value));
        }
        *m_member = std::forward<Value>(value);
        return m_member;
    }

    template <typename Value> bool put(Value&& value)
    {
        place(std::forward<Value>(value));
        return true;
    }

    bool open(json container)
    {
        if (static_cast<int>(m_open.size()) >= m_maximumDepth)
            throw CheckpointError(fmt::format("{}: JSON is nested deeper than {} levels", m_what, m_maximumDepth));
        m_open.push_back(place(std::move(container)));
        return true;
    }

    bool close()
    {
        m_open.pop_back();
        return true;
    }

    std::string m_what;
    int m_maximumDepth;
    json m_root;
    // A container's address is stable while it is open: its parent grows only after it has been closed.
    std::vector<json*> m_open;
    json* m_member = nullptr;
};

} // namespace

nlohmann::json parseJson(std::string_view text, const std::string& what, const JsonLimits& limits)
{
    if (text.size() > limits.bytes)
        throw CheckpointError(
            fmt::format("{}: {} bytes of JSON, at most {} are read", what, text.size(), limits.bytes));
    BoundedBuilder builder(what, limits.depth);
    json::sax_parse(text.begin(), text.end(), &builder);
    return builder.take();
}

nlohmann::json readJsonObject(const std::filesystem::path& path, const JsonLimits& limits)
{
    json document = parseJson(readSmallFile(path, limits.bytes), path.string(), limits);
    if (!document.is_object())
        throw CheckpointError(
            fmt::format("{}: found a JSON {}, expected an object", path.string(), document.type_name()));
    return document;
}

std::string readSmallFile(const std::filesystem::path& path, std::size_t limit)
{
    const MappedFile file(path);
    if (file.bytes().size() > limit)
        throw CheckpointError(
            fmt::format("{}: {} bytes, at most {} are read", path.string(), file.bytes().size(), limit));
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

} // namespace kvloupe
