// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/figure_command.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

std::string shellWord(std::string_view word)
{
    static constexpr std::string_view plain
        = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=:,./@%";
    if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos)
        return std::string(word);
    std::string text = "'";
    for (const char character : word) {
        if (character == '\'')
            text += "'\\''";
        else
            text += character;
    }
    return text + "'";
}

std::string figureCommandLine(const FigureSpec& spec, std::string_view output)
{
    const FigureSpec defaults;
    std::string line = fmt::format("kvloupe figure attention {} --sample {} --layer {} --head {}",
        shellWord(spec.recording.string()), shellWord(spec.sample), spec.layer, spec.head);
    const auto add = [&](std::string_view option, const std::string& value) {
        line += fmt::format(" {} {}", option, shellWord(value));
    };
    for (const std::string& method : spec.methods)
        add("--method", method);
    if (!spec.methods.empty()) {
        switch (spec.budget.kind()) {
        case BudgetKind::Keep:
            add("--keep", spec.budget.text());
            break;
        case BudgetKind::Capacity:
            add("--capacity", spec.budget.text());
            break;
        case BudgetKind::CompressionRatio:
            add("--compression-ratio", spec.budget.text());
            break;
        }
    }
    if (spec.colorMap != defaults.colorMap)
        add("--colormap", std::string(colorMapName(spec.colorMap)));
    if (spec.scale != defaults.scale)
        add("--scale", std::string(colorScaleName(spec.scale)));
    if (spec.range.low != defaults.range.low)
        add("--low", fmt::format("{}", spec.range.low));
    if (spec.range.high != defaults.range.high)
        add("--high", fmt::format("{}", spec.range.high));
    if (spec.pooling != defaults.pooling)
        add("--pooling", std::string(poolingName(spec.pooling)));
    const auto range = [&](std::string_view option, const std::optional<TokenRange>& tokens) {
        if (tokens)
            add(option,
                tokens->end < 0 ? fmt::format("{}:", tokens->begin) : fmt::format("{}:{}", tokens->begin, tokens->end));
    };
    range("--queries", spec.queries);
    range("--keys", spec.keys);
    if (spec.title)
        add("--title", *spec.title);
    if (!spec.shadeDropped)
        line += " --no-shade";
    if (!spec.showTokens)
        line += " --no-tokens";
    if (!spec.showSpans)
        line += " --no-spans";
    if (spec.widthMm != defaults.widthMm)
        add("--width", fmt::format("{}", spec.widthMm));
    if (spec.heightMm != defaults.heightMm)
        add("--height", fmt::format("{}", spec.heightMm));
    if (spec.fontPoints != defaults.fontPoints)
        add("--font", fmt::format("{}", spec.fontPoints));
    if (spec.dpi != defaults.dpi)
        add("--dpi", fmt::format("{}", spec.dpi));
    add("--out", std::string(output));
    return line;
}

} // namespace kvloupe
