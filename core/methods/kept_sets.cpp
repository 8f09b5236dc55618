// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/kept_sets.h"

#include "core/methods/nearest_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

namespace kvloupe {

namespace {

using Json = nlohmann::json;

constexpr std::int64_t largestPosition = std::numeric_limits<std::int32_t>::max() - 1;
constexpr int largestNumber = 1'000'000; ///< of a layer or a head

/// Reads one line event by event, so that positions go straight into vectors of integers and nothing else is kept.
class LineReader final : public nlohmann::json_sax<Json> {
public:
    /// `memory`: bytes that the lines so far take, to which those of this line are added.
    LineReader(std::string where, KeptLine& line, std::int64_t& memory)
        : m_where(std::move(where))
        , m_line(line)
        , m_memory(memory)
    {
        take(sizeof(KeptLine));
    }

    bool null() override { return word("null"); }
    bool boolean(bool value) override { return word(value ? "true" : "false"); }
    bool number_integer(number_integer_t value) override { return number(static_cast<double>(value), value); }
    bool number_unsigned(number_unsigned_t value) override
    {
        constexpr auto most = static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max());
        return number(static_cast<double>(value), static_cast<std::int64_t>(std::min(value, most)));
    }
    bool number_float(number_float_t value, const string_t& text) override
    {
        if (m_skip == 0 && m_depth == 1 && m_key == "keep") {
            m_keep = value;
            return true;
        }
        if (m_skip == 0 && m_inBudget) {
            budget(text);
            return true;
        }
        return word(text);
    }
    bool string(string_t& value) override
    {
        if (m_skip > 0)
            return true;
        if (m_depth == 2 && m_inBudget) {
            budget(value);
            return true;
        }
        if (m_depth != 1)
            return unexpected(quoted(value));
        if (m_key == "granularity")
            granularity(value);
        else if (m_key == "fidelity")
            fidelity(value);
        else if (m_key == "method")
            m_line.method = shownName(value);
        else if (m_key == "at" && value != "prefill")
            fail("at", quoted(value), "\"prefill\": sets of a prompt that was just cut");
        else if (isKnown() && m_key != "at")
            return unexpected(quoted(value));
        return true;
    }
    bool binary(binary_t&) override { return unexpected("binary data"); }

    bool start_object(std::size_t) override
    {
        if (m_skip > 0 || (m_depth == 1 && m_key != "kept" && m_key != "budget")) {
            if (m_skip == 0 && isKnown())
                return unexpected("an object");
            return skip();
        }
        if (m_inBudget || m_inHead || m_depth > 2)
            return unexpected("an object");
        if (m_depth == 1)
            m_inBudget = m_key == "budget";
        else if (m_depth == 2)
            m_layer = beginLayer();
        ++m_depth;
        return true;
    }
    bool end_object() override
    {
        if (m_skip > 0) {
            --m_skip;
            return true;
        }
        if (m_depth == 3)
            endLayer();
        --m_depth;
        m_inBudget = false;
        return true;
    }
    bool start_array(std::size_t) override
    {
        if (m_skip > 0 || (m_depth == 1 && !isKnown()))
            return skip();
        if (m_depth != 3 || m_inHead)
            return unexpected("a list");
        const auto [head, isNew] = m_heads.try_emplace(numbered("head", m_key));
        if (!isNew)
            fail(field(), "it twice", "it once");
        take(nodeBytes + sizeof(*head));
        m_positions = &head->second;
        m_inHead = true;
        return true;
    }
    bool end_array() override
    {
        if (m_skip > 0) {
            --m_skip;
            return true;
        }
        m_inHead = false;
        take(m_positions->size() * sizeof(std::int32_t));
        return true;
    }
    bool key(string_t& name) override
    {
        if (m_skip > 0)
            return true;
        m_key = name;
        if (m_depth == 1 && isKnown() && !m_seen.insert(name).second)
            fail(name, "it twice", "it once");
        if (m_depth == 2)
            m_layerKey = name;
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const Json::exception&) override
    {
        throw MethodError(fmt::format(
            "{}: not JSON at byte {}, expected an object as `kvloupe replay --json` prints it", m_where, position));
    }

