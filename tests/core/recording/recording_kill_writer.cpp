// SPDX-License-Identifier: GPL-3.0-or-later

// Writes, or goes on with, a small recording; recording_kill_test.cpp kills it at random moments.
#include "core/error.h"
#include "tests/core/recording/small_sample.h"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv)
{
    if (argc != 3) {
        return 2;
    }
    try {
        kvloupe::writeSmallRecording(argv[1], std::atoi(argv[2]), kvloupe::RecordingWriter::Existing::Resume);
    } catch (const kvloupe::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
