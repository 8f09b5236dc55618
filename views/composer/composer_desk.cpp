// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/composer_desk.h"

#include <QAction>
#include <QMainWindow>

#include <algorithm>
#include <utility>

namespace kvloupe {

ComposerDesk::ComposerDesk(Settings* settings, QMainWindow* window)
    : QObject(window)
    , m_settings(settings)
    , m_window(window)
    , m_show(new QAction(tr("&Figure of Several Panels..."), this))
    , m_add(new QAction(tr("&Add to Figure"), this))
{
    m_show->setShortcut(QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_G));
    m_add->setShortcut(QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_E));
    m_add->setToolTip(tr("Add what the view in use shows to the figure of several panels"));
    connect(m_show, &QAction::triggered, this, &ComposerDesk::show);
    connect(m_add, &QAction::triggered, this, &ComposerDesk::addCurrent);
}

void ComposerDesk::setOffers(std::vector<FigureOffer> offers)
{
    m_offers = std::move(offers);
    if (m_composer)
        m_composer->setOffers(m_offers);
}

ComposerWindow* ComposerDesk::composer()
{
    if (!m_composer) {
        m_composer = new ComposerWindow(m_settings, m_window);
        m_composer->setOffers(m_offers);
        connect(m_composer, &ComposerWindow::figureSaved, this, &ComposerDesk::figureSaved);
    }
    return m_composer;
}

void ComposerDesk::show()
{
    composer()->show();
    composer()->raise();
    composer()->activateWindow();
}

void ComposerDesk::addCurrent()
{
    if (m_offers.empty())
        return;
    const QWidget* focused = m_window->focusWidget();
    const auto inUse = std::ranges::find_if(m_offers, [focused](const FigureOffer& offer) {
        return focused && offer.view && (offer.view == focused || offer.view->isAncestorOf(focused));
    });
    // The composer stays behind: more may be added before it is looked at.
    composer()->add(inUse == m_offers.end() ? m_offers.front() : *inUse);
    if (!composer()->isVisible())
        composer()->show();
}

} // namespace kvloupe
