// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace kvloupe {

/// Float32 operations per second (a multiply-add is two) of all processors together, as the widest vectors of the
/// machine reach them in registers: no product of matrices is faster. Measured on every processor at once for a few
/// milliseconds; what else runs on the machine takes its share.
double peakFlops();

} // namespace kvloupe
