// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/methods/head_votes.h"
#include "views/session/view_models.h"
#include "views/shots/shot_edit.h"

#include <QAbstractTableModel>
#include <QColor>
#include <QString>

#include <memory>
#include <vector>

namespace kvloupe {

struct LayerInfo;

/// What became of one few-shot example, over the heads that were asked: shares of heads, and the mean share kept.
struct ShotFate {
    double kept = 0.0; ///< share of its tokens, mean over heads, [0, 1]
    double broken = 0.0; ///< share of heads that keep a part of it
    double dropped = 0.0; ///< share of heads that keep nothing of it
    int heads = 0; ///< heads whose cache held it at all
};

/// Fates of `shots` over all sets of `layers`; `infos` are the layers they belong to (a sliding window keeps shots out
/// of a cache).
std::vector<ShotFate> shotFates(std::span<const KeepSet> layers, std::span<const LayerInfo> infos,
    std::span<const TokenRange> shots, std::int64_t promptTokens);

/// Shots of the sample in view, one row each and one for them all; a column for every method on show.
///
/// Begin and end can be edited: `editRequested` follows, nothing changes here.
class ShotsModel final : public QAbstractTableModel {
    Q_OBJECT

public:
    enum class Scope { Head, AllHeads };
    enum Column { NumberColumn, BeginColumn, EndColumn, FirstMethodColumn };

    /// One method on show.
    struct Method {
        QString title;
        QColor color;
        bool isReady = false;
        std::vector<ShotFate> fates; ///< by shot
        HeadVotes votes; ///< by token, of the same heads
        double brokenShots = 0.0; ///< mean over heads
        std::shared_ptr<const std::vector<KeepSet>> layers; ///< what all heads keep, if they were asked
    };

    explicit ShotsModel(const ViewModels& models, QObject* parent = nullptr);

    /// Follows the replay only while somebody looks; begins with false.
    void setWanted(bool wanted);
    Scope scope() const { return m_scope; }
    void setScope(Scope scope);
    const Shots& shots() const { return m_shots; }
    const std::vector<Method>& methods() const { return m_methods; }
    std::int64_t promptTokens() const { return m_promptTokens; }
    /// All cells, a line per row, columns separated by " | ".
    QString text() const;

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    bool setData(const QModelIndex& index, const QVariant& value, int role = Qt::EditRole) override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;
    Qt::ItemFlags flags(const QModelIndex& index) const override;

signals:
    void editRequested(const std::vector<kvloupe::TokenRange>& shots, const QString& what);
    /// Shots, methods or what they keep.
    void changed();

private:
    void refresh();
    Method methodOf(int row, const Method* before) const;
    QString fateText(const Method& method, const ShotFate& fate) const;

    ViewModels m_models;
    bool m_isWanted = false;
    Scope m_scope = Scope::AllHeads;
    Shots m_shots;
    std::int64_t m_promptTokens = 0;
    std::vector<Method> m_methods;
};

} // namespace kvloupe
