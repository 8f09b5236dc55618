// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace kvloupe::cuda {

/// A CUDA call that failed: "what: message of the runtime". Free of core, as everything that nvcc compiles.
class DeviceError : public std::runtime_error {
public:
    DeviceError(const std::string& what, cudaError_t code)
        : std::runtime_error(what + ": " + cudaGetErrorString(code))
        , m_code(code)
    {
    }
    cudaError_t code() const { return m_code; }

private:
    cudaError_t m_code;
};

/// Throws DeviceError unless `code` is success; the runtime's own record of the error is cleared.
inline void requireSuccess(cudaError_t code, const char* what)
{
    if (code == cudaSuccess)
        return;
    cudaGetLastError();
    throw DeviceError(what, code);
}

} // namespace kvloupe::cuda
