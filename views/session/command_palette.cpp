// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/command_palette.h"

#include <QAction>
#include <QKeyEvent>
#include <QLineEdit>
#include <QListWidget>
#include <QMainWindow>
#include <QMenu>
#include <QMenuBar>
#include <QVBoxLayout>

#include <algorithm>
#include <utility>

namespace kvloupe {

namespace {

QString withoutMnemonic(QString text)
{
    return text.remove(QLatin1Char('&')).remove(QStringLiteral("..."));
}

void addCommands(std::vector<PaletteCommand>& commands, const QMenu& menu, const QString& path)
{
    for (QAction* action : menu.actions()) {
        if (action->isSeparator() || !action->isEnabled() || !action->isVisible())
            continue;
        const QString title = path + withoutMnemonic(action->text());
        if (action->menu())
            addCommands(commands, *action->menu(), title + QStringLiteral(": "));
        else
            commands.push_back({title, action->shortcut().toString(QKeySequence::NativeText), action});
    }
}

} // namespace

std::vector<PaletteCommand> commandsOf(const QWidget& window)
{
    std::vector<PaletteCommand> commands;
    const auto* main = qobject_cast<const QMainWindow*>(&window);
    if (!main || !main->menuWidget())
        return commands;
    for (QAction* action : static_cast<QMenuBar*>(main->menuWidget())->actions()) {
        if (action->menu())
            addCommands(commands, *action->menu(), withoutMnemonic(action->text()) + QStringLiteral(": "));
    }
    return commands;
}

bool matchesFilter(const PaletteCommand& command, const QString& filter)
{
    const QStringList words = filter.split(QLatin1Char(' '), Qt::SkipEmptyParts);
    return std::ranges::all_of(
        words, [&](const QString& word) { return command.title.contains(word, Qt::CaseInsensitive); });
}

CommandPalette::CommandPalette(std::vector<PaletteCommand> commands, QWidget* parent)
    : QDialog(parent)
    , m_commands(std::move(commands))
    , m_filter(new QLineEdit)
    , m_list(new QListWidget)
{
    setWindowTitle(tr("Commands"));
    m_filter->setPlaceholderText(tr("Type a part of a command"));
    m_filter->setAccessibleName(tr("Part of a command"));
    m_filter->setClearButtonEnabled(true);
    m_filter->setObjectName(QStringLiteral("paletteFilter"));
    m_filter->installEventFilter(this);
    m_list->setFocusPolicy(Qt::NoFocus);
    m_list->setAccessibleName(tr("Commands"));
    m_list->setUniformItemSizes(true);
    auto* column = new QVBoxLayout(this);
    column->addWidget(m_filter);
    column->addWidget(m_list, 1);
    connect(m_filter, &QLineEdit::textChanged, this, &CommandPalette::refresh);
    connect(m_list, &QListWidget::itemClicked, this, &CommandPalette::accept);
    refresh();
    resize(480, 420);
}

void CommandPalette::refresh()
{
    m_list->clear();
    for (std::size_t index = 0; index < m_commands.size(); ++index) {
        const PaletteCommand& command = m_commands[index];
        if (!matchesFilter(command, m_filter->text()))
            continue;
        auto* item = new QListWidgetItem(
            command.keys.isEmpty() ? command.title : tr("%1\t%2").arg(command.title, command.keys), m_list);
        item->setData(Qt::UserRole, static_cast<int>(index));
    }
    m_list->setCurrentRow(0);
}

QStringList CommandPalette::titlesOnShow() const
{
    QStringList titles;
    for (int row = 0; row < m_list->count(); ++row)
        titles << m_commands[static_cast<std::size_t>(m_list->item(row)->data(Qt::UserRole).toInt())].title;
    return titles;
}

void CommandPalette::accept()
{
    const QListWidgetItem* item = m_list->currentItem();
    const QPointer<QAction> action
        = item ? m_commands[static_cast<std::size_t>(item->data(Qt::UserRole).toInt())].action : nullptr;
    QDialog::accept();
    if (action)
        action->trigger();
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event)
{
    if (watched == m_filter && event->type() == QEvent::KeyPress) {
        const int key = static_cast<QKeyEvent*>(event)->key();
        const int page = 10;
        const int step = key == Qt::Key_Down ? 1
            : key == Qt::Key_Up              ? -1
            : key == Qt::Key_PageDown        ? page
            : key == Qt::Key_PageUp          ? -page
                                             : 0;
        if (step != 0) {
            m_list->setCurrentRow(std::clamp(m_list->currentRow() + step, 0, std::max(0, m_list->count() - 1)));
            return true;
        }
        if (key == Qt::Key_Return || key == Qt::Key_Enter) {
            accept();
            return true;
        }
    }
    return QDialog::eventFilter(watched, event);
}

} // namespace kvloupe