    /// What can be said only when all of the line was read.
    void finish()
    {
        if (!m_seen.contains("sample"))
            fail("sample", "nothing", "the number of a sample");
        if (!m_seen.contains("kept") || m_line.layers.empty())
            fail("kept", m_seen.contains("kept") ? "no layer" : "nothing", "{layer: {head: [positions]}}");
        if (!m_line.budget && m_keep)
            m_line.budget = budgetFrom([&] { return Budget::keep(*m_keep); });
        const std::size_t sets = m_line.layers.begin()->second.sets.size();
        for (auto& [layer, keep] : m_line.layers) {
            keep.granularity = m_line.granularity;
            const std::string name = fmt::format("kept, layer {}", layer);
            if (keep.sets.size() != sets)
                fail(name, fmt::format("{} heads", keep.sets.size()),
                    fmt::format("{} as in layer {}", sets, m_line.layers.begin()->first));
            for (std::size_t head = 0; head < sets; ++head) {
                if (keep.granularity == Granularity::Layer && keep.sets[head] != keep.sets.front())
                    fail(fmt::format("{}, head {}", name, head), "other positions than those of head 0",
                        "the same with granularity layer");
                if (m_line.promptTokens && !keep.sets[head].empty() && keep.sets[head].back() >= *m_line.promptTokens)
                    fail(fmt::format("{}, head {}", name, head), fmt::format("position {}", keep.sets[head].back()),
                        fmt::format("less than the {} prompt tokens", *m_line.promptTokens));
            }
        }
    }

private:
    [[noreturn]] void fail(std::string_view name, std::string_view found, std::string_view expected) const
    {
        throw MethodError(fmt::format("{}: field {}: found {}, expected {}", m_where, name, found, expected));
    }
    static std::string quoted(std::string_view text) { return fmt::format("\"{}\"", shownName(text)); }
    bool isKnown() const
    {
        static const std::set<std::string, std::less<>> known{
            "sample", "prompt_tokens", "budget", "keep", "granularity", "fidelity", "method", "at", "kept"};
        return known.contains(m_key);
    }
    /// Where in the line a value stands.
    std::string field() const
    {
        if (m_depth == 0)
            return "(the line)";
        if (m_depth == 1 || m_inBudget)
            return m_inBudget ? fmt::format("budget, {}", shownName(m_key)) : shownName(m_key);
        return m_depth == 2 ? fmt::format("kept, layer {}", shownName(m_layerKey))
                            : fmt::format("kept, layer {}, head {}", shownName(m_layerKey), shownName(m_key));
    }
    bool unexpected(std::string_view found) const
    {
        std::string_view expected = "an object as `kvloupe replay --json` prints it";
        if (m_depth == 1 && (m_key == "sample" || m_key == "prompt_tokens"))
            expected = "a whole number";
        else if (m_depth == 1 && m_key == "keep")
            expected = "a share kept";
        else if (m_depth == 1 && (m_key == "kept" || m_key == "budget"))
            expected = "an object";
        else if (m_depth == 1)
            expected = "a word";
        else if (m_inBudget)
            expected = "the budget as text, such as {\"keep\": \"0.3\"}";
        else if (m_depth == 2)
            expected = "{head: [positions]}";
        else if (m_depth == 3)
            expected = "a list of positions";
        fail(field(), found, expected);
    }
    bool skip()
    {
        ++m_skip;
        return true;
    }
    /// A value that is neither a number nor a string where either may stand.
    bool word(std::string_view text) const { return m_skip > 0 || (m_depth == 1 && !isKnown()) || unexpected(text); }

