# SPDX-License-Identifier: GPL-3.0-or-later
include(CTest)
include(FeatureSummary)
include(GNUInstallDirs)

option(KVLOUPE_VIEW "Build the window (Qt 6, QCustomPlot)" ON)
option(KVLOUPE_CAPTURE "Build the part that runs models (LibTorch)" ON)
option(KVLOUPE_CUDA "Build the CUDA kernels (nvcc), and with a CUDA LibTorch what runs models on a GPU" OFF)
set(KVLOUPE_CUDA_TORCH "" CACHE PATH "Folder of a CUDA LibTorch, for example that of the Python package torch")
option(KVLOUPE_BENCHMARKS "Build the benchmark programs" ON)
option(KVLOUPE_FUZZ "Build the fuzz targets (libFuzzer with Clang, a corpus replayer with other compilers)" OFF)
option(KVLOUPE_WERROR "Treat warnings as errors" ON)
set(KVLOUPE_SANITIZE "" CACHE STRING "Value of -fsanitize= for every target, for example address,undefined")

add_feature_info(KVLOUPE_VIEW KVLOUPE_VIEW "the window and figure export")
add_feature_info(KVLOUPE_CAPTURE KVLOUPE_CAPTURE "recording the attention of models")
add_feature_info(KVLOUPE_CUDA KVLOUPE_CUDA "CUDA kernels")
add_feature_info(KVLOUPE_BENCHMARKS KVLOUPE_BENCHMARKS "benchmark programs under benchmarks/")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# The three programs and everything a test starts lie side by side, as they do once installed.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

find_program(KVLOUPE_CCACHE ccache)
if(KVLOUPE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER "${KVLOUPE_CCACHE}")
    set(CMAKE_CXX_COMPILER_LAUNCHER "${KVLOUPE_CCACHE}")
endif()

if(KVLOUPE_SANITIZE)
    add_compile_options(-fsanitize=${KVLOUPE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${KVLOUPE_SANITIZE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # The instrumented code confuses GCC's flow analysis: it then warns inside <regex> and <variant> (GCC's manual says so of
        # -fsanitize). The plain builds keep the warning.
        add_compile_options(-Wno-maybe-uninitialized)
    endif()
endif()

if(KVLOUPE_FUZZ AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # libFuzzer follows the branches of everything that a target links, not of the target's own file alone.
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
