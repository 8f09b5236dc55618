// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/prompt_layout.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A figure's SPEC as JSON: one object whose fields are read once each; what is left over at the end is a mistake.
///
/// A field that is missing or null leaves its value as it was. Everything throws FigureError naming the file, the
/// field, what was found and what was expected.
class SpecFields {
public:
    using Json = nlohmann::ordered_json;

    /// `source` names the file in messages; relative paths are looked up beside it.
    SpecFields(std::string_view text, const std::filesystem::path& source);
    /// One object within a file: `where` begins messages, "page.json: panels[1]". Throws FigureError if it is none.
    SpecFields(Json object, std::string where, const std::filesystem::path& source);

    const std::string& where() const { return m_where; }
    const std::filesystem::path& source() const { return m_source; }

    const Json* find(const std::string& name);
    [[noreturn]] void fail(const std::string& name, std::string_view expected) const;

    void text(const std::string& name, std::string& value);
    void text(const std::string& name, std::optional<std::string>& value);
    void texts(const std::string& name, std::vector<std::string>& value);
    /// A number, or an id.
    void sample(const std::string& name, std::string& value);
    void path(const std::string& name, std::filesystem::path& value);
    void paths(const std::string& name, std::vector<std::filesystem::path>& value);
    void integer(const std::string& name, int& value); ///< at least 0
    void integer(const std::string& name, std::optional<int>& value);
    void real(const std::string& name, double& value);
    void boolean(const std::string& name, bool& value);
    void range(const std::string& name, std::optional<TokenRange>& value);
    /// `fromName` makes an optional value of a text.
    template <typename Value, typename FromName>
    void choice(const std::string& name, Value& value, FromName fromName, std::string_view expected)
    {
        std::string chosen;
        text(name, chosen);
        if (chosen.empty())
            return;
        const auto found = fromName(chosen);
        if (!found)
            fail(name, expected);
        value = *found;
    }

    /// To be called when all fields were read.
    void rejectUnknown() const;

private:
    std::filesystem::path besideSource(const std::string& path) const;

    std::filesystem::path m_source;
    std::string m_where;
    Json m_object;
    std::set<std::string> m_known;
};

/// The whole file, at most 1 MiB. Throws FigureError.
std::string readSpecText(const std::filesystem::path& path);

/// A path as a file in `folder` names it: relative if it lies there or below, so that both can be moved together.
/// In no folder it is absolute.
std::string writtenPath(const std::filesystem::path& path, const std::filesystem::path& folder);

/// Which figure a SPEC describes: its field "figure", "attention" without one.
std::string figureNameOf(std::string_view text, const std::filesystem::path& source);

} // namespace kvloupe
