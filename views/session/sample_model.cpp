// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/sample_model.h"

#include "core/recording/recording.h"

#include <algorithm>

namespace kvloupe {

const LayerInfo* SampleModel::findLayer(int layer) const
{
    const auto found = std::ranges::lower_bound(layers, layer, {}, &LayerInfo::layer);
    return found != layers.end() && found->layer == layer ? &*found : nullptr;
}

SampleModelPtr readSampleModel(const Recording& recording, int sample)
{
    auto model = std::make_shared<SampleModel>();
    model->sample = sample;
    model->model = recording.model();
    model->info = recording.sample(sample);
    model->text = recording.readText(sample);
    model->tokens = TokenText(model->text);
    model->layout = PromptLayout(model->info.promptTokens, model->info.totalTokens, model->text.spans);
    for (const int layer : recording.layers(sample))
        model->layers.push_back(recording.layer(sample, layer));
    return model;
}

} // namespace kvloupe
