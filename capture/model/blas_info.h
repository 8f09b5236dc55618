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

/// Whether this machine has AVX-512 while OpenBLAS, older than the CPU, runs its AVX2 kernels.
bool hasUnusedAvx512(const BlasInfo& blas = loadedBlas());

/// OpenBLAS chooses kernels by a table of CPU models when it is loaded, and takes a wrong, twice as slow choice on
/// models newer than itself. Where that has happened, this starts the program again with OPENBLAS_CORETYPE naming
/// better kernels; otherwise, or if the user has set OPENBLAS_CORETYPE, it does nothing. To be called first thing in
/// main.
void restartWithAvx512Blas(char** arguments);

} // namespace kvloupe
