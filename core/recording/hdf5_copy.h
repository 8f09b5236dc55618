// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/hdf5_node.h"

#include <string_view>

namespace kvloupe::hdf5 {

/// Copies the group or dataset `parent/name` with all below it into the group `target` of another file. Chunks go over
/// as they are stored, filters and all.
///
/// H5Ocopy does the same, but HDF5 1.10 crashes in it when the disk is full.
void copyObject(const Node& parent, std::string_view name, const Node& target);

} // namespace kvloupe::hdf5
