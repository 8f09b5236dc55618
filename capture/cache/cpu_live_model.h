// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/live_model.h"
#include "capture/model/kv_cache.h"

#include <memory>

namespace kvloupe {

class Transformer;

/// The CPU's LiveModel; `model` outlives what is returned.
std::shared_ptr<const LiveModel> onCpu(const Transformer& model);

/// Its parts: what branches are cut from, and the attention of one of their lists.
std::unique_ptr<PromptCache> cpuPromptCache(KvCache cache);
void attendOnCpu(const ListAttention& list);

} // namespace kvloupe
