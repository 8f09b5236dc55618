// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/spec_fields.h"

#include "core/json/shallow_json.h"
#include "views/figure/figure_spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>

#include <cmath>
#include <limits>

namespace kvloupe {

SpecFields::SpecFields(std::string_view text, const std::filesystem::path& source)
    : m_source(source)
    , m_where(source.string())
{
    try {
        m_object = parseShallowJson<Json>(text);
    } catch (const JsonTextError& error) {
        throw FigureError(fmt::format("{}: {}", source.string(), error.what()));
    }
    if (!m_object.is_object())
        throw FigureError(fmt::format("{}: found {}, expected an object", m_where, m_object.type_name()));
}

SpecFields::SpecFields(Json object, std::string where, const std::filesystem::path& source)
    : m_source(source)
    , m_where(std::move(where))
    , m_object(std::move(object))
{
    if (!m_object.is_object())
        throw FigureError(fmt::format("{}: found {}, expected an object", m_where, m_object.type_name()));
}

const SpecFields::Json* SpecFields::find(const std::string& name)
{
    m_known.insert(name);
    const auto found = m_object.find(name);
    return found == m_object.end() || found->is_null() ? nullptr : &*found;
}

void SpecFields::fail(const std::string& name, std::string_view expected) const
{
    throw FigureError(fmt::format("{}: field \"{}\" is {}, expected {}", m_where, name,
        m_object.at(name).dump(-1, ' ', false, Json::error_handler_t::replace), expected));
}

std::filesystem::path SpecFields::besideSource(const std::string& path) const
{
    const std::filesystem::path given = path;
    return !path.empty() && given.is_relative() ? m_source.parent_path() / given : given;
}

void SpecFields::text(const std::string& name, std::string& value)
{
    if (const Json* field = find(name)) {
        if (!field->is_string())
            fail(name, "a text");
        value = field->get<std::string>();
    }
}

void SpecFields::text(const std::string& name, std::optional<std::string>& value)
{
    if (find(name) != nullptr)
        text(name, value.emplace());
}

void SpecFields::texts(const std::string& name, std::vector<std::string>& value)
{
    const Json* field = find(name);
    if (field == nullptr)
        return;
    if (!field->is_array())
        fail(name, "a list of texts");
    value.clear();
    for (const Json& item : *field) {
        if (!item.is_string())
            fail(name, "a list of texts");
        value.push_back(item.get<std::string>());
    }
}

void SpecFields::sample(const std::string& name, std::string& value)
{
    if (const Json* field = find(name)) {
        if (field->is_number_unsigned())
            value = std::to_string(field->get<std::uint64_t>());
        else if (field->is_string())
            value = field->get<std::string>();
        else
            fail(name, "a number or an id");
    }
}

void SpecFields::path(const std::string& name, std::filesystem::path& value)
{
    std::string written;
    text(name, written);
    if (!written.empty())
        value = besideSource(written);
}

void SpecFields::paths(const std::string& name, std::vector<std::filesystem::path>& value)
{
    std::vector<std::string> written;
    texts(name, written);
    for (const std::string& path : written)
        value.push_back(besideSource(path));
}

void SpecFields::integer(const std::string& name, int& value)
{
    if (const Json* field = find(name)) {
        if (!field->is_number_integer() || field->get<std::int64_t>() < 0
            || field->get<std::int64_t>() > std::numeric_limits<int>::max())
            fail(name, "a whole number, at least 0");
        value = field->get<int>();
    }
}

void SpecFields::integer(const std::string& name, std::optional<int>& value)
{
    if (find(name) != nullptr)
        integer(name, value.emplace());
}

void SpecFields::real(const std::string& name, double& value)
{
    if (const Json* field = find(name)) {
        if (!field->is_number() || !std::isfinite(field->get<double>()))
            fail(name, "a number");
        value = field->get<double>();
    }
}

void SpecFields::boolean(const std::string& name, bool& value)
{
    if (const Json* field = find(name)) {
        if (!field->is_boolean())
            fail(name, "true or false");
        value = field->get<bool>();
    }
}

void SpecFields::range(const std::string& name, std::optional<TokenRange>& value)
{
    if (const Json* field = find(name)) {
        if (!field->is_string())
            fail(name, "a text like \"0:256\"");
        value = parseTokenRange(field->get<std::string>(), name, -1);
    }
}

void SpecFields::rejectUnknown() const
{
    for (const auto& [name, value] : m_object.items()) {
        if (!m_known.contains(name))
            throw FigureError(
                fmt::format("{}: unknown field \"{}\", expected one of {}", m_where, name, fmt::join(m_known, ", ")));
    }
}

std::string readSpecText(const std::filesystem::path& path)
{
    constexpr std::size_t largestSpec = std::size_t{1} << 20;
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw FigureError(fmt::format("{}: cannot be opened", path.string()));
    std::string text(largestSpec + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad() || !file.eof())
        throw FigureError(
            fmt::format("{}: found a folder or more than 1 MiB, expected a figure's description", path.string()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
}

std::string writtenPath(const std::filesystem::path& path, const std::filesystem::path& folder)
{
    const std::filesystem::path absolute = std::filesystem::absolute(path).lexically_normal();
    if (folder.empty())
        return absolute.string();
    const std::filesystem::path relative
        = absolute.lexically_relative(std::filesystem::absolute(folder).lexically_normal());
    return relative.empty() || *relative.begin() == ".." ? absolute.string() : relative.string();
}

std::string figureNameOf(std::string_view text, const std::filesystem::path& source)
{
    std::string name = "attention";
    SpecFields(text, source).text("figure", name);
    return name;
}

} // namespace kvloupe
