// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QObject>
#include <QPalette>
#include <QString>

#include <array>
#include <optional>
#include <string_view>

namespace kvloupe {

class Settings;

enum class Theme { System, Light, Dark };
inline constexpr std::array allThemes{Theme::System, Theme::Light, Theme::Dark};

/// As settings spell it.
std::string_view themeName(Theme theme);
std::optional<Theme> themeFromName(std::string_view name);

/// Palette of the light or the dark theme; System has none of its own and gets the light one.
QPalette themePalette(Theme theme);

/// Dresses the application as the settings say, now and whenever they change. System is what the application wore when
/// this object was made, and what it wears again afterwards.
class ThemeSwitch final : public QObject {
    Q_OBJECT

public:
    /// `settings` outlives this object. Needs a QApplication.
    explicit ThemeSwitch(Settings* settings, QObject* parent = nullptr);
    ~ThemeSwitch() override;

    /// Another theme than that of the settings, until they change.
    void wear(Theme theme);

private:
    QString m_systemStyle;
    Theme m_worn = Theme::System;
};

} // namespace kvloupe
