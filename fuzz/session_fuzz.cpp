// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/session_file.h"

#include <array>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    std::array<SampleInfo, 2> samples;
    samples[0].id = "a";
    samples[0].promptSha256 = "00";
    samples[0].promptTokens = 100;
    samples[1].id = "b";
    samples[1].promptSha256 = "11";
    samples[1].promptTokens = 7;
    try {
        const SessionContents session
            = sessionFromJson({reinterpret_cast<const char*>(data), size}, "input", "uuid", samples);
        // What was read is written and read as the same.
        if (sessionFromJson(sessionToJson(session, samples), "again", "uuid", samples) != session)
            __builtin_trap();
    } catch (const SessionError&) {
    }
    return 0;
}
