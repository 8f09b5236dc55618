// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/session_file.h"

#include "core/json/shallow_json.h"
#include "core/prompt/shot_boundaries.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

namespace kvloupe {

namespace {

using Json = nlohmann::ordered_json;

constexpr int firstVersion = 1;
constexpr int versionWithHeadSets = 2;
constexpr std::size_t largestFile = std::size_t{16} << 20;

/// A value in the file with the way to it: "a.kvsession: samples[2].shots".
struct Place {
    const Json& value;
    std::string path;

    [[noreturn]] void fail(std::string_view expected) const
    {
        std::string found = value.dump(-1, ' ', false, Json::error_handler_t::replace);
        if (found.size() > 60)
            found = found.substr(0, 57) + "...";
        throw SessionError(fmt::format("{}: found {}, expected {}", path, found, expected));
    }

    Place field(const char* name, std::string_view expected) const
    {
        if (!value.is_object())
            fail("an object");
        const auto found = value.find(name);
        if (found == value.end())
            throw SessionError(fmt::format("{}: no field \"{}\", expected {}", path, name, expected));
        return {*found, fmt::format("{}.{}", path, name)};
    }

    Place element(std::size_t index) const { return {value[index], fmt::format("{}[{}]", path, index)}; }

    void checkList(std::string_view expected) const
    {
        if (!value.is_array())
            fail(expected);
    }

    std::string text(std::string_view expected) const
    {
        if (!value.is_string())
            fail(expected);
        return value.get<std::string>();
    }

    std::int64_t integer(std::string_view expected) const
    {
        constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > most))
            fail(expected);
        return value.get<std::int64_t>();
    }
};

std::vector<TokenRange> readShots(const Place& place)
{
    place.checkList("a list of [begin, end]");
    std::vector<TokenRange> shots;
    for (std::size_t index = 0; index < place.value.size(); ++index) {
        const Place shot = place.element(index);
        if (!shot.value.is_array() || shot.value.size() != 2)
            shot.fail("[begin, end]");
        shots.push_back({shot.element(0).integer("a token"), shot.element(1).integer("a token")});
    }
    return shots;
}

std::vector<HeadSet> readHeadSets(const Place& place)
{
    constexpr std::int64_t mostHeads = 1 << 16; // of layers and of heads: the recording may lack some of a set
    place.checkList("a list of sets");
    std::vector<HeadSet> sets;
    for (std::size_t index = 0; index < place.value.size(); ++index) {
        const Place entry = place.element(index);
        const Place name = entry.field("name", "a text");
        HeadSet set{name.text("a text"), {}};
        if (set.name.empty() || std::ranges::find(sets, set.name, &HeadSet::name) != sets.end())
            name.fail("a name that no other set has");
        const Place heads = entry.field("heads", "a list of [layer, head]");
        heads.checkList("a list of [layer, head]");
        for (std::size_t at = 0; at < heads.value.size(); ++at) {
            const Place head = heads.element(at);
            if (!head.value.is_array() || head.value.size() != 2)
                head.fail("[layer, head]");
            const std::int64_t layer = head.element(0).integer("a layer");
            const std::int64_t number = head.element(1).integer("a head");
            if (layer < 0 || number < 0 || layer >= mostHeads || number >= mostHeads)
                head.fail("[layer, head], each from 0 to 65535");
            const std::pair found{static_cast<int>(layer), static_cast<int>(number)};
            if (!set.heads.empty() && set.heads.back() >= found)
                head.fail("heads in ascending order, each once");
            set.heads.push_back(found);
        }
        sets.push_back(std::move(set));
    }
    return sets;
}

} // namespace

