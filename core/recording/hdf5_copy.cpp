// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/hdf5_copy.h"

#include "core/recording/chunk_codec.h"
#include "core/recording/chunked_array.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace kvloupe::hdf5 {
namespace {

constexpr std::size_t mostChildren = std::size_t{1} << 20;

/// Elements of a dataset or attribute in memory, freed with the strings they own.
class Elements {
public:
    Elements(const Handle& type, const Handle& space, const Node& node)
        : m_type(type.id())
        , m_space(space.id())
    {
        const auto count = static_cast<std::uint64_t>(check(H5Sget_simple_extent_npoints(m_space), node.where()));
        const std::uint64_t bytes = product(count, H5Tget_size(m_type), node);
        requirePlausible(bytes, node);
        m_bytes.resize(bytes);
    }
    ~Elements()
    {
        if (m_filled && H5Tdetect_class(m_type, H5T_VLEN) + H5Tdetect_class(m_type, H5T_STRING) > 0) {
            H5Dvlen_reclaim(m_type, m_space, H5P_DEFAULT, m_bytes.data());
        }
    }
    Elements(const Elements&) = delete;
    Elements& operator=(const Elements&) = delete;

    void* data() { return m_bytes.data(); }
    bool empty() const { return m_bytes.empty(); }
    void setFilled() { m_filled = true; }

private:
    hid_t m_type;
    hid_t m_space;
    std::vector<std::byte> m_bytes;
    bool m_filled = false;
};

/// The type as it is in memory of this process.
Handle memoryType(const Handle& fileType, const Node& node)
{
    return Handle(H5Tget_native_type(fileType.id(), H5T_DIR_ASCEND), node.where());
}

herr_t collectName(hid_t /*object*/, const char* name, const H5A_info_t* /*info*/, void* names)
{
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
    return 0;
}

void copyAttributes(const Node& from, const Node& to)
{
    std::vector<std::string> names;
    check(H5Aiterate2(from.id.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collectName, &names), from.where());
    for (const std::string& name : names) {
        const Handle source(H5Aopen(from.id.id(), name.c_str(), H5P_DEFAULT), from.where());
        const Handle type(H5Aget_type(source.id()), from.where());
        const Handle space(H5Aget_space(source.id()), from.where());
        const Handle target(
            H5Acreate2(to.id.id(), name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), to.where());
        const Handle native = memoryType(type, from);
        Elements elements(native, space, from);
        if (!elements.empty()) {
            check(H5Aread(source.id(), native.id(), elements.data()), from.where());
            elements.setFilled();
            check(H5Awrite(target.id(), native.id(), elements.data()), to.where());
        }
    }
}

/// Advances `offset` to the next chunk in row-major order; false after the last.
bool nextChunk(std::vector<std::uint64_t>& offset, const std::vector<hsize_t>& chunk, const std::vector<hsize_t>& dims)
{
    for (std::size_t axis = offset.size(); axis > 0; --axis) {
        offset[axis - 1] += chunk[axis - 1];
        if (offset[axis - 1] < dims[axis - 1]) {
            return true;
        }
        offset[axis - 1] = 0;
    }
    return false;
}

void copyChunks(const Node& from, const Node& to, const Handle& space, const Handle& creation)
{
    const int rank = check(H5Sget_simple_extent_ndims(space.id()), from.where());
    std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
    std::vector<hsize_t> chunk(dims.size());
    check(H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr), from.where());
    check(H5Pget_chunk(creation.id(), rank, chunk.data()), from.where());
    if (std::ranges::find(dims, hsize_t{0}) != dims.end()) {
        return;
    }
    std::vector<std::uint64_t> offset(dims.size(), 0);
    do {
        const StoredChunk stored = readStoredChunk(from, offset, from.fileBytes);
        if (!stored.bytes.empty()) {
            const std::vector<hsize_t> position(offset.begin(), offset.end());
            check(H5Dwrite_chunk(to.id.id(), H5P_DEFAULT, stored.filterMask, position.data(), stored.bytes.size(),
                      stored.bytes.data()),
                to.where());
        }
    } while (nextChunk(offset, chunk, dims));
}

void copyDataset(const Node& from, std::string_view name, const Node& target)
{
    const Handle type(H5Dget_type(from.id.id()), from.where());
    const Handle space(H5Dget_space(from.id.id()), from.where());
    const Handle creation(H5Dget_create_plist(from.id.id()), from.where());
    Node to;
    to.file = target.file;
    to.path = target.childPath(name);
    to.id = Handle(H5Dcreate2(target.id.id(), std::string(name).c_str(), type.id(), space.id(), H5P_DEFAULT,
                       creation.id(), H5P_DEFAULT),
        to.where());
    copyAttributes(from, to);
    if (H5Pget_layout(creation.id()) == H5D_CHUNKED) {
        copyChunks(from, to, space, creation);
        return;
    }
    const Handle native = memoryType(type, from);
    Elements elements(native, space, from);
    if (!elements.empty()) {
        check(H5Dread(from.id.id(), native.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, elements.data()), from.where());
        elements.setFilled();
        check(H5Dwrite(to.id.id(), native.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, elements.data()), to.where());
    }
}

} // namespace

void copyObject(const Node& parent, std::string_view name, const Node& target)
{
    const Lock held = lock();
    H5O_info_t info;
    check(H5Oget_info_by_name2(parent.id.id(), std::string(name).c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT),
        fmt::format("{}: {}", parent.file, parent.childPath(name)));
    if (info.type == H5O_TYPE_DATASET) {
        copyDataset(openDataset(parent, name), name, target);
        return;
    }
    const Node from = openGroup(parent, name);
    const std::vector<std::string> names = childNames(from, mostChildren);
    const Node to = createGroup(target, name, static_cast<unsigned>(std::clamp<std::size_t>(names.size(), 8, 1000)));
    copyAttributes(from, to);
    for (const std::string& child : names) {
        copyObject(from, child, to);
    }
}

} // namespace kvloupe::hdf5
