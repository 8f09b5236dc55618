// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/replay_spec.h"

#include "core/methods/method_registry.h"
#include "core/recording/recording.h"
#include "core/replay/replay.h"
#include "views/chart/chart.h"
#include "views/figure/figure_data.h"
#include "views/figure/figure_spec.h"
#include "views/figure/spec_fields.h"
#include "views/methods/replay_model.h"

#include <QCoreApplication>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace kvloupe {

namespace {

QString translate(const char* text)
{
    return QCoreApplication::translate("ReplayFigure", text);
}

/// The layers that `spec` asks for.
std::vector<LayerInfo> wantedLayers(const SampleModel& sample, const ReplaySpec& spec, const std::string& recording)
{
    if (!spec.layer)
        return sample.layers;
    const LayerInfo* layer = sample.findLayer(*spec.layer);
    if (!layer) {
        std::vector<int> recorded;
        for (const LayerInfo& info : sample.layers)
            recorded.push_back(info.layer);
        throw FigureError(fmt::format(
            "{}: layer {} was not recorded, expected one of {}", recording, *spec.layer, fmt::join(recorded, ", ")));
    }
    if (spec.head && *spec.head >= sample.model.numHeads)
        throw FigureError(
            fmt::format("{}: head {}, expected 0 to {}", recording, *spec.head, sample.model.numHeads - 1));
    return {*layer};
}

std::vector<KeepSet> keptOf(const ScoredSample& scored, const ReplayedSample& replayed)
{
    std::vector<KeepSet> kept;
    if (!replayed.spec.layer) {
        for (auto& [layer, set] : scored.choose(replayed.spec.budget).kept)
            kept.push_back(set);
        return kept;
    }
    KeepSet layer = scored.chooseLayer(replayed.spec.budget, *replayed.spec.layer);
    if (replayed.spec.head)
        layer.sets = {layer.sets.at(setOfHead(layer, *replayed.spec.head, replayed.sample->model))};
    return {std::move(layer)};
}

} // namespace

ReplaySpec replaySpecFromFields(SpecFields& fields)
{
    ReplaySpec spec;
    std::string name;
    fields.text("figure", name);
    fields.path("recording", spec.recording);
    fields.sample("sample", spec.sample);
    fields.integer("layer", spec.layer);
    fields.integer("head", spec.head);
    fields.texts("methods", spec.methods);
    readBudget(fields, spec.budget);
    fields.range("keys", spec.keys);
    fields.text("title", spec.title);
    fields.real("width", spec.widthMm);
    fields.real("height", spec.heightMm);
    fields.real("font", spec.fontPoints);
    fields.integer("dpi", spec.dpi);
    checkReplaySpec(spec);
    return spec;
}

PanelSpec::Json replaySpecToJson(const ReplaySpec& spec, std::string_view name)
{
    PanelSpec::Json object;
    object["figure"] = name;
    object["recording"] = spec.recording.string();
    object["sample"] = spec.sample;
    if (spec.layer)
        object["layer"] = *spec.layer;
    if (spec.head)
        object["head"] = *spec.head;
    object["methods"] = spec.methods;
    writeBudget(spec.budget, object);
    if (spec.keys)
        object["keys"] = tokenRangeText(*spec.keys);
    if (spec.title)
        object["title"] = *spec.title;
    if (spec.heightMm > 0.0)
        object["height"] = spec.heightMm;
    return object;
}

void checkReplaySpec(const ReplaySpec& spec)
{
    FigureSpec sizes;
    sizes.widthMm = spec.widthMm;
    sizes.heightMm = spec.heightMm;
    sizes.fontPoints = spec.fontPoints;
    sizes.dpi = spec.dpi;
    checkFigureSpec(sizes);
    if (spec.head && !spec.layer)
        throw FigureError(
            fmt::format("head: found {} without a layer, expected both, a layer alone, or none", *spec.head));
}

QString budgetText(const Budget& budget)
{
    const QString value = QString::fromStdString(budget.text());
    switch (budget.kind()) {
    case BudgetKind::Keep:
        return translate("keep %1").arg(value);
    case BudgetKind::Capacity:
        return translate("%1 tokens per head").arg(value);
    case BudgetKind::CompressionRatio:
        return translate("compression ratio %1").arg(value);
    }
    Q_UNREACHABLE();
}

QString ReplayedSample::scope() const
{
    const QString model = QString::fromStdString(sample->model.name);
    if (!spec.layer)
        return translate("%1, all heads").arg(model);
    if (!spec.head)
        return translate("%1, layer %2").arg(model).arg(*spec.layer);
    return translate("%1, layer %2, head %3").arg(model).arg(*spec.layer).arg(*spec.head);
}

QString ReplayedSample::description() const
{
    QStringList specs;
    for (const ReplayedMethod& method : methods)
        specs << QString::fromStdString(method.spec);
    return QStringLiteral("recording %1, model %2 sha256 %3, prompt sha256 %4, sample %5, %6, budget %7, methods [%8]")
        .arg(QString::fromStdString(recordingUuid), QString::fromStdString(sample->model.name),
            QString::fromStdString(sample->model.fileSha256), QString::fromStdString(sample->info.promptSha256))
        .arg(sample->sample)
        .arg(scope(), budgetText(spec.budget), specs.join(QStringLiteral("; ")));
}

QString ReplayedSample::circumstances() const
{
    return translate("sample %1 (%2 tokens) of %3, at %4")
        .arg(QString::fromStdString(sample->info.id.empty() ? spec.sample : sample->info.id))
        .arg(sample->info.promptTokens)
        .arg(scope(), budgetText(spec.budget));
}

ReplayedSample replaySample(const Recording& recording, const ReplaySpec& spec)
{
    checkReplaySpec(spec);
    ReplayedSample replayed;
    replayed.spec = spec;
    replayed.recordingUuid = recording.info().uuid;
    replayed.sample = readSampleModel(recording, findSample(recording, spec.sample));
    replayed.layers = wantedLayers(*replayed.sample, spec, recording.path().string());
    std::vector<Method> methods;
    for (const std::string& text : spec.methods)
        methods.push_back(parseMethod(text));
    if (methods.empty())
        return replayed;
    const std::vector<ScoredSample> scored = Replay(recording).score(replayed.sample->sample, methods);
    SeriesStyles styles;
    for (std::size_t index = 0; index < methods.size(); ++index) {
        ReplayedMethod method;
        method.title = QString::fromStdString(findMethod(methods[index].name).title);
        const auto sameTitle = std::ranges::count(methods, methods[index].name, &Method::name);
        if (sameTitle > 1)
            method.title = QString::fromStdString(spec.methods[index]);
        method.spec = spec.methods[index];
        method.color = styles.of(method.spec, methods[index].name).color;
        method.kept = std::make_shared<const std::vector<KeepSet>>(keptOf(scored[index], replayed));
        replayed.methods.push_back(std::move(method));
    }
    return replayed;
}

void requireMethods(const ReplaySpec& spec, std::string_view name, std::size_t least)
{
    if (spec.methods.size() < least)
        throw FigureError(
            fmt::format("figure {}: found {} methods, expected at least {}", name, spec.methods.size(), least));
}

} // namespace kvloupe
