// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method.h"
#include "views/selection/selection.h"

#include <QAbstractTableModel>
#include <QColor>
#include <QString>
#include <QStringList>

#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

/// What a method does to the head that is looked at, for the table.
struct MethodOutcome {
    std::int64_t keptTokens = 0;
    double share = 0.0; ///< of the prompt, [0, 1]
    std::optional<double> retainedMass; ///< attention of the last prompt query on kept tokens, [0, 1]

    bool operator==(const MethodOutcome&) const = default;
};

/// The methods the window compares: which are shown, and in which colour. The one in front, which fades the text, is
/// that of the Selection.
class MethodModel final : public QAbstractTableModel {
    Q_OBJECT

public:
    struct Entry {
        Method method;
        QString title; ///< "SnapKV"; "SnapKV (window=64)" where several have that name, so that each has its own
        QString parameters; ///< those that differ from the defaults, or "defaults"
        QColor color;
        bool shown = true;
        std::optional<MethodOutcome> outcome;
        QString problem; ///< why there is no outcome
    };
    enum Column { NameColumn, ParametersColumn, FidelityColumn, KeptColumn, RetainedColumn, ColumnCount };

    /// `selection` outlives the model.
    explicit MethodModel(Selection* selection, QObject* parent = nullptr);

    const std::vector<Entry>& entries() const { return m_entries; }
    /// Adds a method at the end. Returns what is wrong with SPEC, or an empty text.
    QString add(const QString& spec, bool shown = true);
    /// Gives the method in a row other parameters, or another name; it keeps its place and colour. Returns what is
    /// wrong with SPEC, or an empty text.
    QString setSpec(int row, const QString& spec);
    /// Row of a method by its SPEC as written, -1 if it is not in the list.
    int rowOf(const std::string& spec) const;
    void remove(int row);
    void setShown(int row, bool shown);
    /// The method whose dropped tokens are faded in the text and shaded on the map; -1 without methods.
    int current() const { return rowOf(m_selection->method()); }
    void setCurrent(int row);
    void setOutcome(int row, std::optional<MethodOutcome> outcome, const QString& problem = {});
    /// SPECs in order, the hidden ones with a leading "-": what the settings remember.
    QStringList toSpecs() const;
    /// Replaces the list. Methods that were in it keep colour and outcome, and the one in front stays if it is in it.
    void fromSpecs(const QStringList& specs);

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    bool setData(const QModelIndex& index, const QVariant& value, int role = Qt::EditRole) override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;
    Qt::ItemFlags flags(const QModelIndex& index) const override;

    /// Methods a new window starts with.
    static QStringList defaultSpecs();

signals:
    /// A method came, went or was changed, or became (in)visible.
    void methodsChanged();
    void currentChanged(int row);

private:
    QColor unusedColor(const std::string& name) const;
    void retitle();
    QString readSpec(const QString& spec, int exceptRow, Entry& entry) const;

    Selection* m_selection;
    std::vector<Entry> m_entries;
};

/// Distinguishable with any colour vision: Okabe and Ito 2008, "Color Universal Design".
std::vector<QColor> methodColors();
/// What a fidelity means, in one sentence.
QString fidelityText(Fidelity fidelity);
/// Colour a method has by default in windows and figures, so that it is the same everywhere.
QColor methodColor(const std::string& name, int fallback);

} // namespace kvloupe
