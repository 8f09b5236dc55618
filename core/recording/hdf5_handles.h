// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <hdf5.h>

#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

/// The HDF5 C library as the rest of core/recording uses it. Private to this folder: no public header includes it.
namespace kvloupe::hdf5 {

/// Not every build of HDF5 is thread-safe; whoever calls it holds this lock. The first call sets the library up: no
/// error messages on stderr, no plug-ins.
using Lock = std::unique_lock<std::recursive_mutex>;
Lock lock();

/// Owns one HDF5 identifier of any kind; takes the lock to close it.
class Handle {
public:
    Handle() = default;
    /// Takes ownership of `id`. A negative id, the library's sign of failure, throws: see fail().
    Handle(hid_t id, std::string_view where);
    ~Handle();
    Handle(Handle&& other) noexcept;
    Handle& operator=(Handle&& other) noexcept;

    hid_t id() const { return m_id; }
    explicit operator bool() const { return m_id >= 0; }
    void reset() noexcept;
    hid_t release() noexcept;

private:
    hid_t m_id = H5I_INVALID_HID;
};

/// The innermost entry of HDF5's error stack, or the operating system's words if there are any; clears the stack.
std::string cause();

/// Throws RecordingError: "<where>: <cause>".
[[noreturn]] void fail(std::string_view where);

/// Throws by fail() if `status` is negative.
template <class Status> Status check(Status status, std::string_view where)
{
    if (status < 0) {
        fail(where);
    }
    return status;
}

/// Flushes and closes a file all of whose objects are closed. If it cannot be flushed (the disk is full), the file is
/// emptied and the error thrown.
void closeFile(Handle file, std::string_view where);
/// Closes a file that nobody will read; whether its contents reach the disk does not matter.
void discardFile(Handle file) noexcept;

/// IEEE binary16, little endian.
Handle halfType();
/// Variable-length UTF-8 string.
Handle stringType();

} // namespace kvloupe::hdf5
