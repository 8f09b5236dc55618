// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/span.h"

#include <filesystem>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Spans as a person or a program corrected them: a JSON list of objects with begin, end, kind, and optionally shot and
/// label, or an object whose field "spans" is such a list. begin and end are half-open token ranges, kind a name of
/// spanKindName. Whether they fit a prompt is for PromptLayout to say.
///
/// `where` begins every message. Throws Error naming the element and the field, what was found and what was expected.
std::vector<Span> spansFromJson(std::string_view text, std::string_view where);

/// The same from a file of at most 16 MiB.
std::vector<Span> readSpanFile(const std::filesystem::path& path);

} // namespace kvloupe
