// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_kernels.h"
#include "capture/cuda/transfer_ring.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace kvloupe::cuda {

/// What a machine offers to programs for CUDA; plain numbers, so that what is made of them is tested without one.
struct DeviceFacts {
    int devices = 0;
    std::string name; ///< of the first device
    int computeMajor = 0;
    int computeMinor = 0;
    int driverVersion = 0; ///< newest CUDA that the driver runs, 1000 major + 10 minor; 0 = no driver
    int runtimeVersion = 0; ///< of the CUDA runtime that we are linked with
    std::string error; ///< of the runtime when asked for devices, if it gave one
};

/// Why models cannot be run there, naming what is needed; empty if they can.
std::string whyUnsupported(const DeviceFacts& facts);

/// Of this machine; never throws.
DeviceFacts deviceFacts();

/// What is called when the device has too little memory, before it is asked once more: others in this process that hold
/// memory without using it give it back. Set once, before the first allocation.
void setMemoryReclaimer(std::function<void()> reclaim);

/// Bytes that the current device has left.
std::uint64_t freeMemoryOfDevice();

/// The kernels on the current device, in the order of one stream (the runtime's handle of it, null = the default one).
/// DeviceMemoryError where the device's memory does not hold what is asked for, with the numbers.
std::unique_ptr<AttentionKernels> makeCudaKernels(void* stream);

/// Copies of a TransferRing on a stream of their own, each after everything that was launched on `stream` before.
std::unique_ptr<TransferDevice> makeCudaTransfer(void* stream);

} // namespace kvloupe::cuda
