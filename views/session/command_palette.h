// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QDialog>
#include <QPointer>
#include <QString>
#include <QStringList>

#include <vector>

class QAction;
class QLineEdit;
class QListWidget;

namespace kvloupe {

/// One command as the palette lists it.
struct PaletteCommand {
    QString title; ///< "View: Text", without mnemonics
    QString keys; ///< "Alt+4", empty without a shortcut
    QPointer<QAction> action;
};

/// Commands of the menus of `window` that can be given now, in the order of the menus.
std::vector<PaletteCommand> commandsOf(const QWidget& window);
/// Whether every word of `filter` is found in the title, upper and lower case alike.
bool matchesFilter(const PaletteCommand& command, const QString& filter);

/// Every command of the window, found by a few letters: type, choose with the arrows, Enter gives it. Esc closes.
class CommandPalette final : public QDialog {
    Q_OBJECT

public:
    explicit CommandPalette(std::vector<PaletteCommand> commands, QWidget* parent = nullptr);

    QLineEdit* filterLine() const { return m_filter; }
    QStringList titlesOnShow() const;

    /// Triggers the chosen command, once the palette is closed.
    void accept() override;

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void refresh();

    std::vector<PaletteCommand> m_commands;
    QLineEdit* m_filter;
    QListWidget* m_list;
};

} // namespace kvloupe