std::string sessionToJson(const SessionContents& session, std::span<const SampleInfo> samples)
{
    Json document;
    document["kvsession"] = session.headSets.empty() ? firstVersion : versionWithHeadSets;
    document["recording"] = {{"uuid", session.recordingUuid}, {"file", session.recordingFile}};
    document["samples"] = Json::array();
    for (const auto& [sample, shots] : session.shots) {
        const SampleInfo& info = samples[static_cast<std::size_t>(sample)];
        Json entry{{"sample", sample}, {"id", info.id}, {"prompt_sha256", info.promptSha256}, {"shots", Json::array()}};
        for (const TokenRange& shot : shots)
            entry["shots"].push_back({shot.begin, shot.end});
        document["samples"].push_back(std::move(entry));
    }
    for (const HeadSet& set : session.headSets)
        document["head_sets"].push_back({{"name", set.name}, {"heads", set.heads}});
    return document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

SessionContents sessionFromJson(std::string_view text, std::string_view where, const std::string& recordingUuid,
    std::span<const SampleInfo> samples)
{
    Json document;
    try {
        document = parseShallowJson<Json>(text);
    } catch (const JsonTextError& error) {
        throw SessionError(fmt::format("{}: {}; expected a session", where, error.what()));
    }
    const Place root{document, std::string(where)};
    const Place version = root.field("kvsession", "the version of the format");
    const std::int64_t format = version.integer("a version");
    if (format != firstVersion && format != versionWithHeadSets)
        version.fail(fmt::format("version {} or {}", firstVersion, versionWithHeadSets));
    const Place recording = root.field("recording", "uuid and file");
    SessionContents session;
    session.recordingFile = recording.field("file", "the name of the recording").text("a text");
    const Place uuid = recording.field("uuid", "the recording's");
    session.recordingUuid = uuid.text("a text");
    if (session.recordingUuid != recordingUuid)
        uuid.fail(fmt::format("\"{}\": the session is of another recording", recordingUuid));

    const Place list = root.field("samples", "a list");
    list.checkList("a list");
    for (std::size_t index = 0; index < list.value.size(); ++index) {
        const Place entry = list.element(index);
        const Place number = entry.field("sample", "a number");
        const std::int64_t sample = number.integer("a number");
        if (sample < 0 || sample >= std::ssize(samples))
            number.fail(fmt::format("a sample of the recording, 0 to {}", std::ssize(samples) - 1));
        const SampleInfo& info = samples[static_cast<std::size_t>(sample)];
        const Place hash = entry.field("prompt_sha256", "the hash of the prompt");
        if (hash.text("a text") != info.promptSha256)
            hash.fail(fmt::format("\"{}\": sample {} has another prompt", info.promptSha256, sample));
        const Place shots = entry.field("shots", "a list of [begin, end]");
        std::vector<TokenRange> ranges = readShots(shots);
        try {
            checkShots(ranges, info.promptTokens);
        } catch (const Error& error) {
            throw SessionError(fmt::format("{}: {}", shots.path, error.what()));
        }
        if (!session.shots.emplace(static_cast<int>(sample), std::move(ranges)).second)
            number.fail("each sample once");
    }
    if (format == versionWithHeadSets)
        session.headSets = readHeadSets(root.field("head_sets", "a list"));
    return session;
}

std::string readSessionText(const std::filesystem::path& path)
{
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw SessionError(fmt::format("{}: cannot be opened: {}", path.string(), std::strerror(errno)));
    std::string text;
    std::vector<char> block(std::size_t{1} << 16);
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0) {
        text.append(block.data(), static_cast<std::size_t>(file.gcount()));
        if (text.size() > largestFile)
            throw SessionError(fmt::format("{}: larger than 16 MiB, expected a session", path.string()));
    }
    if (file.bad() || !file.eof())
        throw SessionError(fmt::format("{}: cannot be read, expected a file", path.string()));
    return text;
}

std::filesystem::path sessionPathOf(const std::filesystem::path& recording)
{
    std::filesystem::path path = recording;
    if (!path.has_filename())
        path = path.parent_path();
    if (path.extension() == ".parts")
        path.replace_extension();
    path.replace_extension(".kvsession");
    return path;
}

} // namespace kvloupe
