// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/composer/composer_window.h"

#include <QObject>

#include <vector>

class QAction;
class QMainWindow;

namespace kvloupe {

/// Where a main window's figures are put together: its composer, made when it is first wanted, and the commands that
/// lead there.
class ComposerDesk final : public QObject {
    Q_OBJECT

public:
    /// `settings` outlives this object; `window` owns it and the composer.
    ComposerDesk(Settings* settings, QMainWindow* window);

    /// The first offer is what is meant when no view of another has the focus.
    void setOffers(std::vector<FigureOffer> offers);

    QAction* showAction() const { return m_show; }
    QAction* addAction() const { return m_add; }
    ComposerWindow* composer();

signals:
    void figureSaved(const QString& path);

private:
    void show();
    void addCurrent();

    Settings* m_settings;
    QMainWindow* m_window;
    std::vector<FigureOffer> m_offers;
    QAction* m_show;
    QAction* m_add;
    ComposerWindow* m_composer = nullptr;
};

} // namespace kvloupe