    bool number(double value, std::int64_t whole)
    {
        if (m_skip > 0)
            return true;
        if (m_inHead) {
            position(whole);
            return true;
        }
        if (m_inBudget) {
            budget(std::to_string(whole));
            return true;
        }
        if (m_depth != 1)
            return unexpected(fmt::format("{}", whole));
        if (m_key == "sample") {
            if (whole < 0 || whole > std::numeric_limits<std::int32_t>::max())
                fail("sample", fmt::format("{}", whole), "the number of a sample, 0 or more");
            m_line.sample = static_cast<int>(whole);
        } else if (m_key == "prompt_tokens") {
            if (whole < 0 || whole > largestPosition)
                fail("prompt_tokens", fmt::format("{}", whole), fmt::format("0 to {}", largestPosition));
            m_line.promptTokens = whole;
        } else if (m_key == "keep") {
            m_keep = value;
        } else if (isKnown()) {
            return unexpected(fmt::format("{}", whole));
        }
        return true;
    }
    void position(std::int64_t value)
    {
        const std::int64_t least = m_positions->empty() ? 0 : m_positions->back() + std::int64_t{1};
        if (value < least || value > largestPosition)
            fail(field(),
                fmt::format(
                    "position {}{}", value, m_positions->empty() ? "" : fmt::format(" after {}", m_positions->back())),
                m_positions->empty() ? "positions from 0 on" : "ascending positions");
        m_positions->push_back(static_cast<std::int32_t>(value));
    }
    int numbered(std::string_view what, std::string_view text) const
    {
        int value = -1;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool canonical
            = error == std::errc() && end == text.data() + text.size() && std::to_string(value) == text;
        if (!canonical || value < 0 || value > largestNumber)
            fail(field(), quoted(text), fmt::format("the number of a {}", what));
        return value;
    }
    int beginLayer() const
    {
        const int layer = numbered("layer", m_key);
        if (m_line.layers.contains(layer))
            fail(field(), "it twice", "it once");
        return layer;
    }
    void endLayer()
    {
        KeepSet keep;
        for (auto& [head, positions] : m_heads) {
            if (head != static_cast<int>(keep.sets.size()))
                fail(fmt::format("kept, layer {}", m_layer), fmt::format("no head {}", keep.sets.size()),
                    fmt::format("heads 0 to {}", m_heads.rbegin()->first));
            positions.shrink_to_fit();
            keep.sets.push_back(std::move(positions));
        }
        if (keep.sets.empty())
            fail(fmt::format("kept, layer {}", m_layer), "no head", "{head: [positions]}");
        m_heads.clear();
        take(nodeBytes + sizeof(KeepSet));
        m_line.layers.emplace(m_layer, std::move(keep));
    }

    template <class Make> Budget budgetFrom(Make make) const
    {
        try {
            return make();
        } catch (const MethodError& error) {
            throw MethodError(fmt::format("{}: {}", m_where, error.what()));
        }
    }
    void budget(const std::string& text)
    {
        if (m_key != "keep" && m_key != "capacity" && m_key != "compression_ratio")
            fail("budget", quoted(m_key), "keep, capacity or compression_ratio");
        m_line.budget = budgetFrom([&] {
            return m_key == "keep"    ? Budget::keep(std::string_view(text))
                : m_key == "capacity" ? Budget::capacity(std::string_view(text))
                                      : Budget::compressionRatio(text);
        });
    }
    void granularity(const std::string& name)
    {
        for (const auto known : {Granularity::Layer, Granularity::KvHead, Granularity::QueryHead})
            if (granularityName(known) == name) {
                m_line.granularity = known;
                return;
            }
        fail("granularity", quoted(name), "layer, kv_head or q_head");
    }
    void fidelity(const std::string& name)
    {
        for (const auto known : {Fidelity::Exact, Fidelity::Renormalised, Fidelity::Approximate})
            if (fidelityName(known) == name) {
                m_line.fidelity = known;
                return;
            }
        fail("fidelity", quoted(name), "exact, renormalised or approximate");
    }

    void take(std::size_t bytes)
    {
        m_memory += static_cast<std::int64_t>(bytes);
        if (m_memory > KeptSets::largestMemory)
            throw MethodError(fmt::format(
                "{}: found kept sets of more than {} GiB so far, expected no more; split the file by sample", m_where,
                KeptSets::largestMemory >> 30));
    }

    static constexpr std::size_t nodeBytes = 64; ///< what a map spends on an element beside the element

