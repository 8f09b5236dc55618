// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/heap_strings.h"
#include "core/recording/recording_layout.h"
#include "core/recording/recording_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace kvloupe {
namespace {

using hdf5::ElementType;
using hdf5::Handle;
using hdf5::Node;

constexpr std::uint64_t mostSpans = std::uint64_t{1} << 20;

std::uint64_t size(std::int64_t value)
{
    return static_cast<std::uint64_t>(value);
}

std::uint64_t elementsOf(const Node& dataset, int rank)
{
    const Handle space(H5Dget_space(dataset.id.id()), dataset.where());
    const int foundRank = H5Sget_simple_extent_ndims(space.id());
    if (foundRank != rank) {
        throw RecordingError(fmt::format("{} has {} dimensions, expected {}", dataset.where(), foundRank, rank));
    }
    return static_cast<std::uint64_t>(hdf5::check(H5Sget_simple_extent_npoints(space.id()), dataset.where()));
}

std::string readTextDataset(const Node& sample)
{
    const hdf5::Lock held = hdf5::lock();
    const Node dataset = hdf5::openDataset(sample, "text");
    const std::string where = dataset.where();
    const Handle type(H5Dget_type(dataset.id.id()), where);
    elementsOf(dataset, 0);
    if (H5Tget_class(type.id()) != H5T_STRING || H5Tis_variable_str(type.id()) > 0) {
        throw RecordingError(fmt::format("{} has the wrong type, expected a string of fixed length", where));
    }
    const std::size_t bytes = H5Tget_size(type.id());
    if (bytes > dataset.fileBytes) {
        throw RecordingError(
            fmt::format("{} claims {} bytes, more than the {} bytes of the file", where, bytes, dataset.fileBytes));
    }
    std::string text(bytes, '\0');
    hdf5::check(H5Dread(dataset.id.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()), where);
    text.resize(static_cast<std::size_t>(hdf5::readInteger(dataset, "bytes", 0, static_cast<std::int64_t>(bytes))));
    return text;
}

std::vector<std::string> readPieces(const Node& tokens, std::uint64_t count)
{
    const hdf5::Lock held = hdf5::lock();
    const Node dataset = hdf5::openDataset(tokens, "pieces");
    const std::string where = dataset.where();
    const Handle type(H5Dget_type(dataset.id.id()), where);
    if (H5Tget_class(type.id()) != H5T_STRING || H5Tis_variable_str(type.id()) <= 0) {
        throw RecordingError(fmt::format("{} has the wrong type, expected strings of variable length", where));
    }
    if (const std::uint64_t found = elementsOf(dataset, 1); found != count) {
        throw RecordingError(fmt::format("{} has shape [{}], expected [{}]", where, found, count));
    }
    hdf5::HeapStrings strings(dataset, count, hdf5::HeapStrings::referenceBytes);
    std::vector<std::string> pieces;
    for (std::uint64_t i = 0; i < count; ++i) {
        pieces.push_back(strings.string(i * hdf5::HeapStrings::referenceBytes));
    }
    return pieces;
}

/// What a member of a span must be. The members follow each other without gaps.
struct Member {
    const char* name;
    H5T_class_t kind;
    std::size_t offset;
    std::size_t bytes;
};

constexpr std::array<Member, 5> spanMembers{{
    {"begin", H5T_INTEGER, 0, 8},
    {"end", H5T_INTEGER, 8, 8},
    {"kind", H5T_ENUM, 16, 1},
    {"shot", H5T_INTEGER, 17, 4},
    {"label", H5T_STRING, 21, hdf5::HeapStrings::referenceBytes},
}};
constexpr std::size_t spanBytes = 37;
/// HDF5 describes the type as it is in memory, where a string is a pointer.
constexpr std::size_t spanBytesInMemory = spanBytes - hdf5::HeapStrings::referenceBytes + sizeof(char*);

void requireMembers(const Handle& type, const std::string& where)
{
    if (H5Tget_class(type.id()) != H5T_COMPOUND) {
        throw RecordingError(fmt::format("{} has the wrong type, expected a compound", where));
    }
    for (const Member& member : spanMembers) {
        const int number = H5Tget_member_index(type.id(), member.name);
        if (number < 0) {
            throw RecordingError(fmt::format("{}: member {} is missing", where, member.name));
        }
        const Handle memberType(H5Tget_member_type(type.id(), static_cast<unsigned>(number)), where);
        const bool isString = member.kind == H5T_STRING;
        const bool matches = H5Tget_class(memberType.id()) == member.kind
            && (isString ? H5Tis_variable_str(memberType.id()) > 0
                         : H5Tget_size(memberType.id()) == member.bytes
                        && (member.bytes == 1 || H5Tget_order(memberType.id()) == H5T_ORDER_LE));
        if (!matches || H5Tget_member_offset(type.id(), static_cast<unsigned>(number)) != member.offset) {
            throw RecordingError(fmt::format("{}: member {} has the wrong type or place", where, member.name));
        }
    }
    if (H5Tget_size(type.id()) != spanBytesInMemory) {
        throw RecordingError(
            fmt::format("{}: a span has {} bytes, expected {}", where, H5Tget_size(type.id()), spanBytesInMemory));
    }
}

template <class Value> Value memberValue(std::span<const std::byte> span, const Member& member)
{
    Value value{};
    std::memcpy(&value, span.data() + member.offset, sizeof(value));
    return value;
}

std::vector<Span> readSpans(const Node& sample, std::int64_t tokens)
{
    const hdf5::Lock held = hdf5::lock();
    const Node dataset = hdf5::openDataset(sample, "spans");
    const std::string where = dataset.where();
    const Handle fileType(H5Dget_type(dataset.id.id()), where);
    requireMembers(fileType, where);
    const std::uint64_t count = elementsOf(dataset, 1);
    if (count > mostSpans) {
        throw RecordingError(fmt::format("{} has {} spans, expected at most {}", where, count, mostSpans));
    }
    std::vector<Span> spans;
    hdf5::HeapStrings strings(dataset, count, spanBytes);
    for (std::size_t i = 0; i < count; ++i) {
        const auto stored = strings.elements().subspan(i * spanBytes, spanBytes);
        Span span;
        span.begin = memberValue<std::int64_t>(stored, spanMembers[0]);
        span.end = memberValue<std::int64_t>(stored, spanMembers[1]);
        const auto kind = memberValue<std::int8_t>(stored, spanMembers[2]);
        span.shot = memberValue<std::int32_t>(stored, spanMembers[3]);
        if (span.begin < 0 || span.end < span.begin || span.end > tokens) {
            throw RecordingError(fmt::format("{}: span {} covers tokens {} to {}, expected a range within 0 to {}",
                where, i, span.begin, span.end, tokens));
        }
        if (kind < 0 || kind >= spanKindCount) {
            throw RecordingError(
                fmt::format("{}: span {} has kind {}, expected 0 to {}", where, i, kind, spanKindCount - 1));
        }
        if (span.shot < -1) {
            throw RecordingError(fmt::format("{}: span {} has shot {}, expected -1 or more", where, i, span.shot));
        }
        span.kind = static_cast<SpanKind>(kind);
        span.label = strings.string(i * spanBytes + spanMembers[4].offset);
        spans.push_back(std::move(span));
    }
    return spans;
}

std::vector<std::array<std::int64_t, 2>> checkedOffsets(
    const std::vector<std::int64_t>& flat, std::size_t textBytes, const std::string& where)
{
    std::vector<std::array<std::int64_t, 2>> offsets(flat.size() / 2);
    std::int64_t previous = 0;
    for (std::size_t token = 0; token < offsets.size(); ++token) {
        const std::int64_t begin = flat[2 * token];
        const std::int64_t end = flat[2 * token + 1];
        if (begin < previous || end < begin || end > static_cast<std::int64_t>(textBytes)) {
            throw RecordingError(fmt::format(
                "{}/offsets: token {} covers bytes {} to {}, expected an ascending range within the {} bytes of text",
                where, token, begin, end, textBytes));
        }
        previous = begin;
        offsets[token] = {begin, end};
    }
    return offsets;
}

} // namespace

