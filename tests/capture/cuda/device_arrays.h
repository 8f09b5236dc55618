// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_kernels.h"

#include <vector>

namespace kvloupe::cuda {

/// Memory of the kernels, filled from the host, given back at the end.
class DeviceArrays {
public:
    explicit DeviceArrays(AttentionKernels& kernels)
        : m_kernels(kernels)
    {
    }
    ~DeviceArrays()
    {
        for (void* memory : m_all)
            m_kernels.free(memory);
    }
    DeviceArrays(const DeviceArrays&) = delete;
    DeviceArrays& operator=(const DeviceArrays&) = delete;

    template <typename T> T* make(const std::vector<T>& values)
    {
        m_all.push_back(m_kernels.allocate(values.size() * sizeof(T)));
        m_kernels.copyToDevice(m_all.back(), values.data(), values.size() * sizeof(T));
        return static_cast<T*>(m_all.back());
    }
    template <typename T> void append(std::vector<T>& to, const T* from, std::size_t size)
    {
        std::vector<T> values(size);
        m_kernels.copyToHost(values.data(), from, size * sizeof(T));
        to.insert(to.end(), values.begin(), values.end());
    }

private:
    AttentionKernels& m_kernels;
    std::vector<void*> m_all;
};

} // namespace kvloupe::cuda
