// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/summary_table.h"

#include "core/replay/csv_field.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

namespace kvloupe {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* nothing = "-";

std::string percent(double fraction, const char* sign = "")
{
    if (std::isnan(fraction))
        return nothing;
    return *sign != '\0' ? fmt::format("{:+.1f}", 100.0 * fraction) : fmt::format("{:.1f}", 100.0 * fraction);
}

std::string fixed(std::optional<double> value, int digits)
{
    return value && !std::isnan(*value) ? fmt::format("{:.{}f}", *value, digits) : nothing;
}

std::string pText(std::optional<double> p)
{
    return !p ? nothing : *p < 0.001 ? "<0.001" : fmt::format("{:.3f}", *p);
}

template <typename Value> std::string optionalText(const std::optional<Value>& value)
{
    return value ? fmt::format("{}", *value) : nothing;
}

std::string budgetText(const SummaryCell& cell)
{
    if (!cell.budget)
        return nothing;
    return *cell.budgetKind == "keep"    ? *cell.budget
        : *cell.budgetKind == "capacity" ? *cell.budget + " tokens"
                                         : "removed " + *cell.budget;
}

/// A key of the table: a column where rows differ, else a line above it.
struct Key {
    const char* name;
    bool number;
    std::function<std::string(const SummaryCell&)> text;
    bool ofCompressedOnly = false; ///< means nothing for a full-cache run
};

const std::vector<Key>& keys()
{
    static const std::vector<Key> all{
        {"model", false, [](const SummaryCell& cell) { return cell.modelLabel; }},
        {"computed in", false, [](const SummaryCell& cell) { return cell.model.dtype; }},
        {"suite", false, [](const SummaryCell& cell) { return cell.suite; }},
        {"data", false,
            [](const SummaryCell& cell) { return cell.dataSha256 ? cell.dataSha256->substr(0, 8) : "generated"; }},
        {"chat template", false, [](const SummaryCell& cell) { return cell.chat ? "on" : "off"; }},
        {"task", false, [](const SummaryCell& cell) { return cell.task.value_or("all"); }},
        {"shots", true, [](const SummaryCell& cell) { return cell.shots ? optionalText(cell.shots) : "all"; }},
        {"level", true, [](const SummaryCell& cell) { return cell.level ? optionalText(cell.level) : "all"; }},
        {"seed", true, [](const SummaryCell& cell) { return cell.seed ? optionalText(cell.seed) : "all"; }},
        {"new tokens at most", true,
            [](const SummaryCell& cell) { return cell.maxNewTokens ? optionalText(cell.maxNewTokens) : "any"; }},
        {"first token from", false, [](const SummaryCell& cell) { return cell.firstToken + " cache"; }, true},
        {"budget of", false, [](const SummaryCell& cell) { return cell.compressSpan; }, true},
        {"generated tokens kept", true, [](const SummaryCell& cell) { return cell.decodeKeep.value_or("as budget"); },
            true},
        {"sets per", false, [](const SummaryCell& cell) { return cell.granularity; }, true},
        {"choice", false, [](const SummaryCell& cell) { return cell.fidelity; }, true},
    };
    return all;
}

const std::vector<Key>& measures()
{
    static const std::vector<Key> all{
        {"asked %", true, [](const SummaryCell& cell) { return percent(cell.requestedShare); }},
        {"asked tokens", true, [](const SummaryCell& cell) { return fixed(cell.requestedTokens, 1); }},
        {"kept %", true, [](const SummaryCell& cell) { return percent(cell.realisedShare); }},
        {"kept tokens", true, [](const SummaryCell& cell) { return fixed(cell.realisedTokens, 1); }},
        {"n", true, [](const SummaryCell& cell) { return fmt::format("{}", cell.samples); }},
        {"accuracy %", true, [](const SummaryCell& cell) { return percent(cell.accuracy); }},
        {"95 % interval", true,
            [](const SummaryCell& cell) {
                return cell.samples == 0
                    ? std::string(nothing)
                    : fmt::format("{} .. {}", percent(cell.accuracyInterval.low), percent(cell.accuracyInterval.high));
            }},
        {"dP %", true,
            [](const SummaryCell& cell) {
                return cell.relativeDrop ? percent(*cell.relativeDrop, "+") : std::string(nothing);
            }},
        {"p (Holm)", true, [](const SummaryCell& cell) { return pText(cell.pHolm); }},
        {"dNLL", true,
            [](const SummaryCell& cell) {
                return cell.nllDifference ? fmt::format("{:+.3f}", cell.nllDifference->mean) : std::string(nothing);
            }},
        {"dNLL interval", true,
            [](const SummaryCell& cell) {
                return cell.nllDifference
                    ? fmt::format("{:+.3f} .. {:+.3f}", cell.nllDifference->low, cell.nllDifference->high)
                    : std::string(nothing);
            }},
        {"KL", true, [](const SummaryCell& cell) { return fixed(cell.klToFull, 4); }},
        {"length", true, [](const SummaryCell& cell) { return fixed(cell.lengthRatio, 2); }},
        {"cached tokens", true, [](const SummaryCell& cell) { return fixed(cell.meanCachedTokens, 1); }},
    };
    return all;
}

Json orNull(double value)
{
    return std::isfinite(value) ? Json(value) : Json();
}

template <typename Value> Json orNull(const std::optional<Value>& value)
{
    if constexpr (std::is_same_v<Value, double>)
        return value ? orNull(*value) : Json();
    else
        return value ? Json(*value) : Json();
}

Json cellJson(const SummaryCell& cell)
{
    Json json;
    json["model"] = cell.model.name;
    json["model_file_sha256"] = cell.model.fileSha256;
    json["adapter_sha256"] = orNull(cell.model.adapterSha256);
    json["tokenizer_sha256"] = cell.model.tokenizerSha256;
    json["dtype"] = cell.model.dtype;
    json["suite"] = cell.suite;
    json["data_sha256"] = orNull(cell.dataSha256);
    json["chat"] = cell.chat;
    json["first_token"] = cell.firstToken;
    json["compress_span"] = cell.compressSpan;
    json["decode_keep"] = orNull(cell.decodeKeep);
    json["task"] = orNull(cell.task);
    json["shots"] = orNull(cell.shots);
    json["level"] = orNull(cell.level);
    json["seed"] = orNull(cell.seed);
    json["max_new_tokens"] = orNull(cell.maxNewTokens);
    json["full_cache"] = cell.full;
    json["method"] = orNull(cell.method);
    json["granularity"] = cell.granularity;
    json["fidelity"] = cell.fidelity;
    json["budget_kind"] = orNull(cell.budgetKind);
    json["budget"] = orNull(cell.budget);
    json["prompt_tokens"] = orNull(cell.promptTokens);
    json["requested_fraction"] = orNull(cell.requestedShare);
    json["requested_tokens"] = orNull(cell.requestedTokens);
    json["realised_fraction"] = orNull(cell.realisedShare);
    json["realised_tokens"] = orNull(cell.realisedTokens);
    json["mean_cached_tokens"] = orNull(cell.meanCachedTokens);
    json["samples_count"] = cell.samples;
    json["skipped_count"] = cell.skipped;
    json["accuracy_fraction"] = orNull(cell.accuracy);
    json["accuracy_low_fraction"] = orNull(cell.accuracyInterval.low);
    json["accuracy_high_fraction"] = orNull(cell.accuracyInterval.high);
    json["pairs_count"] = cell.pairs;
    json["relative_drop_fraction"] = orNull(cell.relativeDrop);
    json["lost_count"] = cell.lost;
    json["gained_count"] = cell.gained;
    json["mcnemar_p"] = cell.mcnemar ? Json(cell.mcnemar->p) : Json();
    json["mcnemar_test"] = cell.mcnemar ? Json(pairedTestName(cell.mcnemar->test)) : Json();
    json["mcnemar_p_holm"] = orNull(cell.pHolm);
    json["nll_nats_per_token"] = orNull(cell.nll);
    const auto difference = [&](double BootstrapMean::*part) {
        return cell.nllDifference ? orNull((*cell.nllDifference).*part) : Json();
    };
    json["nll_difference_nats_per_token"] = difference(&BootstrapMean::mean);
    json["nll_difference_low_nats_per_token"] = difference(&BootstrapMean::low);
    json["nll_difference_high_nats_per_token"] = difference(&BootstrapMean::high);
    json["kl_to_full_nats_per_token"] = orNull(cell.klToFull);
    json["output_length_ratio"] = orNull(cell.lengthRatio);
    json["ended_at_limit_fraction"] = orNull(cell.limitShare);
    return json;
}

std::string csvValue(const Json& value)
{
    if (value.is_null())
        return "";
    return value.is_string() ? csvField(value.get<std::string>()) : value.dump();
}

/// A number with a minus sign instead of a hyphen, an interval in words.
std::string latexNumber(std::string_view text)
{
    std::string result;
    for (std::size_t at = 0; at < text.size(); ++at)
        if (text.substr(at).starts_with(" .. ")) {
            result += " to ";
            at += 3;
        } else {
            result += text[at] == '-' ? "$-$" : latexText(text.substr(at, 1));
        }
    return result;
}

} // namespace