    std::string m_where;
    KeptLine& m_line;
    std::int64_t& m_memory;
    int m_depth = 0; ///< 1 = in the line's object, 2 = in "kept" or "budget", 3 = in a layer
    int m_skip = 0; ///< depth inside a value that does not matter
    bool m_inBudget = false;
    bool m_inHead = false;
    std::string m_key;
    std::string m_layerKey;
    int m_layer = 0;
    std::set<std::string> m_seen;
    std::optional<double> m_keep;
    std::map<int, std::vector<std::int32_t>> m_heads; ///< of the layer being read
    std::vector<std::int32_t>* m_positions = nullptr;
};

KeptLine parsedLine(const std::string& text, std::int64_t number, const std::string& file, std::int64_t& memory)
{
    KeptLine line;
    line.number = number;
    LineReader reader(fmt::format("{}: line {}", file, number), line, memory);
    Json::sax_parse(text, &reader);
    reader.finish();
    return line;
}

/// Calls `use` with the bytes of each line of a file, without its line break.
template <class Use> void forEachLine(const std::filesystem::path& path, const std::string& file, Use use)
{
    errno = 0;
    std::ifstream stream(path, std::ios::binary);
    const auto fail = [&] {
        throw MethodError(
            fmt::format("{}: cannot be read: {}", file, errno != 0 ? std::strerror(errno) : "unknown error"));
    };
    if (!stream)
        fail();
    std::vector<char> buffer(std::size_t{1} << 20);
    std::string line;
    std::int64_t bytes = 0;
    while (stream) {
        stream.read(buffer.data(), std::ssize(buffer));
        if (stream.bad())
            fail();
        std::string_view rest(buffer.data(), static_cast<std::size_t>(stream.gcount()));
        bytes += std::ssize(rest);
        if (bytes > KeptSets::largestFile)
            throw MethodError(fmt::format(
                "{}: found more than {} GiB, expected no more; split it by sample", file, KeptSets::largestFile >> 30));
        while (!rest.empty()) {
            const auto end = rest.find('\n');
            line.append(rest.substr(0, end));
            if (std::ssize(line) > KeptSets::longestLine)
                throw MethodError(fmt::format("{}: found a line of more than {} MiB, expected one JSON object per line",
                    file, KeptSets::longestLine >> 20));
            if (end == std::string_view::npos)
                break;
            use(line);
            line.clear();
            rest.remove_prefix(end + 1);
        }
    }
    if (!line.empty())
        use(line);
}

} // namespace

KeptSets KeptSets::read(const std::filesystem::path& path)
{
    KeptSets sets;
    sets.m_file = path.string();
    std::int64_t number = 0;
    std::int64_t memory = 0;
    forEachLine(path, sets.m_file, [&](const std::string& text) {
        ++number;
        if (text.find_first_not_of(" \t\r") == std::string::npos)
            return;
        KeptLine line = parsedLine(text, number, sets.m_file, memory);
        if (!sets.m_lines.empty() && line.granularity != sets.granularity())
            throw MethodError(fmt::format("{}: field granularity: found {}, expected {} as in line {}",
                sets.where(line), granularityName(line.granularity), granularityName(sets.granularity()),
                sets.m_lines.front().number));
        sets.m_lines.push_back(std::move(line));
    });
    if (sets.m_lines.empty())
        throw MethodError(
            fmt::format("{}: found no line, expected JSON lines as `kvloupe replay --json` prints them", sets.m_file));
    return sets;
}

Fidelity KeptSets::fidelity() const
{
    return std::ranges::max_element(m_lines, {}, &KeptLine::fidelity)->fidelity;
}

std::string KeptSets::where(const KeptLine& line) const
{
    return fmt::format("{}: line {}", m_file, line.number);
}

namespace {

std::string budgetText(const std::optional<Budget>& budget)
{
    return budget ? fmt::format("{} {}", budgetKindName(budget->kind()), budget->text()) : "no budget";
}

/// 0.3 and 0.30 are one budget.
bool isSame(const Budget& a, const Budget& b)
{
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    if (a.kind() != b.kind())
        return false;
    return a.kind() == BudgetKind::Capacity ? a.tokensKept(most) == b.tokensKept(most)
                                            : a.fractionKept(1) == b.fractionKept(1);
}

} // namespace

const KeptLine& KeptSets::find(int sample, const Budget& budget) const
{
    std::vector<const KeptLine*> ofSample;
    std::vector<const KeptLine*> matching;
    for (const KeptLine& line : m_lines) {
        if (line.sample != sample)
            continue;
        ofSample.push_back(&line);
        if (line.budget && isSame(*line.budget, budget))
            matching.push_back(&line);
    }
    if (matching.size() == 1)
        return *matching.front();
    if (matching.empty() && ofSample.size() == 1)
        return *ofSample.front();
    if (ofSample.empty())
        throw MethodError(fmt::format("{}: found no line of sample {}", m_file, sample));

    std::string found;
    constexpr std::size_t most = 6;
    const auto& listed = matching.empty() ? ofSample : matching;
    for (std::size_t index = 0; index < std::min(most, listed.size()); ++index)
        found += fmt::format("{}line {}{}{}, {}", index == 0 ? "" : "; ", listed[index]->number,
            listed[index]->method.empty() ? "" : " of ", listed[index]->method, budgetText(listed[index]->budget));
    if (listed.size() > most)
        found += "; ...";
    throw MethodError(fmt::format("{}: sample {} at {}: found {} lines ({}), expected one", m_file, sample,
        budgetText(budget), matching.size(), found));
}

