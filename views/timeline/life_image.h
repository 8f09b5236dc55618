// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/timeline/timeline_model.h"

#include <QColor>
#include <QImage>
#include <QSize>

namespace kvloupe {

/// Tokens [begin, end) from left to right, generated tokens from top to bottom: the method's colour while a token is in
/// the cache, mixed with `base` where a pixel stands for tokens of which some are gone or hidden. Not higher than there
/// are steps.
QImage lifeImage(const HeadLife& life, double begin, double end, const QSize& size, const QColor& base);

} // namespace kvloupe
