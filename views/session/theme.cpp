// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/theme.h"

#include "views/session/settings.h"

#include <QApplication>
#include <QPainter>
#include <QProxyStyle>
#include <QStyleFactory>
#include <QStyleOption>
#include <QToolTip>

#include <utility>

namespace kvloupe {

namespace {

constexpr std::array<std::string_view, allThemes.size()> names{"system", "light", "dark"};

struct Shades {
    QColor window, base, alternate, button, text, placeholder, disabled, mid, highlight, highlightedText, link;
};

QPalette paletteOf(const Shades& shades)
{
    QPalette palette(shades.button, shades.window);
    palette.setColor(QPalette::Window, shades.window);
    palette.setColor(QPalette::Base, shades.base);
    palette.setColor(QPalette::AlternateBase, shades.alternate);
    palette.setColor(QPalette::ToolTipBase, shades.alternate);
    palette.setColor(QPalette::Button, shades.button);
    palette.setColor(QPalette::Mid, shades.mid);
    palette.setColor(QPalette::Highlight, shades.highlight);
    palette.setColor(QPalette::HighlightedText, shades.highlightedText);
    palette.setColor(QPalette::Link, shades.link);
    palette.setColor(QPalette::LinkVisited, shades.link);
    palette.setColor(QPalette::PlaceholderText, shades.placeholder);
    for (const QPalette::ColorRole role :
        {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::ToolTipText, QPalette::BrightText}) {
        palette.setColor(role, shades.text);
        palette.setColor(QPalette::Disabled, role, shades.disabled);
    }
    palette.setColor(QPalette::Disabled, QPalette::Highlight, shades.mid);
    palette.setColor(QPalette::Disabled, QPalette::HighlightedText, shades.disabled);
    return palette;
}

/// Fusion with boxes to tick that can be seen on dark ground: it frames them in a darker shade of the window, which
/// there is none of.
class FramedFusion final : public QProxyStyle {
public:
    FramedFusion()
        : QProxyStyle(QStringLiteral("Fusion"))
    {
    }

    void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
        const QWidget* widget = nullptr) const override
    {
        QProxyStyle::drawPrimitive(element, option, painter, widget);
        if (element != PE_IndicatorCheckBox && element != PE_IndicatorItemViewItemCheck)
            return;
        const QPen before = painter->pen();
        painter->setPen(option->palette.color(QPalette::PlaceholderText));
        painter->drawRect(option->rect.adjusted(0, 0, -1, -1));
        painter->setPen(before);
    }
};

} // namespace

std::string_view themeName(Theme theme)
{
    return names[static_cast<std::size_t>(theme)];
}

std::optional<Theme> themeFromName(std::string_view name)
{
    for (const Theme theme : allThemes) {
        if (themeName(theme) == name)
            return theme;
    }
    return std::nullopt;
}

QPalette themePalette(Theme theme)
{
    if (theme == Theme::Dark)
        return paletteOf({.window = QColor(0x2B, 0x2B, 0x2B),
            .base = QColor(0x1E, 0x1E, 0x1E),
            .alternate = QColor(0x26, 0x26, 0x26),
            .button = QColor(0x38, 0x38, 0x38),
            .text = QColor(0xE4, 0xE4, 0xE4),
            .placeholder = QColor(0x9A, 0x9A, 0x9A),
            .disabled = QColor(0x80, 0x80, 0x80),
            .mid = QColor(0x5A, 0x5A, 0x5A),
            .highlight = QColor(0x2F, 0x6E, 0xA8),
            .highlightedText = Qt::white,
            .link = QColor(0x6C, 0xB4, 0xF0)});
    return paletteOf({.window = QColor(0xF2, 0xF2, 0xF2),
        .base = Qt::white,
        .alternate = QColor(0xF7, 0xF7, 0xF7),
        .button = QColor(0xE8, 0xE8, 0xE8),
        .text = QColor(0x1A, 0x1A, 0x1A),
        .placeholder = QColor(0x70, 0x70, 0x70),
        .disabled = QColor(0x9A, 0x9A, 0x9A),
        .mid = QColor(0xB4, 0xB4, 0xB4),
        .highlight = QColor(0x2A, 0x72, 0xB5),
        .highlightedText = Qt::white,
        .link = QColor(0x0B, 0x5C, 0xAD)});
}

ThemeSwitch::ThemeSwitch(Settings* settings, QObject* parent)
    : QObject(parent)
    , m_systemStyle(QApplication::style()->name())
{
    connect(settings, &Settings::themeChanged, this, [this, settings] { wear(settings->theme()); });
    wear(settings->theme());
}

ThemeSwitch::~ThemeSwitch()
{
    wear(Theme::System);
}

void ThemeSwitch::wear(Theme theme)
{
    if (std::exchange(m_worn, theme) == theme)
        return;
    // Only Fusion draws every control in the colours of a palette; a desktop's own style mixes in its own.
    const bool isSystem = theme == Theme::System;
    QApplication::setStyle(isSystem ? QStyleFactory::create(m_systemStyle) : new FramedFusion);
    const QPalette palette = isSystem ? QPalette() : themePalette(theme);
    QApplication::setPalette(palette);
    QToolTip::setPalette(palette);
}

} // namespace kvloupe
