// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/full.h"

#include "core/methods/chooser.h"

namespace kvloupe {

MethodInfo fullMethod()
{
    MethodInfo info;
    info.name = "full";
    info.title = "FullKV";
    info.summary = "Keeps every token whatever the budget: the baseline.";
    info.source = "no compression (FullKV in KVCache-Factory, no_press in kvpress)";
    info.make = [](const ParameterValues&) {
        Method method;
        method.granularity = Granularity::Layer;
        method.chooser = std::make_shared<KeepAll>();
        return method;
    };
    return info;
}

} // namespace kvloupe
