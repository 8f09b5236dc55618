// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/overlap_model.h"

#include "core/metrics/position_set.h"
#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"

#include <QLocale>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace kvloupe {

std::vector<double> overlapMatrix(const std::vector<KeptOfMethod>& methods, std::int64_t promptTokens)
{
    const std::size_t count = methods.size();
    std::vector<double> sum(count * count, 0.0);
    std::vector<double> compared(count * count, 0.0);
    std::size_t layers = 0;
    for (const KeptOfMethod& method : methods)
        layers = std::max(layers, method ? method->size() : 0);
    for (std::size_t layer = 0; layer < layers; ++layer) {
        std::vector<std::vector<PositionSet>> sets(count);
        for (std::size_t method = 0; method < count; ++method) {
            if (!methods[method] || layer >= methods[method]->size())
                continue;
            for (const std::vector<std::int32_t>& set : (*methods[method])[layer].sets)
                sets[method].emplace_back(set, promptTokens);
        }
        for (std::size_t a = 0; a < count; ++a) {
            for (std::size_t b = a; b < count; ++b) {
                if (sets[a].empty() || sets[b].empty())
                    continue;
                const std::size_t heads = std::max(sets[a].size(), sets[b].size());
                for (std::size_t head = 0; head < heads; ++head) {
                    sum[a * count + b]
                        += jaccard(sets[a][head * sets[a].size() / heads], sets[b][head * sets[b].size() / heads]);
                    compared[a * count + b] += 1.0;
                }
            }
        }
    }
    std::vector<double> matrix(count * count, std::numeric_limits<double>::quiet_NaN());
    for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = a; b < count; ++b) {
            if (const double pairs = compared[a * count + b]; pairs > 0.0)
                matrix[a * count + b] = matrix[b * count + a] = sum[a * count + b] / pairs;
        }
    }
    return matrix;
}

OverlapModel::OverlapModel(const ViewModels& models, QObject* parent)
    : QAbstractTableModel(parent)
    , m_models(models)
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    m_worker.setMaxThreadCount(1);
    connect(m_models.replay, &ReplayModel::changed, this, &OverlapModel::refresh);
    connect(m_models.replay, &ReplayModel::chosen, this, &OverlapModel::refresh);
    connect(m_models.recording, &OpenRecording::sampleChanged, this, &OverlapModel::refresh);
}

OverlapModel::~OverlapModel()
{
    ++*m_generation;
    m_worker.waitForDone();
}

void OverlapModel::setWanted(bool wanted)
{
    if (std::exchange(m_isWanted, wanted) != wanted && wanted)
        refresh();
}

void OverlapModel::setScope(Scope scope)
{
    if (std::exchange(m_scope, scope) != scope)
        refresh();
}

KeptOfMethod OverlapModel::keptOf(int row) const
{
    if (m_scope == Scope::AllLayers)
        return m_models.replay->keptEverywhere(row);
    const KeepSet* layer = m_models.replay->kept(row, m_models.selection->layer());
    if (!layer || layer->sets.empty())
        return nullptr;
    if (m_scope == Scope::Layer)
        return std::make_shared<const std::vector<KeepSet>>(1, *layer);
    const std::size_t set = setOfHead(*layer, m_models.selection->head(), m_models.recording->sample()->model);
    return std::make_shared<const std::vector<KeepSet>>(1, KeepSet{layer->granularity, {layer->sets[set]}});
}

void OverlapModel::refresh()
{
    if (!m_isWanted)
        return;
    const std::uint64_t generation = ++*m_generation;
    std::vector<int> rows;
    std::vector<QString> titles;
    std::vector<QColor> colors;
    std::vector<KeptOfMethod> kept;
    const SampleModelPtr& sample = m_models.recording->sample();
    for (int row = 0; sample && row < m_models.methods->rowCount(); ++row) {
        const MethodModel::Entry& entry = m_models.methods->entries()[static_cast<std::size_t>(row)];
        if (!entry.shown)
            continue;
        rows.push_back(row);
        titles.push_back(entry.title);
        colors.push_back(entry.color);
        kept.push_back(keptOf(row));
    }
    if (rows != m_rows || titles != m_titles || colors != m_colors) {
        beginResetModel();
        m_rows = std::move(rows);
        m_titles = std::move(titles);
        m_colors = std::move(colors);
        m_matrix.assign(m_rows.size() * m_rows.size(), std::numeric_limits<double>::quiet_NaN());
        endResetModel();
        emit changed();
    }
    m_isWorking = !m_rows.empty();
    if (!m_isWorking)
        return;
    m_worker.start(
        [this, generation, kept = std::move(kept), tokens = sample->info.promptTokens, current = m_generation] {
            if (generation != *current)
                return;
            std::vector<double> matrix = overlapMatrix(kept, tokens);
            QMetaObject::invokeMethod(
                this, [this, generation, matrix = std::move(matrix)]() mutable { take(generation, std::move(matrix)); },
                Qt::QueuedConnection);
        });
}

void OverlapModel::take(std::uint64_t generation, std::vector<double> matrix)
{
    if (generation != *m_generation)
        return;
    m_isWorking = false;
    // What is being chosen anew shows its last value until the new one is there.
    const bool isWaiting = !m_models.replay->isSettled();
    for (std::size_t cell = 0; cell < m_matrix.size(); ++cell) {
        if (!(isWaiting && std::isnan(matrix[cell])))
            m_matrix[cell] = matrix[cell];
    }
    emit dataChanged(index(0, 0), index(rowCount() - 1, rowCount() - 1));
    emit changed();
}

int OverlapModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_rows.size());
}

QVariant OverlapModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || index.row() >= rowCount() || index.column() >= rowCount())
        return {};
    const double overlap = m_matrix[static_cast<std::size_t>(index.row() * rowCount() + index.column())];
    switch (role) {
    case Qt::DisplayRole:
        return std::isnan(overlap) ? QStringLiteral("\u2026") : QLocale().toString(overlap, 'f', 2);
    case Qt::TextAlignmentRole:
        return QVariant::fromValue(Qt::Alignment(Qt::AlignCenter));
    case Qt::BackgroundRole: {
        if (std::isnan(overlap))
            return {};
        QColor shade(0x00, 0x72, 0xB2); // one hue, so that the order shows with any colour vision
        shade.setAlphaF(static_cast<float>(0.55 * overlap));
        return shade;
    }
    case Qt::ToolTipRole:
        return tr("%1 and %2: tokens both keep / tokens either keeps, mean over the heads that are asked")
            .arg(m_titles[static_cast<std::size_t>(index.row())], m_titles[static_cast<std::size_t>(index.column())]);
    default:
        return {};
    }
}

QVariant OverlapModel::headerData(int section, Qt::Orientation /*orientation*/, int role) const
{
    if (section < 0 || section >= rowCount())
        return {};
    if (role == Qt::DisplayRole || role == Qt::ToolTipRole)
        return m_titles[static_cast<std::size_t>(section)];
    return role == Qt::DecorationRole ? QVariant(m_colors[static_cast<std::size_t>(section)]) : QVariant();
}

QString OverlapModel::text() const
{
    QStringList lines;
    for (int row = -1; row < rowCount(); ++row) {
        QStringList cells{row < 0 ? QString() : m_titles[static_cast<std::size_t>(row)]};
        for (int column = 0; column < rowCount(); ++column)
            cells << (row < 0 ? m_titles[static_cast<std::size_t>(column)] : data(index(row, column)).toString());
        lines << cells.join(QStringLiteral(" | "));
    }
    return lines.join(QLatin1Char('\n'));
}

} // namespace kvloupe
