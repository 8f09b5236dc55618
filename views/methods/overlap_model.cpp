// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/overlap_model.h"

#include "core/metrics/oracle.h"
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

double oracleOverlap(std::span<const KeepSet> kept, const FutureAttention::Layers& future, std::int64_t promptTokens,
    std::optional<std::size_t> onlySet)
{
    double sum = 0.0;
    double compared = 0.0;
    for (std::size_t layer = 0; layer < std::min(kept.size(), future.size()); ++layer) {
        if (!future[layer] || kept[layer].sets.empty())
            continue;
        const FutureAttention::Layer& later = *future[layer];
        const auto mass = futureMassOfSets(later.received, later.queryHeads, later.cache.size(), kept[layer]);
        const KeepSet oracle = oracleKeepSet(mass, later.cache.begin, kept[layer]);
        for (std::size_t set = 0; set < oracle.sets.size(); ++set) {
            if (onlySet && *onlySet != set)
                continue;
            sum += jaccard(
                PositionSet(kept[layer].sets[set], promptTokens), PositionSet(oracle.sets[set], promptTokens));
            compared += 1.0;
        }
    }
    return compared > 0.0 ? sum / compared : std::numeric_limits<double>::quiet_NaN();
}

/// What a worker needs to know; values, so that the window may move on meanwhile.
struct OverlapModel::Question {
    std::vector<KeptOfMethod> kept; ///< by method
    std::int64_t promptTokens = 0;
    bool hasOracle = false;
    FutureAttention::Layers future; ///< of the layers in `whole`; empty while it is not read
    std::vector<KeptOfMethod> whole; ///< by method: layers with all sets
    std::vector<std::optional<std::size_t>> onlySet; ///< by method
};

OverlapModel::OverlapModel(const ViewModels& models, QObject* parent)
    : QAbstractTableModel(parent)
    , m_models(models)
    , m_future(models)
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    m_worker.setMaxThreadCount(1);
    connect(m_models.replay, &ReplayModel::changed, this, &OverlapModel::refresh);
    connect(m_models.replay, &ReplayModel::chosen, this, &OverlapModel::refresh);
    connect(m_models.recording, &OpenRecording::sampleChanged, this, &OverlapModel::refresh);
    connect(&m_future, &FutureAttention::completed, this, &OverlapModel::refresh);
}

OverlapModel::~OverlapModel()
{
    ++*m_generation;
    m_worker.waitForDone();
}

