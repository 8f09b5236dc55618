// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/sample_finder.h"

#include "views/figure/figure_command.h"
#include "views/methods/method_model.h"
#include "views/results/results_view.h"
#include "views/selection/selection.h"
#include "views/session/open_recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace kvloupe {

namespace {

/// Items that have to be made for this one to be among them: generated ids end in their number, as "ar:0:17".
std::int64_t itemsUpTo(const std::string& id)
{
    const std::size_t colon = id.rfind(':');
    std::int64_t number = 0;
    if (colon == std::string::npos)
        return 1;
    const auto [end, error] = std::from_chars(id.data() + colon + 1, id.data() + id.size(), number);
    return error == std::errc() && end == id.data() + id.size() && number >= 0 && number < 1'000'000 ? number + 1 : 1;
}

} // namespace

QString captureCommand(const ChosenSample& sample)
{
    std::string command
        = fmt::format("kvloupe capture {} --suite {} --task {} --shots {} --level {} --seed {} --samples {}",
            shellWord(sample.model.name), shellWord(sample.suite), shellWord(sample.key.task), sample.key.shots,
            sample.key.level, sample.key.seed, itemsUpTo(sample.key.sample));
    if (sample.prompt.chat)
        command += " --chat";
    return QString::fromStdString(command + " --generate 64 --out recording.h5");
}

SampleFinder::SampleFinder(const ViewModels& models, QObject* parent)
    : QObject(parent)
    , m_models(models)
{
}

void SampleFinder::find(const ChosenSample& sample)
{
    const std::vector<SampleInfo>& recorded = m_models.recording->samples();
    const auto same = std::ranges::find(recorded, sample.prompt.sha256, &SampleInfo::promptSha256);
    const QString name = QString::fromStdString(sample.key.sample);
    if (!m_models.recording->isOpen() || same == recorded.end()) {
        emit notFound(tr("%1 is not in the open recording. This records it: %2").arg(name, captureCommand(sample)));
        return;
    }
    const SampleModelPtr& inView = m_models.recording->sample();
    if (inView && inView->model.fileSha256 != sample.model.fileSha256) {
        emit notFound(
            tr("%1 was measured on %2, the open recording is of %3")
                .arg(name, QString::fromStdString(sample.model.name), QString::fromStdString(inView->model.name)));
        return;
    }
    if (m_models.methods->rowOf(sample.method) < 0)
        m_models.methods->add(QString::fromStdString(sample.method));
    if (const int row = m_models.methods->rowOf(sample.method); row >= 0) {
        m_models.methods->setShown(row, true);
        m_models.methods->setCurrent(row);
    }
    m_models.selection->setKeepPermille(static_cast<int>(std::lround(1000.0 * sample.keep)));
    m_models.selection->setSample(static_cast<int>(same - recorded.begin()));
    emit found();
}

} // namespace kvloupe
