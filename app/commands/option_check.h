// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

#include <CLI/CLI.hpp>
#include <string>

namespace kvloupe {

/// A check for CLI11 out of a function that throws Error: what it says becomes a usage error.
template <class Parse> CLI::Validator parses(Parse parse)
{
    return {[parse](std::string& text) {
                try {
                    parse(text);
                    return std::string();
                } catch (const Error& error) {
                    return std::string(error.what());
                }
            },
        ""};
}

} // namespace kvloupe
