// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"

namespace kvloupe {

/// FullKV: keeps every token whatever the budget; the baseline for accuracy and retained mass.
MethodInfo fullMethod();

} // namespace kvloupe
