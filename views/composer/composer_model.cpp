// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/composer_model.h"

#include "views/figure/figure_file.h"
#include "views/figure/figure_spec.h"
#include "views/figure/spec_fields.h"

#include <QUndoCommand>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvloupe {

namespace {

constexpr int knobId = 1;

} // namespace

bool samePage(const PageSpec& a, const PageSpec& b)
{
    return pageToJson(a, {}) == pageToJson(b, {});
}

/// The page before and after: pages are small, and what is in them is shared.
class ComposerModel::EditCommand final : public QUndoCommand {
public:
    EditCommand(ComposerModel* model, PageSpec after, const QString& what, QString knob)
        : QUndoCommand(what)
        , m_model(model)
        , m_before(model->page())
        , m_after(std::move(after))
        , m_knob(std::move(knob))
    {
    }

    int id() const override { return m_knob.isEmpty() ? -1 : knobId; }
    bool mergeWith(const QUndoCommand* other) override
    {
        const auto* next = static_cast<const EditCommand*>(other);
        if (next->m_knob != m_knob)
            return false;
        m_after = next->m_after;
        return true;
    }
    void undo() override { m_model->adopt(m_before); }
    void redo() override { m_model->adopt(m_after); }

private:
    ComposerModel* m_model;
    PageSpec m_before;
    PageSpec m_after;
    QString m_knob;
};

ComposerModel::ComposerModel(QObject* parent)
    : QAbstractTableModel(parent)
{
}

void ComposerModel::edit(PageSpec page, const QString& what, const QString& knob)
{
    if (!samePage(page, m_page))
        m_undo.push(new EditCommand(this, std::move(page), what, knob));
}

void ComposerModel::adopt(PageSpec page)
{
    // A cell that is being edited outlives a change of values only.
    if (page.panels.size() == m_page.panels.size()) {
        m_page = std::move(page);
        if (rowCount() > 0)
            emit dataChanged(index(0, 0), index(rowCount() - 1, ColumnCount - 1));
    } else {
        beginResetModel();
        m_page = std::move(page);
        endResetModel();
    }
    emit pageChanged();
}

void ComposerModel::add(std::shared_ptr<const PanelSpec> figure)
{
    if (m_page.panels.size() >= mostPagePanels)
        return;
    PageSpec page = m_page;
    page.panels.emplace_back().figure = std::move(figure);
    edit(std::move(page), tr("add a panel"));
}

void ComposerModel::remove(int panel)
{
    if (panel < 0 || panel >= rowCount())
        return;
    PageSpec page = m_page;
    page.panels.erase(page.panels.begin() + panel);
    edit(std::move(page), tr("remove a panel"));
}

bool ComposerModel::move(int panel, int by)
{
    const int other = panel + by;
    if (panel < 0 || panel >= rowCount() || other < 0 || other >= rowCount())
        return false;
    PageSpec page = m_page;
    PagePanel& a = page.panels[static_cast<std::size_t>(panel)];
    PagePanel& b = page.panels[static_cast<std::size_t>(other)];
    std::swap(a, b);
    // A place of its own stays where it is: the panels change places.
    std::swap(a.column, b.column);
    std::swap(a.row, b.row);
    edit(std::move(page), tr("move a panel"));
    return true;
}

void ComposerModel::setSettings(const PageSpec& settings, const QString& knob)
{
    PageSpec page = settings;
    page.panels = m_page.panels;
    for (PagePanel& panel : page.panels) {
        panel.columnSpan = std::min(panel.columnSpan, page.columns);
        // A place outside of fewer columns is given up for the next free one.
        if (panel.column && *panel.column + panel.columnSpan > page.columns) {
            panel.column.reset();
            panel.row.reset();
        }
    }
    edit(std::move(page), tr("change the page"), knob);
}

void ComposerModel::open(const std::filesystem::path& path)
{
    fromJson(readSpecText(path), path);
}

void ComposerModel::save(const std::filesystem::path& path)
{
    writeWhole(path, QByteArray::fromStdString(pageToJson(m_page, std::filesystem::absolute(path).parent_path())));
    m_undo.setClean();
}

std::string ComposerModel::toJson() const
{
    return pageToJson(m_page, {});
}

