// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/hdf5_node.h"

#include "core/recording/chunk_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>

namespace kvloupe::hdf5 {
namespace {

constexpr std::uint64_t largestDeflateRatio = 1032;
constexpr std::size_t longestString = std::size_t{16} << 20;

std::string attributeWhere(const Node& node, std::string_view name)
{
    return fmt::format("{}: attribute {}", node.where(), name);
}

Handle fileAccess()
{
    Handle access(H5Pcreate(H5P_FILE_ACCESS), "file access properties");
    // A lock of HDF5's own would fail on network drives; writers hold one of ours.
    check(H5Pset_file_locking(access.id(), false, true), "file access properties");
    // Chunks go past HDF5's cache, except for a few small arrays.
    check(H5Pset_cache(access.id(), 0, 17, std::size_t{1} << 20, 1.0), "file access properties");
    return access;
}

Handle openAttribute(const Node& node, std::string_view name)
{
    const std::string nameText(name);
    const htri_t exists = H5Aexists(node.id.id(), nameText.c_str());
    if (exists <= 0) {
        H5Eclear2(H5E_DEFAULT);
        throw RecordingError(fmt::format("{}: attribute {} is missing", node.where(), name));
    }
    return Handle(H5Aopen(node.id.id(), nameText.c_str(), H5P_DEFAULT), attributeWhere(node, name));
}

struct CheckedAttribute {
    Handle id;
    Handle type;
    Handle space;
    std::uint64_t count = 0;
};

CheckedAttribute openAttribute(const Node& node, std::string_view name, H5T_class_t expected, int rank)
{
    const std::string where = attributeWhere(node, name);
    CheckedAttribute attribute;
    attribute.id = openAttribute(node, name);
    attribute.type = Handle(H5Aget_type(attribute.id.id()), where);
    attribute.space = Handle(H5Aget_space(attribute.id.id()), where);
    if (H5Tget_class(attribute.type.id()) != expected) {
        throw RecordingError(fmt::format("{} has the wrong type, expected {}", where,
            expected == H5T_STRING      ? "a string"
                : expected == H5T_FLOAT ? "a floating-point number"
                                        : "an integer"));
    }
    if (expected != H5T_STRING && H5Tget_size(attribute.type.id()) > sizeof(std::int64_t)) {
        throw RecordingError(fmt::format("{} is wider than 64 bits", where));
    }
    const int foundRank = H5Sget_simple_extent_ndims(attribute.space.id());
    const hssize_t count = H5Sget_simple_extent_npoints(attribute.space.id());
    if (foundRank != rank || count < 0 || (rank == 0 && count != 1)) {
        throw RecordingError(fmt::format("{} has {} dimensions, expected {}", where, std::max(foundRank, 0), rank));
    }
    attribute.count = static_cast<std::uint64_t>(count);
    return attribute;
}

template <class Type>
void writeScalar(const Node& node, std::string_view name, hid_t fileType, hid_t memoryType, Type value)
{
    const std::string where = attributeWhere(node, name);
    const Handle space(H5Screate(H5S_SCALAR), where);
    const Handle attribute(
        H5Acreate2(node.id.id(), std::string(name).c_str(), fileType, space.id(), H5P_DEFAULT, H5P_DEFAULT), where);
    check(H5Awrite(attribute.id(), memoryType, &value), where);
}

/// Opens `name` if it is a hard link; `kind` is what the object must be.
Node openChild(const Node& parent, std::string_view name, H5I_type_t kind)
{
    const Lock held = lock();
    const std::string nameText(name);
    Node node;
    node.file = parent.file;
    node.path = parent.childPath(name);
    node.fileBytes = parent.fileBytes;
    H5L_info_t link;
    if (H5Lget_info(parent.id.id(), nameText.c_str(), &link, H5P_DEFAULT) < 0) {
        H5Eclear2(H5E_DEFAULT);
        throw RecordingError(fmt::format("{} is missing", node.where()));
    }
    if (link.type != H5L_TYPE_HARD) {
        throw RecordingError(fmt::format("{} is a {} link, which recordings do not have", node.where(),
            link.type == H5L_TYPE_EXTERNAL   ? "external"
                : link.type == H5L_TYPE_SOFT ? "soft"
                                             : "user-defined"));
    }
    node.id = Handle(H5Oopen(parent.id.id(), nameText.c_str(), H5P_DEFAULT), node.where());
    if (H5Iget_type(node.id.id()) != kind) {
        throw RecordingError(fmt::format("{} is not a {}", node.where(), kind == H5I_GROUP ? "group" : "dataset"));
    }
    return node;
}

} // namespace

std::string Node::where() const
{
    return fmt::format("{}: {}", file, path);
}

std::string Node::childPath(std::string_view name) const
{
    return fmt::format("{}/{}", path == "/" ? std::string_view() : std::string_view(path), name);
}

Node openFile(const std::filesystem::path& path)
{
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) {
        throw RecordingError(fmt::format("{}: {}", path.string(), error ? error.message() : std::strerror(ENOENT)));
    }
    if (!std::filesystem::is_regular_file(status)) {
        throw RecordingError(fmt::format("{}: not a file", path.string()));
    }
    const Lock held = lock();
    Node node;
    node.file = path.string();
    node.path = std::string("/");
    node.fileBytes = std::filesystem::file_size(path, error);
    if (error) {
        throw RecordingError(fmt::format("{}: {}", path.string(), error.message()));
    }
    const Handle access = fileAccess();
    node.id = Handle(
        H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), fmt::format("{}: not a readable HDF5 file", path.string()));
    return node;
}

