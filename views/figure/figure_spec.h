// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"
#include "core/methods/budget.h"
#include "core/prompt/prompt_layout.h"
#include "core/recording/recording_types.h"
#include "views/heatmap/color_map.h"

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

class SpecFields;

class FigureError : public Error {
public:
    using Error::Error;
};

/// Everything that decides what a figure of one head's attention looks like: the same SPEC gives the same bytes.
struct FigureSpec {
    std::filesystem::path recording;
    std::string sample = "0"; ///< its number, or its id
    int layer = 0;
    int head = 0; ///< query head
    std::vector<std::string> methods; ///< SPECs, one strip each
    Budget budget = Budget::keep("0.3");
    ColorMap colorMap = ColorMap::Viridis;
    ColorScale scale = ColorScale::Logarithmic;
    ColorRange range;
    Pooling pooling = Pooling::Max;
    std::optional<TokenRange> queries; ///< nothing = the whole prompt
    std::optional<TokenRange> keys;
    bool shadeDropped = true; ///< columns the first method drops are paled on the map
    bool showTokens = true; ///< token text on the axes where it fits
    bool showSpans = true;
    bool showColorBar = true; ///< a page paints one for several maps
    std::optional<std::string> title; ///< nothing = model, layer and head; "" = none
    double widthMm = 120.0;
    double heightMm = 0.0; ///< 0 = what square cells need
    double fontPoints = 8.0;
    int dpi = 300; ///< of the map, and of the whole figure as PNG
};

/// Reads a SPEC written as JSON, with the names of the command line's options as fields. `source` names the file in
/// messages. A relative recording is looked up beside the file. Throws FigureError naming field, found and expected.
FigureSpec figureSpecFromJson(std::string_view text, const std::filesystem::path& source);
/// The same from fields that may have others read besides; unknown ones are left to the caller.
FigureSpec figureSpecFromFields(SpecFields& fields);
nlohmann::ordered_json figureSpecToJson(const FigureSpec& spec);

/// "A:B", half open; either side may be empty: "100:", ":64". `end` stands for a missing B. Throws FigureError naming
/// `field`.
TokenRange parseTokenRange(std::string_view text, std::string_view field, std::int64_t end);

/// Reads "keep", "capacity" or "compression_ratio", at most one of them. Throws FigureError.
void readBudget(SpecFields& fields, Budget& budget);
void writeBudget(const Budget& budget, nlohmann::ordered_json& object);
/// "100:200", "100:" if it goes to the end.
std::string tokenRangeText(const TokenRange& range);

/// Throws FigureError for sizes, fonts and densities that make no picture.
void checkFigureSpec(const FigureSpec& spec);

} // namespace kvloupe
