// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <string>

namespace kvloupe {

/// The library that serves matrix products in this process.
struct BlasInfo {
    std::string library; ///< path of the shared object that defines sgemm_, symbolic links resolved
    std::string config; ///< how OpenBLAS describes itself; empty for other libraries
    std::string core; ///< the CPU family whose kernels OpenBLAS runs, "Haswell"; empty for other libraries

    bool isReference() const; ///< the reference BLAS: correct, and some fifty times slower
};

BlasInfo loadedBlas();

/// One line for a person when the BLAS is a slow one: what was loaded and what to install. Empty if all is well.
std::string blasWarning(const BlasInfo& blas = loadedBlas());

} // namespace kvloupe