SummaryTable summaryTable(const Summary& summary)
{
    SummaryTable table;
    const auto& cells = summary.cells;
    const bool anyCompressed = std::ranges::any_of(cells, [](const SummaryCell& cell) { return !cell.full; });
    std::vector<std::function<std::string(const SummaryCell&)>> texts;
    const auto addColumn = [&](const char* name, bool number, std::function<std::string(const SummaryCell&)> text) {
        table.columns.push_back({name, number});
        texts.push_back(std::move(text));
    };

    for (const Key& key : keys()) {
        const auto counts
            = [&](const SummaryCell& cell) { return !key.ofCompressedOnly || !cell.full || !anyCompressed; };
        std::vector<std::string> values;
        for (const SummaryCell& cell : cells)
            if (counts(cell) && std::ranges::find(values, key.text(cell)) == values.end())
                values.push_back(key.text(cell));
        if (values.size() == 1)
            table.common.push_back({key.name, values.front()});
        else if (values.size() > 1)
            addColumn(key.name, key.number,
                [&key, counts](const SummaryCell& cell) { return counts(cell) ? key.text(cell) : nothing; });
    }
    addColumn("method", false, [](const SummaryCell& cell) {
        return cell.full ? "full" : cell.method ? *cell.method : "mean of methods";
    });
    if (std::ranges::any_of(cells, [](const SummaryCell& cell) { return cell.budget.has_value(); }))
        addColumn("keep", true, budgetText);
    for (const Key& measure : measures())
        addColumn(measure.name, measure.number, measure.text);
    if (std::ranges::any_of(cells, [](const SummaryCell& cell) { return cell.skipped > 0; }))
        addColumn("skipped", true, [](const SummaryCell& cell) { return fmt::format("{}", cell.skipped); });

    for (const SummaryCell& cell : cells) {
        auto& row = table.rows.emplace_back();
        for (const auto& text : texts)
            row.push_back(text(cell));
    }
    table.notes = {"asked, kept: share and number of the prompt's tokens per head, requested and realised",
        "interval of accuracy: Wilson; dP: (P - P_full) / P_full; p: McNemar's test against the full cache, "
        "Holm-corrected "
        "over the methods of one budget",
        "dNLL: nats per token of the gold answer above the full cache, bootstrap interval; KL: to the full run, nats "
        "per "
        "token; length: of the output, by that of the full run"};
    return table;
}

