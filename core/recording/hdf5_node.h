// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/hdf5_handles.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// Groups and attributes of a file that is not trusted, and of one that is being written. Private to this folder.
///
/// Every reading function throws RecordingError naming file, object, attribute, found and expected. Nothing here
/// follows a soft, external or user-defined link: a recording is made of hard links only.
namespace kvloupe::hdf5 {

/// An open file (its root group), group or dataset, and how to name it in a message.
struct Node {
    Handle id;
    std::string file;
    std::string path; ///< "/", "/samples/000000"
    std::uint64_t fileBytes = 0;

    std::string where() const;
    std::string childPath(std::string_view name) const;
};

/// Opens an existing file for reading, without locking it.
Node openFile(const std::filesystem::path& path);
/// Creates or truncates; superblock and objects readable by HDF5 1.10 and later.
Node createFile(const std::filesystem::path& path);

/// Whether there is a link of this name, of whatever kind.
bool hasChild(const Node& parent, std::string_view name);
/// Names of the links in a group, in order of name; at most `limit` are allowed.
std::vector<std::string> childNames(const Node& group, std::size_t limit);
Node openGroup(const Node& parent, std::string_view name);
Node openDataset(const Node& parent, std::string_view name);
/// `links`: how many children to leave compact room for.
Node createGroup(const Node& parent, std::string_view name, unsigned links);

bool hasAttribute(const Node& node, std::string_view name);
std::string readString(const Node& node, std::string_view name);
std::int64_t readInteger(const Node& node, std::string_view name, std::int64_t minimum, std::int64_t maximum);
/// Finite.
double readNumber(const Node& node, std::string_view name);
std::vector<int> readIntegers(const Node& node, std::string_view name, std::size_t limit);

void writeString(const Node& node, std::string_view name, const std::string& value);
void writeInteger(const Node& node, std::string_view name, std::int64_t value);
void writeNumber(const Node& node, std::string_view name, double value);
void writeIntegers(const Node& node, std::string_view name, const std::vector<int>& values);

/// Throws unless `bytes` can be what `fileBytes` of file hold, deflated at most (1032 : 1): memory is taken afterwards.
void requirePlausible(std::uint64_t bytes, const Node& node);
/// a * b, or RecordingError if it does not fit.
std::uint64_t product(std::uint64_t a, std::uint64_t b, const Node& node);

} // namespace kvloupe::hdf5
