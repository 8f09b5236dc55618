// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/json_node.h"
#include "capture/tokenizer/normalizers/normalizer.h"

namespace kvloupe {

/// The steps of a tokenizer.json's "normalizer", if it has one. Throws TokenizerError for a step that is not known.
Normalizers readNormalizers(const JsonNode& root);

} // namespace kvloupe
