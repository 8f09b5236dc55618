// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/syscall_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace kvloupe {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t processor = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t processor = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t processor = 0;
#endif

constexpr auto refused = std::to_array<long>({
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
    // exec stays: it is how the program itself begins. Without a new process a program can only replace itself, and
    // the filter stays with it.
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_sendto,
    SYS_sendmsg,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_pidfd_open,
    SYS_pidfd_getfd,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsmount,
    SYS_mount_setattr,
    SYS_memfd_create,
    SYS_shmget,
    SYS_msgget,
    SYS_semget,
    SYS_mq_open,
});

constexpr sock_filter statement(int code, std::uint32_t value)
{
    return {static_cast<std::uint16_t>(code), 0, 0, value};
}
constexpr sock_filter jump(int code, std::uint32_t value, int ifTrue, int ifFalse)
{
    return {
        static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(ifTrue), static_cast<std::uint8_t>(ifFalse), value};
}
constexpr sock_filter refuseWith(int error)
{
    return statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error));
}

} // namespace

SyscallFilter::SyscallFilter()
{
    constexpr int load = BPF_LD | BPF_W | BPF_ABS;
    constexpr int ifEqual = BPF_JMP | BPF_JEQ | BPF_K;
    m_program = {
        statement(load, offsetof(seccomp_data, arch)),
        jump(ifEqual, processor, 1, 0),
        statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        statement(load, offsetof(seccomp_data, nr)),
        // The x32 numbers of x86-64 would pass by all that follows.
        jump(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
        statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        // clone3 hides its flags behind a pointer; told that there is none, the C library takes clone.
        jump(ifEqual, SYS_clone3, 0, 1),
        refuseWith(ENOSYS),
        jump(ifEqual, SYS_clone, 0, 4),
        statement(load, offsetof(seccomp_data, args)),
        jump(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
        refuseWith(EPERM),
        statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    for (const long call : refused) {
        m_program.push_back(jump(ifEqual, static_cast<std::uint32_t>(call), 0, 1));
        m_program.push_back(refuseWith(EPERM));
    }
    m_program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

bool SyscallFilter::isKnownHere()
{
    return processor != 0;
}

bool SyscallFilter::install() const
{
    sock_fprog program{static_cast<unsigned short>(m_program.size()), const_cast<sock_filter*>(m_program.data())};
    return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

std::string_view SyscallFilter::bytes() const
{
    return {reinterpret_cast<const char*>(m_program.data()), m_program.size() * sizeof(sock_filter)};
}

} // namespace kvloupe