Node createFile(const std::filesystem::path& path)
{
    const Lock held = lock();
    Node node;
    node.file = path.string();
    node.path = std::string("/");
    const Handle access = fileAccess();
    check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110), node.where());
    // Metadata in large blocks of its own, so that opening a recording reads few places.
    check(H5Pset_meta_block_size(access.id(), hsize_t{1} << 16), node.where());
    node.id = Handle(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()),
        fmt::format("{}: cannot be created", node.file));
    return node;
}

bool hasChild(const Node& parent, std::string_view name)
{
    const Lock held = lock();
    const htri_t exists = H5Lexists(parent.id.id(), std::string(name).c_str(), H5P_DEFAULT);
    return check(exists, fmt::format("{}: {}", parent.file, parent.childPath(name))) > 0;
}

std::vector<std::string> childNames(const Node& group, std::size_t limit)
{
    const Lock held = lock();
    H5G_info_t info;
    check(H5Gget_info(group.id.id(), &info), group.where());
    if (info.nlinks > limit) {
        throw RecordingError(fmt::format("{} has {} children, expected at most {}", group.where(), info.nlinks, limit));
    }
    std::vector<std::string> names;
    const auto collect = [](hid_t /*group*/, const char* name, const H5L_info_t* /*link*/, void* result) -> herr_t {
        static_cast<std::vector<std::string>*>(result)->emplace_back(name);
        return 0;
    };
    check(H5Literate(group.id.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names), group.where());
    return names;
}

Node openGroup(const Node& parent, std::string_view name)
{
    return openChild(parent, name, H5I_GROUP);
}

Node openDataset(const Node& parent, std::string_view name)
{
    const Lock held = lock();
    Node node = openChild(parent, name, H5I_DATASET);
    const Handle creation(H5Dget_create_plist(node.id.id()), node.where());
    if (H5Pget_layout(creation.id()) == H5D_VIRTUAL) {
        throw RecordingError(fmt::format("{} is a virtual dataset, which recordings do not have", node.where()));
    }
    if (H5Pget_external_count(creation.id()) != 0) {
        throw RecordingError(fmt::format("{} lies in another file, which recordings do not allow", node.where()));
    }
    return node;
}

