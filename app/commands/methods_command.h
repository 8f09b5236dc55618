// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

/// `kvloupe methods [NAME ...] [--json]`: every compression method with its parameters, defaults, presets and sources.
void addMethodsCommand(CLI::App& program);

} // namespace kvloupe