SampleText Recording::readText(int sample) const
{
    const SampleInfo& info = this->sample(sample);
    const Node& group = m_state->sampleGroup(sample);
    const std::uint64_t tokens = size(info.totalTokens);
    SampleText result;
    result.text = readTextDataset(group);
    const Node tokenGroup = hdf5::openGroup(group, "tokens");
    result.ids = m_state->readWhole<std::int32_t>(tokenGroup, "ids", ElementType::Int32, {tokens});
    if (const auto negative = std::ranges::find_if(result.ids, [](std::int32_t id) { return id < 0; });
        negative != result.ids.end()) {
        throw RecordingError(fmt::format("{}/ids: token {} has the id {}, expected 0 or more", tokenGroup.where(),
            negative - result.ids.begin(), *negative));
    }
    result.pieces = readPieces(tokenGroup, tokens);
    result.offsets
        = checkedOffsets(m_state->readWhole<std::int64_t>(tokenGroup, "offsets", ElementType::Int64, {tokens, 2}),
            result.text.size(), tokenGroup.where());
    if (hdf5::hasChild(tokenGroup, "nll")) {
        result.nll = m_state->readWhole<float>(tokenGroup, "nll", ElementType::Float32, {tokens});
    }
    if (hdf5::hasChild(tokenGroup, "top_ids")) {
        const hdf5::ChunkedArray::Index dims{tokens, size(layout::topTokens)};
        result.topIds = m_state->readWhole<std::int32_t>(tokenGroup, "top_ids", ElementType::Int32, dims);
        result.topLogprobs = m_state->readWhole<float>(tokenGroup, "top_logprobs", ElementType::Float32, dims);
    }
    result.spans = readSpans(group, info.totalTokens);
    return result;
}

} // namespace kvloupe