void ComposerModel::fromJson(std::string_view text, const std::filesystem::path& source)
{
    PageSpec page = pageFromJson(text, source);
    m_undo.clear();
    adopt(std::move(page));
}

QString ComposerModel::letterOf(int panel) const
{
    try {
        return lettersOf(m_page, placesOf(m_page))[static_cast<std::size_t>(panel)];
    } catch (const FigureError&) {
        return {}; // the page says what is wrong with its places
    }
}

QString ComposerModel::text() const
{
    QStringList lines{QStringLiteral("%1 mm, %2 columns, font %3, line %4, %5 dpi%6%7")
                          .arg(m_page.widthMm)
                          .arg(m_page.columns)
                          .arg(m_page.fontPoints)
                          .arg(m_page.lineWidth)
                          .arg(m_page.dpi)
                          .arg(m_page.shareRange ? QStringLiteral(", shared range") : QString(),
                              m_page.letters ? QStringLiteral(", letters") : QString())};
    for (int row = 0; row < rowCount(); ++row) {
        QStringList cells;
        for (int column = 0; column < ColumnCount; ++column)
            cells << index(row, column).data().toString();
        lines << cells.join(QStringLiteral(" | "));
    }
    return lines.join(QLatin1Char('\n'));
}

int ComposerModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_page.panels.size());
}

int ComposerModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant ComposerModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || index.row() >= rowCount())
        return {};
    const PagePanel& panel = m_page.panels[static_cast<std::size_t>(index.row())];
    if (role == Qt::ToolTipRole)
        return panel.figure->label();
    if (role != Qt::DisplayRole && role != Qt::EditRole)
        return {};
    switch (index.column()) {
    case LetterColumn:
        return letterOf(index.row());
    case FigureColumn:
        return panel.figure->label();
    case TitleColumn:
        if (panel.title)
            return panel.title->empty() && role == Qt::DisplayRole ? tr("(none)")
                                                                   : QString::fromStdString(*panel.title);
        return role == Qt::DisplayRole ? tr("(its own)") : QString();
    case SpanColumn:
        return panel.columnSpan;
    default:
        return {};
    }
}

bool ComposerModel::setData(const QModelIndex& index, const QVariant& value, int role)
{
    if (role != Qt::EditRole || !index.isValid() || index.row() >= rowCount())
        return false;
    PageSpec page = m_page;
    PagePanel& panel = page.panels[static_cast<std::size_t>(index.row())];
    switch (index.column()) {
    case LetterColumn:
        if (value.toString() == letterOf(index.row()))
            return false;
        panel.letter = value.toString().toStdString();
        edit(std::move(page), tr("letter of a panel"));
        return true;
    case TitleColumn:
        // An empty title is none; "-" gives the figure's own back.
        if (value.toString() == QStringLiteral("-"))
            panel.title.reset();
        else
            panel.title = value.toString().toStdString();
        edit(std::move(page), tr("title of a panel"));
        return true;
    case SpanColumn:
        panel.columnSpan = std::clamp(value.toInt(), 1, m_page.columns);
        edit(std::move(page), tr("width of a panel"));
        return true;
    default:
        return false;
    }
}

QVariant ComposerModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return role == Qt::DisplayRole ? QVariant(section + 1) : QVariant();
    if (role == Qt::DisplayRole) {
        switch (section) {
        case LetterColumn:
            return tr("Letter");
        case FigureColumn:
            return tr("Panel");
        case TitleColumn:
            return tr("Title");
        case SpanColumn:
            return tr("Columns");
        default:
            return {};
        }
    }
    if (role == Qt::ToolTipRole) {
        switch (section) {
        case LetterColumn:
            return tr("Before the title: its turn in reading order, or what you type; empty for none");
        case TitleColumn:
            return tr("Above the panel; empty for none, - for the figure's own");
        case SpanColumn:
            return tr("How many columns of the page the panel is wide");
        default:
            return {};
        }
    }
    return {};
}

Qt::ItemFlags ComposerModel::flags(const QModelIndex& index) const
{
    const Qt::ItemFlags flags = QAbstractTableModel::flags(index);
    return !index.isValid() || index.column() == FigureColumn ? flags : flags | Qt::ItemIsEditable;
}

} // namespace kvloupe
