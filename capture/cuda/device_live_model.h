// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/live_model.h"
#include "capture/cuda/device_transformer.h"

#include <memory>

namespace kvloupe::cuda {

/// A DeviceTransformer with compressed caches on its device: keys and values of branches stay there, in the compute
/// type, and so does their attention. The host is given queries, keys and values of the one row of each branch in a
/// step, and the attention where a policy looks at it.
///
/// Errors: as DeviceTransformer.
std::shared_ptr<const LiveModel> onDevice(std::shared_ptr<const DeviceTransformer> model);

} // namespace kvloupe::cuda
