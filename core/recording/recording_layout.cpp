// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording_layout.h"

#include "core/recording/row_order.h"

#include "core/prompt/span.h"

#include <fmt/format.h>

#include <cstddef>

namespace kvloupe::layout {
namespace {

std::uint64_t size(std::int64_t value)
{
    return static_cast<std::uint64_t>(value);
}

} // namespace

std::string sampleName(int index)
{
    return fmt::format("{:06}", index);
}

std::string layerName(int layer)
{
    return fmt::format("{:02}", layer);
}

bool perKvHead(TokenArray array)
{
    return array == TokenArray::KeyNorm || array == TokenArray::ValueNorm;
}

bool perKvHead(VectorArray array)
{
    return array != VectorArray::Queries;
}

hdf5::ChunkedArray::Index tokenArrayDims(const ModelInfo& model, TokenArray array, std::int64_t tokens)
{
    hdf5::ChunkedArray::Index dims{size(perKvHead(array) ? model.numKvHeads : model.numHeads), size(tokens)};
    if (array == TokenArray::RowTopMass) {
        dims.push_back(RowOrder::topCounts.size());
    }
    return dims;
}

hdf5::ChunkedArray::Index vectorArrayDims(const ModelInfo& model, VectorArray array, std::int64_t tokens)
{
    return {size(perKvHead(array) ? model.numKvHeads : model.numHeads), size(tokens), size(model.headDim)};
}

std::int64_t dividedUp(std::int64_t value, std::int64_t divisor)
{
    return value / divisor + (value % divisor != 0 ? 1 : 0);
}

hdf5::Handle spanType()
{
    const hdf5::Lock held = hdf5::lock();
    const hdf5::Handle kind(H5Tenum_create(H5T_STD_I8LE), "span kind type");
    for (int i = 0; i < spanKindCount; ++i) {
        const auto value = static_cast<std::int8_t>(i);
        const std::string name(spanKindName(static_cast<SpanKind>(i)));
        hdf5::check(H5Tenum_insert(kind.id(), name.c_str(), &value), "span kind type");
    }
    hdf5::Handle type(H5Tcreate(H5T_COMPOUND, sizeof(StoredSpan)), "span type");
    const hdf5::Handle label = hdf5::stringType();
    hdf5::check(H5Tinsert(type.id(), "begin", offsetof(StoredSpan, begin), H5T_STD_I64LE), "span type");
    hdf5::check(H5Tinsert(type.id(), "end", offsetof(StoredSpan, end), H5T_STD_I64LE), "span type");
    hdf5::check(H5Tinsert(type.id(), "kind", offsetof(StoredSpan, kind), kind.id()), "span type");
    hdf5::check(H5Tinsert(type.id(), "shot", offsetof(StoredSpan, shot), H5T_STD_I32LE), "span type");
    hdf5::check(H5Tinsert(type.id(), "label", offsetof(StoredSpan, label), label.id()), "span type");
    return type;
}

} // namespace kvloupe::layout
