// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/shots/shots_model.h"

#include "core/metrics/kept_share.h"
#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"

#include <QLocale>

#include <cmath>

namespace kvloupe {

namespace {

QString percent(double share)
{
    return QLocale().toString(share * 100.0, 'f', 0) + QStringLiteral(" %");
}

} // namespace

std::vector<ShotFate> shotFates(std::span<const KeepSet> layers, std::span<const LayerInfo> infos,
    std::span<const TokenRange> shots, std::int64_t promptTokens)
{
    std::vector<ShotFate> fates(shots.size());
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
        const std::int64_t window = infos[layer].window;
        const TokenRange cache{window > 0 ? std::max<std::int64_t>(0, promptTokens - window) : 0, promptTokens};
        for (const std::vector<std::int32_t>& set : layers[layer].sets) {
            const std::vector<KeptShare> shares = keptByShot(set, cache, shots);
            for (std::size_t shot = 0; shot < shots.size(); ++shot) {
                const KeptShare& share = shares[shot];
                if (share.tokens == 0)
                    continue;
                ShotFate& fate = fates[shot];
                ++fate.heads;
                fate.kept += share.fraction();
                fate.dropped += share.kept == 0 ? 1.0 : 0.0;
                fate.broken += share.kept > 0 && share.kept < share.tokens ? 1.0 : 0.0;
            }
        }
    }
    for (ShotFate& fate : fates) {
        const double heads = std::max(1, fate.heads);
        fate.kept /= heads;
        fate.dropped /= heads;
        fate.broken /= heads;
    }
    return fates;
}

ShotsModel::ShotsModel(const ViewModels& models, QObject* parent)
    : QAbstractTableModel(parent)
    , m_models(models)
{
    connect(m_models.recording, &OpenRecording::sampleChanged, this, &ShotsModel::refresh);
    connect(m_models.recording, &OpenRecording::layoutChanged, this, &ShotsModel::refresh);
    connect(m_models.replay, &ReplayModel::changed, this, &ShotsModel::refresh);
    connect(m_models.replay, &ReplayModel::chosen, this, &ShotsModel::refresh);
}

void ShotsModel::setWanted(bool wanted)
{
    if (std::exchange(m_isWanted, wanted) != wanted && wanted)
        refresh();
}

void ShotsModel::setScope(Scope scope)
{
    if (m_scope == scope)
        return;
    m_scope = scope;
    refresh();
}

/// `before` is the same column over the same shots as it is on show, if there is one.
ShotsModel::Method ShotsModel::methodOf(int row, const Method* before) const
{
    const SampleModelPtr& sample = m_models.recording->sample();
    const MethodModel::Entry& entry = m_models.methods->entries()[static_cast<std::size_t>(row)];
    Method method{entry.title, entry.color, false, {}, {}, 0.0, nullptr};
    const auto adopt = [&](std::span<const KeepSet> layers, std::span<const LayerInfo> infos) {
        method.isReady = true;
        method.fates = shotFates(layers, infos, m_shots, m_promptTokens);
        method.votes = countVotes(layers, m_promptTokens);
        for (const ShotFate& fate : method.fates)
            method.brokenShots += fate.broken;
    };
    if (m_scope == Scope::AllHeads) {
        const ReplayModel::KeptLayers layers = m_models.replay->keptEverywhere(row);
        // While all heads are being chosen the last answer stays on show.
        const bool isWaiting = !layers && entry.problem.isEmpty();
        if (before && before->title == method.title && before->layers && (isWaiting || before->layers == layers))
            return *before;
        if (layers)
            adopt(*layers, sample->layers);
        method.layers = layers;
        return method;
    }
    const int layer = m_models.selection->layer();
    const LayerInfo* info = sample->findLayer(layer);
    const auto kept = m_models.replay->keptPositions(row, layer, m_models.selection->head());
    if (info && kept) {
        const KeepSet head{Granularity::KvHead, {{kept->begin(), kept->end()}}};
        adopt(std::span(&head, 1), std::span(info, 1));
    }
    return method;
}

void ShotsModel::refresh()
{
    if (!m_isWanted)
        return;
    const SampleModelPtr& sample = m_models.recording->sample();
    Shots shots;
    if (sample)
        shots.assign(sample->layout.shots().begin(), sample->layout.shots().end());
    std::vector<int> rows;
    for (int row = 0; sample && row < m_models.methods->rowCount(); ++row) {
        if (m_models.methods->entries()[static_cast<std::size_t>(row)].shown)
            rows.push_back(row);
    }
    // A table that keeps its shape keeps its selection, its scroll bars and an editor that is open.
    const bool keepsShape = shots.size() == m_shots.size() && rows.size() == m_methods.size();
    if (!keepsShape)
        beginResetModel();
    const std::int64_t tokens = sample ? sample->info.promptTokens : 0;
    const bool keepsShots = shots == m_shots && tokens == m_promptTokens;
    m_shots = std::move(shots);
    m_promptTokens = tokens;
    std::vector<Method> methods;
    for (const int row : rows)
        methods.push_back(methodOf(row, keepsShape && keepsShots ? &m_methods[methods.size()] : nullptr));
    m_methods = std::move(methods);
    if (!keepsShape)
        endResetModel();
    else if (rowCount() > 0)
        emit dataChanged(index(0, 0), index(rowCount() - 1, columnCount() - 1));
    if (keepsShape && !m_methods.empty())
        emit headerDataChanged(Qt::Horizontal, FirstMethodColumn, columnCount() - 1);
    emit changed();
}

int ShotsModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() || m_shots.empty() ? 0 : static_cast<int>(m_shots.size()) + 1;
}

int ShotsModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : FirstMethodColumn + static_cast<int>(m_methods.size());
}

QString ShotsModel::fateText(const Method& method, const ShotFate& fate) const
{
    if (!method.isReady)
        return QStringLiteral("\u2026");
    if (fate.heads == 0)
        return tr("not in the cache");
    if (m_scope == Scope::Head)
        return fate.broken > 0.0 ? tr("%1 broken").arg(percent(fate.kept)) : percent(fate.kept);
    return tr("%1, broken in %2").arg(percent(fate.kept), percent(fate.broken));
}

QVariant ShotsModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || index.row() >= rowCount() || index.column() >= columnCount())
        return {};
    const bool isTotal = index.row() == static_cast<int>(m_shots.size());
    if (role == Qt::TextAlignmentRole)
        return QVariant::fromValue(Qt::Alignment(Qt::AlignRight | Qt::AlignVCenter));
    if (index.column() >= FirstMethodColumn) {
        const Method& method = m_methods[static_cast<std::size_t>(index.column() - FirstMethodColumn)];
        if (role == Qt::DisplayRole && isTotal)
            return method.isReady
                ? tr("%1 of %2 broken")
                      .arg(QLocale().toString(method.brokenShots, 'f', m_scope == Scope::Head ? 0 : 1))
                      .arg(m_shots.size())
                : QStringLiteral("\u2026");
        if (role == Qt::ToolTipRole)
            return isTotal ? tr("Shots kept in part, mean over the heads: question without its answer, or half a "
                                "sentence")
                           : tr("Kept = tokens of the shot that are kept / its tokens, mean over the heads.\n"
                                "Broken = heads that keep some but not all of its tokens / heads.");
        if (isTotal)
            return {};
        const ShotFate fate = method.isReady ? method.fates[static_cast<std::size_t>(index.row())] : ShotFate{};
        if (role == Qt::DisplayRole)
            return fateText(method, fate);
        if (role == Qt::BackgroundRole && method.isReady) {
            QColor color = method.color;
            color.setAlphaF(static_cast<float>(0.3 * fate.kept));
            return color;
        }
        return {};
    }
    if (role != Qt::DisplayRole && role != Qt::EditRole)
        return {};
    if (isTotal)
        return index.column() == NumberColumn && role == Qt::DisplayRole ? tr("all") : QVariant();
    const TokenRange& shot = m_shots[static_cast<std::size_t>(index.row())];
    switch (index.column()) {
    case NumberColumn:
        return index.row() + 1;
    case BeginColumn:
        return static_cast<int>(shot.begin); // an int is edited in a spin box
    default:
        return static_cast<int>(shot.end);
    }
}

bool ShotsModel::setData(const QModelIndex& index, const QVariant& value, int role)
{
    if (role != Qt::EditRole || !flags(index).testFlag(Qt::ItemIsEditable))
        return false;
    Shots shots = m_shots;
    TokenRange& shot = shots[static_cast<std::size_t>(index.row())];
    bool isNumber = false;
    (index.column() == BeginColumn ? shot.begin : shot.end) = value.toLongLong(&isNumber);
    if (!isNumber)
        return false;
    emit editRequested(shots, tr("Move Shot %1").arg(index.row() + 1));
    return true;
}

QVariant ShotsModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || section >= columnCount())
        return {};
    if (section >= FirstMethodColumn) {
        const Method& method = m_methods[static_cast<std::size_t>(section - FirstMethodColumn)];
        if (role == Qt::DisplayRole)
            return method.title;
        return role == Qt::DecorationRole ? QVariant(method.color) : QVariant();
    }
    if (role == Qt::ToolTipRole && section != NumberColumn)
        return tr("Tokens of the shot: from begin up to, but without, end");
    if (role != Qt::DisplayRole)
        return {};
    return section == NumberColumn ? tr("Shot") : section == BeginColumn ? tr("Begin") : tr("End");
}

Qt::ItemFlags ShotsModel::flags(const QModelIndex& index) const
{
    Qt::ItemFlags flags = QAbstractTableModel::flags(index);
    const bool isEdge = index.column() == BeginColumn || index.column() == EndColumn;
    if (index.isValid() && isEdge && index.row() < static_cast<int>(m_shots.size()))
        flags |= Qt::ItemIsEditable;
    return flags;
}

QString ShotsModel::text() const
{
    QStringList lines;
    for (int row = -1; row < rowCount(); ++row) {
        QStringList cells;
        for (int column = 0; column < columnCount(); ++column)
            cells << (row < 0 ? headerData(column, Qt::Horizontal) : data(index(row, column))).toString();
        lines << cells.join(QStringLiteral(" | "));
    }
    return lines.join(QLatin1Char('\n'));
}

} // namespace kvloupe
