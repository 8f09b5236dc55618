// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/hdf5_handles.h"

#include "core/recording/chunk_codec.h"

#include <fmt/format.h>

#include <unistd.h>

#include <utility>

namespace kvloupe::hdf5 {
namespace {

void setUpLibrary()
{
    H5open();
    H5PLset_loading_state(0);
}

/// Builds with thread support, such as Debian's, keep an error stack and its printing per thread.
void keepQuiet()
{
    static thread_local bool quiet = false;
    if (!quiet) {
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
        quiet = true;
    }
}

/// HDF5 1.10 crashes in its exit handler if it could not close a file because the disk is full. Everything else is
/// closed by its Handle, so nothing is lost without that handler. It can only be switched off before the library is set
/// up.
[[maybe_unused]] const bool exitHandlerOff = H5dont_atexit() >= 0;

/// Gives up a file that could not be flushed. Closing it would leave HDF5 with a half-freed object, so it stays open,
/// emptied: no disk space is held, and its inode is not used again while HDF5 believes to know it.
void abandon(hid_t file)
{
    void* descriptor = nullptr;
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, &descriptor) >= 0 && descriptor != nullptr) {
        [[maybe_unused]] const int result = ftruncate(*static_cast<int*>(descriptor), 0);
    }
    H5Eclear2(H5E_DEFAULT);
}

} // namespace

Lock lock()
{
    static std::recursive_mutex mutex;
    static std::once_flag ready;
    Lock held(mutex);
    std::call_once(ready, setUpLibrary);
    keepQuiet();
    return held;
}

Handle::Handle(hid_t id, std::string_view where)
    : m_id(id)
{
    if (id < 0) {
        fail(where);
    }
}

Handle::~Handle()
{
    reset();
}

Handle::Handle(Handle&& other) noexcept
    : m_id(std::exchange(other.m_id, H5I_INVALID_HID))
{
}

Handle& Handle::operator=(Handle&& other) noexcept
{
    if (this != &other) {
        reset();
        m_id = std::exchange(other.m_id, H5I_INVALID_HID);
    }
    return *this;
}

hid_t Handle::release() noexcept
{
    return std::exchange(m_id, H5I_INVALID_HID);
}

void Handle::reset() noexcept
{
    if (m_id >= 0) {
        const Lock held = lock();
        H5Idec_ref(std::exchange(m_id, H5I_INVALID_HID));
        H5Eclear2(H5E_DEFAULT);
    }
}

std::string cause()
{
    std::string description;
    const auto innermost = [](unsigned /*depth*/, const H5E_error2_t* error, void* result) -> herr_t {
        if (error->desc != nullptr) {
            *static_cast<std::string*>(result) = error->desc;
        }
        return 1;
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &description);
    H5Eclear2(H5E_DEFAULT);

    constexpr std::string_view marker = "error message = '";
    if (const auto begin = description.find(marker); begin != std::string::npos) {
        const auto text = begin + marker.size();
        return description.substr(text, description.find('\'', text) - text);
    }
    return description.empty() ? "HDF5 gives no reason" : description;
}

void fail(std::string_view where)
{
    const Lock held = lock();
    throw RecordingError(fmt::format("{}: {}", where, cause()));
}

void closeFile(Handle file, std::string_view where)
{
    const Lock held = lock();
    const hid_t id = file.release();
    if (H5Fflush(id, H5F_SCOPE_GLOBAL) < 0) {
        const std::string error = cause();
        abandon(id);
        throw RecordingError(fmt::format("{}: {}", where, error));
    }
    check(H5Fclose(id), where);
}

void discardFile(Handle file) noexcept
{
    const Lock held = lock();
    const hid_t id = file.release();
    if (H5Fflush(id, H5F_SCOPE_GLOBAL) < 0) {
        abandon(id);
    } else {
        H5Fclose(id);
    }
    H5Eclear2(H5E_DEFAULT);
}

Handle halfType()
{
    const Lock held = lock();
    Handle type(H5Tcopy(H5T_IEEE_F32LE), "half type");
    check(H5Tset_fields(type.id(), 15, 10, 5, 0, 10), "half type");
    check(H5Tset_size(type.id(), 2), "half type");
    check(H5Tset_ebias(type.id(), 15), "half type");
    return type;
}

Handle stringType()
{
    const Lock held = lock();
    Handle type(H5Tcopy(H5T_C_S1), "string type");
    check(H5Tset_size(type.id(), H5T_VARIABLE), "string type");
    check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "string type");
    return type;
}

} // namespace kvloupe::hdf5