void OverlapModel::setWanted(bool wanted)
{
    m_future.setWanted(wanted);
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

/// The oracle ranks the tokens of a whole layer, so it needs all sets of the layer even if one alone is asked for.
void OverlapModel::askOracle(Question& question, int row) const
{
    if (m_scope != Scope::Head) {
        question.whole.push_back(question.kept.back());
        question.onlySet.emplace_back();
        return;
    }
    const KeepSet* layer = m_models.replay->kept(row, m_models.selection->layer());
    const bool exists = layer && !layer->sets.empty();
    question.whole.push_back(exists ? std::make_shared<const std::vector<KeepSet>>(1, *layer) : nullptr);
    question.onlySet.emplace_back(
        exists ? setOfHead(*layer, m_models.selection->head(), m_models.recording->sample()->model) : 0);
}

OverlapModel::Answer OverlapModel::answerOf(const Question& question)
{
    Answer answer{overlapMatrix(question.kept, question.promptTokens), {}};
    if (!question.hasOracle)
        return answer;
    for (std::size_t method = 0; method < question.whole.size(); ++method)
        answer.oracle.push_back(question.whole[method] ? oracleOverlap(*question.whole[method], question.future,
                                    question.promptTokens, question.onlySet[method])
                                                       : std::numeric_limits<double>::quiet_NaN());
    return answer;
}

void OverlapModel::refresh()
{
    if (!m_isWanted)
        return;
    const std::uint64_t generation = ++*m_generation;
    std::vector<int> rows;
    std::vector<QString> titles;
    std::vector<QColor> colors;
    Question question;
    const SampleModelPtr& sample = m_models.recording->sample();
    question.hasOracle = m_future.exists();
    for (int row = 0; sample && row < m_models.methods->rowCount(); ++row) {
        const MethodModel::Entry& entry = m_models.methods->entries()[static_cast<std::size_t>(row)];
        if (!entry.shown)
            continue;
        rows.push_back(row);
        titles.push_back(entry.title);
        colors.push_back(entry.color);
        question.kept.push_back(keptOf(row));
        if (question.hasOracle)
            askOracle(question, row);
    }
    if (rows != m_rows || titles != m_titles || colors != m_colors || question.hasOracle != m_hasOracle) {
        beginResetModel();
        m_rows = std::move(rows);
        m_titles = std::move(titles);
        m_colors = std::move(colors);
        m_hasOracle = question.hasOracle;
        constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
        m_answer.matrix.assign(m_rows.size() * m_rows.size(), unknown);
        m_answer.oracle.assign(m_hasOracle ? m_rows.size() : 0, unknown);
        endResetModel();
        emit changed();
    }
    m_isWorking = !m_rows.empty();
    if (!m_isWorking)
        return;
    question.promptTokens = sample->info.promptTokens;
    if (const auto future = m_future.layers()) {
        if (m_scope == Scope::AllLayers) {
            question.future = *future;
        } else {
            const auto layer = std::ranges::find(sample->layers, m_models.selection->layer(), &LayerInfo::layer);
            if (layer != sample->layers.end())
                question.future.push_back((*future)[static_cast<std::size_t>(layer - sample->layers.begin())]);
        }
    }
    m_worker.start([this, generation, question = std::move(question), current = m_generation] {
        if (generation != *current)
            return;
        QMetaObject::invokeMethod(
            this, [this, generation, answer = answerOf(question)] { take(generation, answer); }, Qt::QueuedConnection);
    });
}

void OverlapModel::take(std::uint64_t generation, const Answer& answer)
{
    if (generation != *m_generation)
        return;
    m_isWorking = false;
    // What is being chosen anew shows its last value until the new one is there.
    const bool isWaiting = !m_models.replay->isSettled();
    const auto adopt = [isWaiting](std::vector<double>& shown, const std::vector<double>& values) {
        for (std::size_t cell = 0; cell < shown.size(); ++cell) {
            if (!(isWaiting && std::isnan(values[cell])))
                shown[cell] = values[cell];
        }
    };
    adopt(m_answer.matrix, answer.matrix);
    adopt(m_answer.oracle, answer.oracle);
    emit dataChanged(index(0, 0), index(rowCount() - 1, columnCount() - 1));
    emit changed();
}

int OverlapModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_rows.size());
}

int OverlapModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() || m_rows.empty() ? 0 : rowCount() + (m_hasOracle ? 1 : 0);
}

double OverlapModel::valueAt(const QModelIndex& index) const
{
    const auto row = static_cast<std::size_t>(index.row());
    const auto column = static_cast<std::size_t>(index.column());
    return column < m_rows.size() ? m_answer.matrix[row * m_rows.size() + column] : m_answer.oracle[row];
}

QVariant OverlapModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || index.row() >= rowCount() || index.column() >= columnCount())
        return {};
    const double overlap = valueAt(index);
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
        if (index.column() >= rowCount())
            return tr("%1 and the oracle, which keeps as many tokens: those that the generated tokens look at most. "
                      "Tokens both keep / tokens either keeps, mean over the heads that are asked")
                .arg(m_titles[static_cast<std::size_t>(index.row())]);
        return tr("%1 and %2: tokens both keep / tokens either keeps, mean over the heads that are asked")
            .arg(m_titles[static_cast<std::size_t>(index.row())], m_titles[static_cast<std::size_t>(index.column())]);
    default:
        return {};
    }
}

QVariant OverlapModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (section < 0 || section >= (orientation == Qt::Horizontal ? columnCount() : rowCount()))
        return {};
    if (section == rowCount()) {
        if (role == Qt::DisplayRole)
            return tr("Oracle");
        return role == Qt::ToolTipRole ? QVariant(tr("Knows what the generated tokens look at")) : QVariant();
    }
    if (role == Qt::DisplayRole || role == Qt::ToolTipRole)
        return m_titles[static_cast<std::size_t>(section)];
    return role == Qt::DecorationRole ? QVariant(m_colors[static_cast<std::size_t>(section)]) : QVariant();
}

QString OverlapModel::text() const
{
    QStringList lines;
    for (int row = -1; row < rowCount(); ++row) {
        QStringList cells{row < 0 ? QString() : m_titles[static_cast<std::size_t>(row)]};
        for (int column = 0; column < columnCount(); ++column)
            cells << (row < 0 ? headerData(column, Qt::Horizontal).toString() : data(index(row, column)).toString());
        lines << cells.join(QStringLiteral(" | "));
    }
    return lines.join(QLatin1Char('\n'));
}

} // namespace kvloupe
