// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/results/results_model.h"

#include <QElapsedTimer>
#include <QTimer>

#include <algorithm>
#include <utility>

namespace kvloupe {

namespace {

constexpr int pollMilliseconds = 2000;
constexpr int pausePerReading = 10; ///< at most a tenth of the time goes into reading again

} // namespace

ResultsModel::ResultsModel(QObject* parent)
    : QObject(parent)
    , m_data(std::make_shared<ResultsData>())
    , m_poll(new QTimer(this))
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    m_worker.setMaxThreadCount(1);
    m_poll->setInterval(pollMilliseconds);
    connect(m_poll, &QTimer::timeout, this, &ResultsModel::checkFiles);
}

ResultsModel::~ResultsModel()
{
    ++*m_generation;
    m_worker.clear();
    m_worker.waitForDone();
}

void ResultsModel::addFiles(const std::vector<std::filesystem::path>& files)
{
    std::vector<std::filesystem::path> all = m_files;
    for (const std::filesystem::path& file : files)
        if (std::ranges::find(all, file) == all.end())
            all.push_back(file);
    setFiles(std::move(all));
}

void ResultsModel::setFiles(std::vector<std::filesystem::path> files)
{
    m_files = std::move(files);
    m_poll->stop();
    read();
}

void ResultsModel::checkFiles()
{
    if (m_busy)
        return;
    const bool differs = std::ranges::any_of(
        m_data->files, [](const ResultsData::File& file) { return stampOf(file.path) != file.stamp; });
    if (differs)
        read();
}

void ResultsModel::read()
{
    const std::uint64_t generation = ++*m_generation;
    if (!std::exchange(m_busy, true))
        emit busyChanged(true);
    m_worker.start([this, generation, files = m_files, current = m_generation] {
        QElapsedTimer clock;
        clock.start();
        auto data = readResultsData(files, [&] { return *current != generation; });
        // This object outlives the job: its destructor waits.
        QMetaObject::invokeMethod(
            this,
            [this, generation, data = std::move(data), taken = clock.elapsed()]() mutable {
                adopt(generation, std::move(data), taken);
            },
            Qt::QueuedConnection);
    });
}

void ResultsModel::adopt(std::uint64_t generation, std::shared_ptr<const ResultsData> data, qint64 milliseconds)
{
    if (generation != *m_generation || !data)
        return;
    m_data = std::move(data);
    m_busy = false;
    if (!m_files.empty())
        m_poll->start(static_cast<int>(std::clamp<qint64>(pausePerReading * milliseconds, pollMilliseconds, 600'000)));
    rebuild();
    emit busyChanged(false);
}

void ResultsModel::setSpec(ResultsSpec spec)
{
    if (spec == m_spec)
        return;
    m_spec = std::move(spec);
    rebuild();
}

void ResultsModel::rebuild()
{
    m_chart = resultsChart(*m_data, m_spec);
    emit changed();
}

QString ResultsModel::remarks() const
{
    QStringList lines;
    for (const ResultsData::File& file : m_data->files) {
        if (!file.problem.empty())
            lines << QString::fromStdString(file.problem);
        for (const std::string& remark : file.remarks)
            lines << tr("%1: %2").arg(
                QString::fromStdString(file.path.filename().string()), QString::fromStdString(remark));
    }
    if (!m_data->publishedProblem.empty() && m_spec.paper)
        lines << QString::fromStdString(m_data->publishedProblem);
    return lines.join(QLatin1Char('\n'));
}

std::vector<std::size_t> ResultsModel::rowsOf(const ChartTarget& target) const
{
    if (target.panel < 0 || target.series < 0)
        return {};
    const ChartPanel& panel = m_chart.panels[static_cast<std::size_t>(target.panel)];
    const ChartSeries& series = panel.series[static_cast<std::size_t>(target.series)];
    const int cell = series.points[static_cast<std::size_t>(target.point)].number;
    if (cell < 0)
        return {};
    return resultsSummary(*m_data, m_spec).cells[static_cast<std::size_t>(cell)].rows;
}

std::optional<ChartTarget> ResultsModel::sameTarget(const ChartTarget& target, const Chart& before) const
{
    if (target.series < 0)
        return std::nullopt;
    const ChartPanel& oldPanel = before.panels[static_cast<std::size_t>(target.panel)];
    const ChartSeries& oldSeries = oldPanel.series[static_cast<std::size_t>(target.series)];
    const QString& key = oldSeries.points[static_cast<std::size_t>(target.point)].key;
    for (std::size_t panel = 0; panel < m_chart.panels.size(); ++panel) {
        const ChartPanel& candidate = m_chart.panels[panel];
        if (candidate.title != oldPanel.title || candidate.source != oldPanel.source)
            continue;
        for (std::size_t series = 0; series < candidate.series.size(); ++series) {
            const std::vector<ChartPoint>& points = candidate.series[series].points;
            const auto point = std::ranges::find(points, key, &ChartPoint::key);
            if (candidate.series[series].name == oldSeries.name && point != points.end())
                return ChartTarget{static_cast<int>(panel), static_cast<int>(series),
                    static_cast<int>(point - points.begin()), -1, -1};
        }
    }
    return std::nullopt;
}

} // namespace kvloupe