GivenSets::GivenSets(KeptSets sets)
    : m_sets(std::move(sets))
{
}

std::vector<KeepSet> GivenSets::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    const KeptLine& line = m_sets.find(context.sample, context.budget);
    const auto fail = [&](std::string_view field, std::string_view found, std::string_view expected) {
        throw MethodError(
            fmt::format("{}: field {}: found {}, expected {}", m_sets.where(line), field, found, expected));
    };
    if (line.promptTokens && *line.promptTokens != context.layout.promptTokens())
        fail("prompt_tokens", fmt::format("{}", *line.promptTokens),
            fmt::format("{}, the prompt of sample {}", context.layout.promptTokens(), context.sample));
    if (line.layers.rbegin()->first >= context.numLayers)
        fail("kept", fmt::format("layer {}", line.layers.rbegin()->first),
            fmt::format("layers of a model of {}", context.numLayers));
    if (line.budget && !isSame(*line.budget, context.budget))
        context.note(fmt::format(
            "{}: sets made at {}, the only ones of the sample", m_sets.where(line), budgetText(line.budget)));

    std::vector<KeepSet> result;
    for (std::size_t index = 0; index < scores.size(); ++index) {
        const int layer = context.layers[index];
        const auto found = line.layers.find(layer);
        if (found == line.layers.end())
            fail("kept", fmt::format("no layer {}", layer), "every layer that was recorded");
        KeepSet keep = found->second;
        const bool wholeLayer = keep.granularity == Granularity::Layer;
        const auto sets = static_cast<std::size_t>(wholeLayer ? context.kvHeads : scores[index].sets);
        if (keep.sets.size() != sets)
            fail(fmt::format("kept, layer {}", layer), fmt::format("{} heads", keep.sets.size()),
                fmt::format("{} with granularity {}", sets, granularityName(keep.granularity)));
        const std::int64_t first = scores[index].firstPosition;
        for (std::size_t head = 0; head < sets; ++head) {
            auto& set = keep.sets[head];
            if (!set.empty() && (set.front() < first || set.back() >= first + scores[index].tokens))
                fail(fmt::format("kept, layer {}, head {}", layer, head),
                    fmt::format("position {}", set.front() < first ? set.front() : set.back()),
                    fmt::format("positions {} to {}", first, first + scores[index].tokens - 1));
            for (std::int32_t& position : set)
                position -= static_cast<std::int32_t>(first);
        }
        result.push_back(std::move(keep));
    }
    return result;
}

std::vector<LayerRanking> GivenSets::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result;
    for (const KeepSet& keep : choose(scores, context)) {
        const auto tokens = static_cast<std::size_t>(scores[result.size()].tokens);
        LayerRanking& layer = result.emplace_back();
        for (const auto& set : keep.sets) {
            SetRanking& ranking = layer.sets.emplace_back(SetRanking{{}, std::vector<Guard>(tokens, Guard::None)});
            for (const std::int32_t index : set)
                ranking.guards[static_cast<std::size_t>(index)] = Guard::Given;
        }
    }
    return result;
}

MethodInfo keptSetsMethod()
{
    MethodInfo info;
    info.name = "file";
    info.title = "Kept sets from a file";
    info.summary = "Shows what any other program kept, written as file:PATH.";
    info.source = "the form that kvloupe replay --json prints";
    info.parameters = {
        {"path", ParameterInfo::Type::Text, "",
            "JSON lines with sample and kept, at best with budget and prompt_tokens too", 0, 0, {}},
    };
    info.takesPath = true;
    info.make = [](const ParameterValues& values) {
        KeptSets sets = KeptSets::read(values.at("path"));
        Method method;
        method.granularity = sets.granularity();
        method.fidelity = sets.fidelity();
        method.chooser = std::make_shared<GivenSets>(std::move(sets));
        return method;
    };
    return info;
}

} // namespace kvloupe
