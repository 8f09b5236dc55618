# SPDX-License-Identifier: GPL-3.0-or-later
# nvcc, and with KVLOUPE_CUDA_TORCH a LibTorch for CUDA instead of Debian's.

if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90) # A100, H100 and PTX for what comes after
endif()
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX} AND EXISTS /usr/local/cuda/bin/nvcc)
    set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc) # NVIDIA's packages do not put it on PATH
endif()
if(KVLOUPE_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
    set(CMAKE_CUDA_COMPILER_LAUNCHER "${KVLOUPE_CCACHE}")
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
    message(FATAL_ERROR "nvcc ${CMAKE_CUDA_COMPILER_VERSION} was found, the CUDA kernels need 12.0 or newer (C++20)")
endif()
# CMake 3.25 does not know that nvcc has C++20.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
find_package(CUDAToolkit REQUIRED)

if(KVLOUPE_CUDA_TORCH)
    if(NOT EXISTS "${KVLOUPE_CUDA_TORCH}/lib/libtorch_cuda.so")
        message(FATAL_ERROR "KVLOUPE_CUDA_TORCH=${KVLOUPE_CUDA_TORCH} has no lib/libtorch_cuda.so. The Python package torch "
            "has one; its folder is that of python3 -c 'import torch; print(torch.__path__[0])'")
    endif()
    if(EXISTS "${KVLOUPE_CUDA_TORCH}/version.py")
        file(STRINGS "${KVLOUPE_CUDA_TORCH}/version.py" kvloupe_torch_cuda REGEX "^cuda[^=]*= '[0-9]+")
        string(REGEX REPLACE ".*= '([0-9]+).*" "\\1" kvloupe_torch_cuda "${kvloupe_torch_cuda}")
        if(NOT CMAKE_CUDA_COMPILER_VERSION MATCHES "^${kvloupe_torch_cuda}\\.")
            message(FATAL_ERROR "KVLOUPE_CUDA_TORCH=${KVLOUPE_CUDA_TORCH} is for CUDA ${kvloupe_torch_cuda}, nvcc for "
                "${CMAKE_CUDA_COMPILER_VERSION}; both must have the same major version")
        endif()
    endif()
    list(PREPEND CMAKE_PREFIX_PATH "${KVLOUPE_CUDA_TORCH}/share/cmake")
    # Its own search would find Debian's library first.
    set(TORCH_LIBRARY "${KVLOUPE_CUDA_TORCH}/lib/libtorch.so" CACHE FILEPATH "" FORCE)
    if(NOT TORCH_CUDA_ARCH_LIST)
        set(TORCH_CUDA_ARCH_LIST "8.0;9.0+PTX") # else it looks for a GPU here
    endif()
    # What its libraries need (NCCL and others) lies beside them and is found when they are loaded.
    add_link_options(-Wl,--allow-shlib-undefined)
    # A program, built or installed, takes the CUDA runtime that this LibTorch came with and not the toolkit's: two versions
    # have one name, and the first that is loaded serves both.
    file(GLOB kvloupe_torch_folders LIST_DIRECTORIES true "${KVLOUPE_CUDA_TORCH}/../nvidia/*/lib")
    foreach(folder IN LISTS kvloupe_torch_folders ITEMS "${KVLOUPE_CUDA_TORCH}/lib")
        cmake_path(NORMAL_PATH folder)
        list(APPEND CMAKE_BUILD_RPATH "${folder}")
        list(APPEND CMAKE_INSTALL_RPATH "${folder}")
    endforeach()
endif()
