// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/page_preview.h"

#include <QLabel>
#include <QPixmap>
#include <QResizeEvent>

#include <algorithm>

namespace kvloupe {

namespace {

constexpr int border = 12; ///< around the paper, so that its edges show

} // namespace

PagePreview::PagePreview(QWidget* parent)
    : QScrollArea(parent)
    , m_label(new QLabel)
{
    m_label->setAlignment(Qt::AlignHCenter | Qt::AlignTop);
    m_label->setWordWrap(true);
    m_label->setTextFormat(Qt::PlainText);
    m_label->setContentsMargins(border, border, border, border);
    m_label->setAccessibleName(tr("Preview of the page"));
    setWidget(m_label);
    setWidgetResizable(true);
    setBackgroundRole(QPalette::Mid);
    // Always there, so that a page that gets a little higher is not made for another width.
    setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOn);
    setMinimumWidth(320);
}

void PagePreview::setPicture(const QImage& picture)
{
    QPixmap pixmap = QPixmap::fromImage(picture);
    pixmap.setDevicePixelRatio(devicePixelRatioF());
    m_label->setPixmap(pixmap);
}

void PagePreview::setText(const QString& text)
{
    m_label->setText(text);
}

int PagePreview::wantedPixels() const
{
    return std::max(200, static_cast<int>((viewport()->width() - 2 * border) * devicePixelRatioF()));
}

bool PagePreview::hasPicture() const
{
    return !m_label->pixmap(Qt::ReturnByValue).isNull();
}

void PagePreview::resizeEvent(QResizeEvent* event)
{
    QScrollArea::resizeEvent(event);
    if (event->size().width() != event->oldSize().width())
        emit widthChanged();
}

} // namespace kvloupe
