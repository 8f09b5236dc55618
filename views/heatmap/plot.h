// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

// The only door to QCustomPlot: its header uses Qt's foreach and converts literals, which our own sources may not.
#pragma push_macro("QT_NO_FOREACH")
#undef QT_NO_FOREACH
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#pragma GCC diagnostic ignored "-Wdeprecated-enum-enum-conversion"
#endif
#include <qcustomplot.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#pragma pop_macro("QT_NO_FOREACH")
