// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

// The only door to QCustomPlot: two of its templates use Qt's foreach, which our own sources may not.
#define foreach(variable, container) for (variable : container)
#include <qcustomplot.h>
#undef foreach
