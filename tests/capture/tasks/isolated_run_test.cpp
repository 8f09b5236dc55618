// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/isolated_run.h"
#include "capture/tasks/task.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>
#include <unistd.h>

namespace kvloupe {
namespace {

using namespace std::chrono_literals;

/// One run per way to isolate that this machine has.
class Isolated : public ::testing::TestWithParam<IsolatedRun::Isolation> {
protected:
    void SetUp() override
    {
        try {
            make({});
        } catch (const TaskError& error) {
            GTEST_SKIP() << error.what();
        }
    }
    /// Ends what computes by its processor time; the wall time is for machines that are busy.
    static IsolatedRun::Limits patient()
    {
        IsolatedRun::Limits limits;
        limits.wall = 60s;
        limits.cpuSeconds = 2;
        return limits;
    }
    /// For programs that sleep for ever.
    static IsolatedRun::Limits impatient()
    {
        IsolatedRun::Limits limits;
        limits.wall = 4s;
        return limits;
    }
    IsolatedRun make(const IsolatedRun::Limits& limits) const { return {limits, GetParam()}; }
    IsolatedRun::Result run(std::string_view program, const IsolatedRun::Limits& limits = patient()) const
    {
        return make(limits).python(program);
    }
};

INSTANTIATE_TEST_SUITE_P(Ways, Isolated,
    ::testing::Values(IsolatedRun::Isolation::Namespaces, IsolatedRun::Isolation::Bubblewrap),
    [](const auto& parameter) {
        return parameter.param == IsolatedRun::Isolation::Bubblewrap ? "Bubblewrap" : "Namespaces";
    });

TEST_P(Isolated, RunsAProgramAndReportsHowItEnded)
{
    const auto good = run("import math, json, threading\nt = threading.Thread(target=print, args=('thread',))\n"
                          "t.start()\nt.join()\nprint(math.factorial(20))");
    EXPECT_TRUE(good.succeeded()) << good.output;
    EXPECT_EQ(good.output, "thread\n2432902008176640000\n");
    EXPECT_EQ(run("import sys; sys.exit(7)").status, 7);
    const auto wrong = run("assert 1 == 2, 'not equal'");
    EXPECT_EQ(wrong.status, 1);
    EXPECT_EQ(wrong.lastLine(), "AssertionError: not equal");
    EXPECT_FALSE(run("def broken(:").succeeded());
    EXPECT_EQ(run("").output, "");
}

TEST_P(Isolated, EndsALoopWithoutEnd)
{
    const auto busy = run("while True: pass");
    EXPECT_FALSE(busy.succeeded());
    const auto sleeping = run("import time\nprint('begun', flush=True)\ntime.sleep(1000)", impatient());
    EXPECT_TRUE(sleeping.timedOut);
    EXPECT_EQ(sleeping.output, "begun\n");
}

TEST_P(Isolated, EndsWhatClosesItsOutputAndStays)
{
    const auto result = run("import os, time\nos.close(1)\nos.close(2)\ntime.sleep(1000)", impatient());
    EXPECT_TRUE(result.timedOut);
}

TEST_P(Isolated, EndsWhatLeavesItsGroupAndIgnoresSignals)
{
    const auto result
        = run("import os, signal, time\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n"
              "    except Exception: pass\ntry: os.setsid()\nexcept OSError: pass\nprint('here', flush=True)\n"
              "time.sleep(1000)",
            impatient());
    EXPECT_TRUE(result.timedOut);
    EXPECT_EQ(result.output, "here\n");
}

TEST_P(Isolated, GivesNoMoreMemoryThanAllowed)
{
    const auto result = run("x = bytearray(2 << 30)\nprint(len(x))");
    EXPECT_FALSE(result.succeeded());
    EXPECT_EQ(result.lastLine(), "MemoryError");
    EXPECT_FALSE(run("l = []\nwhile True: l.append(bytearray(1 << 24))").succeeded());
    EXPECT_TRUE(run("x = bytearray(64 << 20)").succeeded());
}

TEST_P(Isolated, StartsNoProcess)
{
    EXPECT_EQ(run("import os\nos.fork()").lastLine(), "PermissionError: [Errno 1] Operation not permitted");
    EXPECT_FALSE(run("import os\nwhile True: os.fork()").succeeded());
    EXPECT_FALSE(run("import subprocess\nsubprocess.run(['/bin/true'], check=True)").succeeded());
    EXPECT_FALSE(run("import os\nassert os.system('true') == 0").succeeded());
    EXPECT_FALSE(run("import multiprocessing as m\np = m.Process(target=print)\np.start()").succeeded());
}

TEST_P(Isolated, ReachesNoNetwork)
{
    for (const char* const family : {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"})
        EXPECT_FALSE(
            run(std::string("import socket\nsocket.socket(socket.") + family + ", socket.SOCK_DGRAM)").succeeded())
            << family;
    EXPECT_FALSE(run("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1/')").succeeded());
}

TEST_P(Isolated, WritesNowhereButInItsOwnFolder)
{
    const std::filesystem::path here = std::filesystem::current_path()
        / ("isolated_run_was_here_" + std::to_string(::getpid())); // other ways run at the same time
    std::filesystem::remove(here);
    const std::string path = here.string();
    EXPECT_FALSE(run("open('" + path + "', 'w').write('x')").succeeded());
    EXPECT_FALSE(std::filesystem::exists(here));
    std::ofstream(here) << "kept";
    EXPECT_FALSE(run("open('" + path + "', 'a').write('x')").succeeded());
    EXPECT_FALSE(run("import os\nos.remove('" + path + "')").succeeded());
    EXPECT_FALSE(run("import os\nos.chmod('" + path + "', 0o777)").succeeded());
    EXPECT_EQ(std::filesystem::file_size(here), 4u);
    std::filesystem::remove(here);
    for (const char* const place : {"/etc/x", "/var/tmp/x", "/dev/shm/x", "/usr/x", "/root/x", "/x"})
        EXPECT_FALSE(run(std::string("open('") + place + "', 'w').write('x')").succeeded()) << place;
    EXPECT_TRUE(run("open('x', 'w').write('y')\nassert open('/tmp/x').read() == 'y'").succeeded());
    const std::string name = here.filename().string();
    EXPECT_TRUE(run("open('/tmp/" + name + "', 'w').write('y')").succeeded());
    EXPECT_FALSE(std::filesystem::exists("/tmp/" + name)) << "the folder is the program's own";
}

TEST_P(Isolated, WritesNoLargeFiles)
{
    EXPECT_FALSE(run("with open('/tmp/x', 'wb') as f:\n    for i in range(9): f.write(bytes(1 << 20))").succeeded());
    // Many small ones end at the size of the folder.
    EXPECT_FALSE(run("for i in range(30): open(f'/tmp/{i}', 'wb').write(bytes(1 << 20))").succeeded());
}

TEST_P(Isolated, KeepsABoundedPartOfTheOutput)
{
    IsolatedRun::Limits limits = patient();
    limits.outputBytes = 1000;
    const auto result = run("print('a' * 5_000_000)", limits);
    EXPECT_TRUE(result.succeeded());
    EXPECT_EQ(result.output, std::string(1000, 'a'));
    EXPECT_FALSE(run("while True: print('a' * 100000)", limits).succeeded());
}

TEST_P(Isolated, SeesNoOtherProcess)
{
    const auto result = run("import os\nprint([p for p in os.listdir('/proc') if p.isdigit() and int(p) > 3])");
    EXPECT_EQ(result.output, "[]\n");
    EXPECT_FALSE(run("import os, signal\nos.kill(" + std::to_string(::getpid()) + ", signal.SIGTERM)").succeeded());
}

TEST_P(Isolated, GetsNothingOfOurEnvironment)
{
    ::setenv("KVLOUPE_SECRET", "x", 1);
    EXPECT_EQ(run("import os\nprint('KVLOUPE_SECRET' in os.environ)").output, "False\n");
    ::unsetenv("KVLOUPE_SECRET");
}

TEST_P(Isolated, HasNoWayToTouchDevicesOrTheKernel)
{
    EXPECT_FALSE(run("import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
                     "assert libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0")
                     .succeeded());
    EXPECT_FALSE(run("import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0").succeeded());
    EXPECT_FALSE(run("import ctypes\nassert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0").succeeded());
    EXPECT_FALSE(run("import os\nprint(os.open('/dev/mem', os.O_RDWR))").succeeded());
}

TEST_P(Isolated, RunsFromSeveralThreadsAtOnce)
{
    const IsolatedRun isolated = make(patient());
    std::vector<std::thread> threads;
    std::array<std::string, 4> outputs;
    for (std::size_t i = 0; i < outputs.size(); ++i)
        threads.emplace_back([&, i] { outputs[i] = isolated.python("print(" + std::to_string(i) + ")").output; });
    for (auto& thread : threads)
        thread.join();
    for (std::size_t i = 0; i < outputs.size(); ++i)
        EXPECT_EQ(outputs[i], std::to_string(i) + "\n");
}

} // namespace
} // namespace kvloupe
