// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/blas_info.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>

namespace kvloupe {

namespace {

std::string describe(const char* function)
{
    using Function = char* (*)();
    const auto pointer = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, function));
    return pointer != nullptr ? pointer() : "";
}

} // namespace

bool BlasInfo::isReference() const
{
    const std::string name = std::filesystem::path(library).filename().string();
    return config.empty() && (name.starts_with("libblas.so") || name.starts_with("libcblas.so"));
}

BlasInfo loadedBlas()
{
    BlasInfo result;
    Dl_info where{};
    if (void* product = dlsym(RTLD_DEFAULT, "sgemm_"); product != nullptr && dladdr(product, &where) != 0) {
        std::error_code unresolved;
        const auto real = std::filesystem::canonical(where.dli_fname, unresolved);
        result.library = unresolved ? where.dli_fname : real.string();
    }
    // Another library may define sgemm_ in front of an OpenBLAS that is loaded too.
    void* config = dlsym(RTLD_DEFAULT, "openblas_get_config");
    Dl_info openBlas{};
    if (config != nullptr && dladdr(config, &openBlas) != 0 && openBlas.dli_fbase == where.dli_fbase) {
        result.config = describe("openblas_get_config");
        result.core = describe("openblas_get_corename");
    }
    return result;
}

std::string blasWarning(const BlasInfo& blas)
{
    if (!blas.isReference())
        return {};
    return fmt::format("matrix products run on the slow reference BLAS ({}), expected OpenBLAS; install "
                       "libopenblas0-pthread",
        blas.library);
}

} // namespace kvloupe
