// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/composer/page_spec.h"

#include <QAbstractTableModel>
#include <QUndoStack>

#include <filesystem>
#include <memory>

namespace kvloupe {

/// The page that a person puts together: a row per panel. Every edit is a step of undo; turning the same knob on and on
/// is one.
class ComposerModel final : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { LetterColumn, FigureColumn, TitleColumn, SpanColumn, ColumnCount };

    explicit ComposerModel(QObject* parent = nullptr);

    const PageSpec& page() const { return m_page; }
    QUndoStack* undoStack() { return &m_undo; }

    /// At the end, in the next free place.
    void add(std::shared_ptr<const PanelSpec> figure);
    void remove(int panel);
    /// Panels change places: `panel` goes to where the one `by` rows away is. False at the ends.
    bool move(int panel, int by);
    /// Everything but the panels. `knob` names what was turned.
    void setSettings(const PageSpec& settings, const QString& knob);

    /// Replaces the page; nothing is left to undo. Throws FigureError, and the page stays.
    void open(const std::filesystem::path& path);
    /// Throws FigureError naming the file and the cause.
    void save(const std::filesystem::path& path);
    /// What open() would read, with inputs named in full.
    std::string toJson() const;
    void fromJson(std::string_view text, const std::filesystem::path& source);

    /// Size and panels, a line each: for tests and screen readers.
    QString text() const;

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    bool setData(const QModelIndex& index, const QVariant& value, int role = Qt::EditRole) override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;
    Qt::ItemFlags flags(const QModelIndex& index) const override;

signals:
    /// Anything of the page.
    void pageChanged();

private:
    class EditCommand;
    /// `knob` empty = a step of its own.
    void edit(PageSpec page, const QString& what, const QString& knob = {});
    void adopt(PageSpec page);
    QString letterOf(int panel) const;

    PageSpec m_page;
    QUndoStack m_undo;
};

/// Whether two pages are the same file.
bool samePage(const PageSpec& a, const PageSpec& b);

} // namespace kvloupe