std::string latexText(std::string_view text)
{
    std::string result;
    for (const char c : text) {
        switch (c) {
        case '\\':
            result += "\\textbackslash{}";
            break;
        case '~':
            result += "\\textasciitilde{}";
            break;
        case '^':
            result += "\\textasciicircum{}";
            break;
        case '<':
            result += "\\textless{}";
            break;
        case '>':
            result += "\\textgreater{}";
            break;
        case '|':
            result += "\\textbar{}";
            break;
        case '"':
            result += "\\textquotedbl{}";
            break;
        case '&':
        case '%':
        case '$':
        case '#':
        case '_':
        case '{':
        case '}':
            result += std::string("\\") + c;
            break;
        case '\n':
        case '\r':
        case '\t':
            result += ' ';
            break;
        default:
            result += c;
        }
    }
    return result;
}

std::string summaryLatex(const SummaryTable& table)
{
    const auto line = [&](const std::vector<std::string>& cells, bool heading = false) {
        std::vector<std::string> escaped;
        for (std::size_t column = 0; column < cells.size(); ++column)
            escaped.push_back(cells[column] == nothing         ? "--"
                    : !heading && table.columns[column].number ? latexNumber(cells[column])
                                                               : latexText(cells[column]));
        return fmt::format("{} \\\\\n", fmt::join(escaped, " & "));
    };
    std::string alignment;
    std::vector<std::string> headings;
    for (const SummaryTable::Column& column : table.columns) {
        alignment += column.number ? 'r' : 'l';
        headings.push_back(column.heading);
    }
    std::string caption;
    for (const SummaryTable::Fact& fact : table.common)
        caption += fmt::format("{}{}: {}", caption.empty() ? "" : "; ", latexText(fact.name), latexText(fact.value));
    for (const std::string& note : table.notes)
        caption += (caption.empty() ? "" : ". ") + latexText(note);
    std::string result = "% \\usepackage{booktabs}\n\\begin{table}\n\\centering\n";
    result += fmt::format("\\caption{{{}.}}\n\\begin{{tabular}}{{{}}}\n\\toprule\n", caption, alignment);
    result += line(headings, true) + "\\midrule\n";
    for (const auto& row : table.rows)
        result += line(row);
    return result + "\\bottomrule\n\\end{tabular}\n\\end{table}\n";
}

std::string summaryCsv(const Summary& summary)
{
    std::vector<std::string> names;
    const Json columns = cellJson({});
    for (const auto& [name, value] : columns.items())
        names.push_back(name);
    std::string result = fmt::format("{}\n", fmt::join(names, ","));
    for (const SummaryCell& cell : summary.cells) {
        std::vector<std::string> values;
        const Json fields = cellJson(cell);
        for (const auto& [name, value] : fields.items())
            values.push_back(csvValue(value));
        result += fmt::format("{}\n", fmt::join(values, ","));
    }
    return result;
}

std::string summaryJson(const Summary& summary)
{
    Json list = Json::array();
    for (const SummaryCell& cell : summary.cells)
        list.push_back(cellJson(cell));
    return list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace kvloupe
