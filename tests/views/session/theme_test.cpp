// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/theme.h"

#include "tests/views/widget_test.h"
#include "views/session/settings.h"

#include <QApplication>
#include <QCheckBox>

#include <algorithm>
#include <cmath>

namespace kvloupe {
namespace {

class ThemeTest : public WidgetTest {
protected:
    /// Contrast of two colours as WCAG 2.1 defines it, 1 to 21.
    static double contrast(const QColor& a, const QColor& b)
    {
        const auto luminance = [](const QColor& color) {
            const auto linear = [](double value) {
                return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
            };
            return 0.2126 * linear(color.redF()) + 0.7152 * linear(color.greenF()) + 0.0722 * linear(color.blueF());
        };
        const double high = std::max(luminance(a), luminance(b));
        const double low = std::min(luminance(a), luminance(b));
        return (high + 0.05) / (low + 0.05);
    }
};

TEST_F(ThemeTest, NamesAreReadAsTheyAreWritten)
{
    for (const Theme theme : allThemes)
        EXPECT_EQ(themeFromName(themeName(theme)), theme);
    EXPECT_EQ(themeFromName("pink"), std::nullopt);
}

TEST_F(ThemeTest, TextStandsOutInBothThemes)
{
    for (const Theme theme : {Theme::Light, Theme::Dark}) {
        const QPalette palette = themePalette(theme);
        const auto between = [&](QPalette::ColorRole text, QPalette::ColorRole ground) {
            return contrast(palette.color(text), palette.color(ground));
        };
        EXPECT_GT(between(QPalette::Text, QPalette::Base), 7.0);
        EXPECT_GT(between(QPalette::Text, QPalette::AlternateBase), 7.0);
        EXPECT_GT(between(QPalette::WindowText, QPalette::Window), 7.0);
        EXPECT_GT(between(QPalette::ButtonText, QPalette::Button), 7.0);
        EXPECT_GT(between(QPalette::ToolTipText, QPalette::ToolTipBase), 7.0);
        EXPECT_GT(between(QPalette::HighlightedText, QPalette::Highlight), 4.5);
        EXPECT_GT(between(QPalette::PlaceholderText, QPalette::Base), 4.5);
        EXPECT_GT(between(QPalette::Link, QPalette::Base), 4.5);
    }
}

TEST_F(ThemeTest, ABoxToTickIsSeenOnDarkGround)
{
    Settings settings(nullptr);
    settings.setTheme(Theme::Dark);
    const ThemeSwitch theme(&settings);
    QCheckBox box(QStringLiteral("shown"));
    showAndWait(box, 120, 40);
    const QImage picture = box.grab().toImage();
    const QColor ground = QApplication::palette().color(QPalette::Window);
    double most = 0.0;
    for (int x = 0; x < 20; ++x) // the frame, without the text
        most = std::max(most, contrast(picture.pixelColor(x, picture.height() / 2), ground));
    EXPECT_GT(most, 3.0) << "WCAG 2.1, 1.4.11: controls";
}

TEST_F(ThemeTest, FollowsTheSettingsAndGivesTheDesktopItsOwnBack)
{
    const QPalette before = QApplication::palette();
    Settings settings(nullptr);
    {
        const ThemeSwitch theme(&settings);
        EXPECT_EQ(QApplication::palette(), before);
        settings.setTheme(Theme::Dark);
        EXPECT_LT(QApplication::palette().color(QPalette::Base).lightness(), 60);
        settings.setTheme(Theme::Light);
        EXPECT_GT(QApplication::palette().color(QPalette::Base).lightness(), 200);
        settings.setTheme(Theme::System);
        EXPECT_EQ(QApplication::palette().color(QPalette::Base), before.color(QPalette::Base));
        settings.setTheme(Theme::Dark);
    }
    EXPECT_EQ(QApplication::palette().color(QPalette::Base), before.color(QPalette::Base));
}

} // namespace
} // namespace kvloupe
