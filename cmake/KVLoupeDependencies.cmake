# SPDX-License-Identifier: GPL-3.0-or-later
# Every dependency comes from Debian's packages; scripts/setup installs them.

include(GoogleTest)
find_package(PkgConfig REQUIRED)

# kvloupe_package(NAME find_package-arguments ... PURPOSE text URL url)
macro(kvloupe_package name)
    cmake_parse_arguments(kp "" "PURPOSE;URL" "" ${ARGN})
    find_package(${name} ${kp_UNPARSED_ARGUMENTS})
    set_package_properties(${name} PROPERTIES TYPE REQUIRED PURPOSE "${kp_PURPOSE}" URL "${kp_URL}")
endmacro()

# kvloupe_pkgconfig(NAME module target PURPOSE text URL url): a library known to pkg-config only.
macro(kvloupe_pkgconfig name module)
    cmake_parse_arguments(kp "" "PURPOSE;URL" "" ${ARGN})
    pkg_check_modules(${name} IMPORTED_TARGET GLOBAL ${module})
    add_feature_info(${name} ${name}_FOUND "${kp_PURPOSE} (${kp_URL})")
    if(NOT ${name}_FOUND)
        message(FATAL_ERROR "${name} (pkg-config module ${module}) was not found: ${kp_PURPOSE}. "
            "Run scripts/setup, or install it by hand: ${kp_URL}")
    endif()
endmacro()

set(HDF5_PREFER_PARALLEL OFF)
kvloupe_package(HDF5 COMPONENTS C PURPOSE "recordings are HDF5 files" URL "https://www.hdfgroup.org")
kvloupe_package(fmt PURPOSE "text formatting" URL "https://fmt.dev")
kvloupe_package(nlohmann_json PURPOSE "configuration files, results, JSON output" URL "https://json.nlohmann.me")
kvloupe_package(CLI11 PURPOSE "command lines" URL "https://github.com/CLIUtils/CLI11")
kvloupe_package(TBB PURPOSE "parallel loops over heads and blocks" URL "https://oneapi-src.github.io/oneTBB")
kvloupe_package(OpenSSL PURPOSE "SHA-256 of models, tokenizers and prompts" URL "https://www.openssl.org")
kvloupe_pkgconfig(libhwy libhwy PURPOSE "SIMD kernels chosen at run time" URL "https://github.com/google/highway")
kvloupe_pkgconfig(libhwy-contrib libhwy-contrib PURPOSE "sorting of attention rows" URL "https://github.com/google/highway")
kvloupe_pkgconfig(libdeflate libdeflate PURPOSE "decompression of chunks, small compression" URL "https://github.com/ebiggers/libdeflate")
kvloupe_pkgconfig(libisal libisal PURPOSE "fast compression of chunks" URL "https://github.com/intel/isa-l")
kvloupe_pkgconfig(libpcre2 libpcre2-8 PURPOSE "pre-tokenizer patterns, span rules" URL "https://www.pcre.org")
kvloupe_pkgconfig(libutf8proc libutf8proc PURPOSE "Unicode normalisation and widths"
    URL "https://juliastrings.github.io/utf8proc")
kvloupe_pkgconfig(libsentencepiece sentencepiece PURPOSE "tokenizer.model files"
    URL "https://github.com/google/sentencepiece")

if(KVLOUPE_CUDA)
    include(KVLoupeCuda)
endif()
if(KVLOUPE_CAPTURE)
    # LibTorch is satisfied with any BLAS, also the slow reference one; OpenBLAS is therefore named here and linked first.
    kvloupe_pkgconfig(openblas openblas PURPOSE "matrix products" URL "https://www.openblas.net")
    kvloupe_package(Torch PURPOSE "runs the models, 1.13 or newer" URL "https://pytorch.org")
    if(KVLOUPE_CUDA AND KVLOUPE_CUDA_TORCH)
        # It brings headers of a newer fmt than Debian's library is: what sees them takes nothing of that library.
        set_property(TARGET torch APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY)
    endif()
endif()

if(KVLOUPE_VIEW)
    kvloupe_package(Qt6 6.4 COMPONENTS Core Gui Widgets Svg PrintSupport Test PURPOSE "the window" URL "https://www.qt.io")
    kvloupe_package(QCustomPlotQt6 PURPOSE "axes, colour scales and figure export" URL "https://www.qcustomplot.com")
endif()

if(BUILD_TESTING)
    kvloupe_package(GTest PURPOSE "tests" URL "https://google.github.io/googletest")
endif()
if(KVLOUPE_BENCHMARKS)
    kvloupe_package(benchmark PURPOSE "benchmarks" URL "https://github.com/google/benchmark")
endif()

# FindHDF5 of this CMake version gives plain variables; one imported target keeps include paths off the command lines of others.
add_library(hdf5_c INTERFACE IMPORTED)
target_include_directories(hdf5_c SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(hdf5_c INTERFACE ${HDF5_C_LIBRARIES})
target_compile_definitions(hdf5_c INTERFACE H5_USE_110_API)
