// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"

namespace kvloupe {

/// Keeps the tokens with the highest mean attention per query that can see them: H2O's sums without their favour for
/// early tokens, nothing protected. ObservedAttentionPress of kvpress.
MethodInfo observedAttentionMethod();

} // namespace kvloupe