Node createGroup(const Node& parent, std::string_view name, unsigned links)
{
    const Lock held = lock();
    Node node;
    node.file = parent.file;
    node.path = parent.childPath(name);
    const Handle creation(H5Pcreate(H5P_GROUP_CREATE), node.where());
    constexpr unsigned nameBytes = 16;
    // Links and attributes in the group's own header: one read opens a layer.
    check(H5Pset_link_phase_change(creation.id(), links + 8, links), node.where());
    check(H5Pset_est_link_info(creation.id(), links, nameBytes), node.where());
    check(H5Pset_attr_phase_change(creation.id(), 64, 48), node.where());
    node.id = Handle(
        H5Gcreate2(parent.id.id(), std::string(name).c_str(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), node.where());
    return node;
}

bool hasAttribute(const Node& node, std::string_view name)
{
    const Lock held = lock();
    return check(H5Aexists(node.id.id(), std::string(name).c_str()), attributeWhere(node, name)) > 0;
}

std::string readString(const Node& node, std::string_view name)
{
    const Lock held = lock();
    const std::string where = attributeWhere(node, name);
    const CheckedAttribute attribute = openAttribute(node, name, H5T_STRING, 0);
    // Strings of variable length lie in heaps without checksums, and HDF5 1.10 trusts what it finds there.
    if (check(H5Tis_variable_str(attribute.type.id()), where) > 0) {
        throw RecordingError(fmt::format("{} is a string of variable length, expected a fixed one", where));
    }
    const std::size_t size = H5Tget_size(attribute.type.id());
    if (size > longestString || size > node.fileBytes) {
        throw RecordingError(fmt::format("{} claims {} bytes, more than the file can hold", where, size));
    }
    std::string value(size, '\0');
    check(H5Aread(attribute.id.id(), attribute.type.id(), value.data()), where);
    value.resize(std::min(size, std::strlen(value.c_str())));
    return value;
}

std::int64_t readInteger(const Node& node, std::string_view name, std::int64_t minimum, std::int64_t maximum)
{
    const Lock held = lock();
    const CheckedAttribute attribute = openAttribute(node, name, H5T_INTEGER, 0);
    std::int64_t value = 0;
    check(H5Aread(attribute.id.id(), H5T_NATIVE_INT64, &value), attributeWhere(node, name));
    if (value < minimum || value > maximum) {
        throw RecordingError(
            fmt::format("{} is {}, expected {} to {}", attributeWhere(node, name), value, minimum, maximum));
    }
    return value;
}

double readNumber(const Node& node, std::string_view name)
{
    const Lock held = lock();
    const CheckedAttribute attribute = openAttribute(node, name, H5T_FLOAT, 0);
    double value = 0.0;
    check(H5Aread(attribute.id.id(), H5T_NATIVE_DOUBLE, &value), attributeWhere(node, name));
    if (!std::isfinite(value)) {
        throw RecordingError(fmt::format("{} is {}, expected a finite number", attributeWhere(node, name), value));
    }
    return value;
}

std::vector<int> readIntegers(const Node& node, std::string_view name, std::size_t limit)
{
    const Lock held = lock();
    const CheckedAttribute attribute = openAttribute(node, name, H5T_INTEGER, 1);
    if (attribute.count > limit) {
        throw RecordingError(
            fmt::format("{} has {} values, expected at most {}", attributeWhere(node, name), attribute.count, limit));
    }
    std::vector<int> values(attribute.count);
    if (!values.empty()) {
        check(H5Aread(attribute.id.id(), H5T_NATIVE_INT, values.data()), attributeWhere(node, name));
    }
    return values;
}

void writeString(const Node& node, std::string_view name, const std::string& value)
{
    const Lock held = lock();
    const std::string where = attributeWhere(node, name);
    const Handle type(H5Tcopy(H5T_C_S1), where);
    check(H5Tset_size(type.id(), std::max<std::size_t>(1, value.size())), where);
    check(H5Tset_cset(type.id(), H5T_CSET_UTF8), where);
    check(H5Tset_strpad(type.id(), H5T_STR_NULLPAD), where);
    const Handle space(H5Screate(H5S_SCALAR), where);
    const Handle attribute(
        H5Acreate2(node.id.id(), std::string(name).c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), where);
    check(H5Awrite(attribute.id(), type.id(), value.c_str()), where);
}

void writeInteger(const Node& node, std::string_view name, std::int64_t value)
{
    const Lock held = lock();
    writeScalar(node, name, H5T_STD_I64LE, H5T_NATIVE_INT64, value);
}

void writeNumber(const Node& node, std::string_view name, double value)
{
    const Lock held = lock();
    writeScalar(node, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, value);
}

void writeIntegers(const Node& node, std::string_view name, const std::vector<int>& values)
{
    const Lock held = lock();
    const std::string where = attributeWhere(node, name);
    const std::array<hsize_t, 1> dims{values.size()};
    const Handle space(H5Screate_simple(1, dims.data(), nullptr), where);
    const Handle attribute(
        H5Acreate2(node.id.id(), std::string(name).c_str(), H5T_STD_I32LE, space.id(), H5P_DEFAULT, H5P_DEFAULT),
        where);
    if (!values.empty()) {
        check(H5Awrite(attribute.id(), H5T_NATIVE_INT, values.data()), where);
    }
}

void requirePlausible(std::uint64_t bytes, const Node& node)
{
    if (bytes / largestDeflateRatio > node.fileBytes) {
        throw RecordingError(fmt::format(
            "{} claims {} bytes, more than the {} bytes of the file can hold", node.where(), bytes, node.fileBytes));
    }
}

std::uint64_t product(std::uint64_t a, std::uint64_t b, const Node& node)
{
    std::uint64_t result = 0;
    if (__builtin_mul_overflow(a, b, &result)) {
        throw RecordingError(fmt::format("{}: its dimensions overflow", node.where()));
    }
    return result;
}

} // namespace kvloupe::hdf5
