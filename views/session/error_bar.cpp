// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/error_bar.h"

#include <QApplication>
#include <QClipboard>
#include <QEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QStyle>

namespace kvloupe {

namespace {

constexpr int mostLines = 4;

}

ErrorBar::ErrorBar(QWidget* parent)
    : QFrame(parent)
    , m_text(new QLabel(this))
    , m_offer(new QPushButton(this))
{
    setAutoFillBackground(true);
    setFrameShape(QFrame::NoFrame);
    setAccessibleName(tr("Problems"));
    auto* icon = new QLabel(this);
    const int size = style()->pixelMetric(QStyle::PM_SmallIconSize);
    icon->setPixmap(style()->standardIcon(QStyle::SP_MessageBoxWarning).pixmap(size, size));
    m_text->setTextFormat(Qt::PlainText);
    m_text->setWordWrap(true);
    m_text->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_text->setAccessibleName(tr("Problem"));
    m_text->setObjectName(QStringLiteral("errorText"));
    auto* copy = new QPushButton(tr("Copy"), this);
    copy->setObjectName(QStringLiteral("errorCopy"));
    auto* close = new QPushButton(tr("Close"), this);
    close->setObjectName(QStringLiteral("errorClose"));
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(8, 4, 8, 4);
    row->addWidget(icon, 0, Qt::AlignTop);
    row->addWidget(m_text, 1);
    m_offer->setObjectName(QStringLiteral("errorOffer"));
    m_offer->setAccessibleName(tr("Do something about it"));
    m_offer->hide();
    row->addWidget(m_offer, 0, Qt::AlignTop);
    row->addWidget(copy, 0, Qt::AlignTop);
    row->addWidget(close, 0, Qt::AlignTop);
    connect(copy, &QPushButton::clicked, this, [this] { QApplication::clipboard()->setText(message()); });
    connect(m_offer, &QPushButton::clicked, this, [this] {
        const std::function<void()> action = m_action;
        dismiss();
        action();
    });
    connect(close, &QPushButton::clicked, this, &ErrorBar::dismiss);
    updateColors();
    hide();
}

void ErrorBar::offer(const QString& message, const QString& buttonText, std::function<void()> action)
{
    showMessage(message);
    m_offer->setText(buttonText);
    m_offer->setAccessibleName(buttonText);
    m_action = std::move(action);
    m_offer->show();
}

void ErrorBar::withdrawOffer()
{
    m_offer->hide();
    m_action = {};
}

void ErrorBar::showMessage(const QString& message)
{
    withdrawOffer();
    QStringList lines = m_text->text().split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    if (!lines.contains(message))
        lines << message;
    m_text->setText(lines.mid(std::max<qsizetype>(0, lines.size() - mostLines)).join(QLatin1Char('\n')));
    setAccessibleDescription(m_text->text());
    show();
}

QString ErrorBar::message() const
{
    return m_text->text();
}

void ErrorBar::dismiss()
{
    m_text->clear();
    withdrawOffer();
    hide();
}

void ErrorBar::changeEvent(QEvent* event)
{
    QFrame::changeEvent(event);
    if (event->type() == QEvent::StyleChange || event->type() == QEvent::ApplicationPaletteChange)
        updateColors();
}

void ErrorBar::updateColors()
{
    const bool dark = QApplication::palette().color(QPalette::Window).lightness() < 128;
    QPalette colors = QApplication::palette();
    colors.setColor(QPalette::Window, dark ? QColor(0x4A, 0x26, 0x1E) : QColor(0xFD, 0xE7, 0xDF));
    colors.setColor(QPalette::WindowText, dark ? QColor(0xFF, 0xDD, 0xD2) : QColor(0x5A, 0x1E, 0x10));
    setPalette(colors);
}

} // namespace kvloupe
