// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/widget_test.h"
#include "views/session/preferences_dialog.h"
#include "views/session/settings.h"

#include <QComboBox>
#include <QDialogButtonBox>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QSpinBox>
#include <QTest>

namespace kvloupe {
namespace {

Preferences unusual()
{
    Preferences preferences;
    preferences.theme = Theme::Dark;
    preferences.mapStyle.colorMap = ColorMap::Cividis;
    preferences.mapStyle.scale = ColorScale::Linear;
    preferences.mapStyle.range = {0.25, 0.5};
    preferences.mapStyle.pooling = Pooling::Mean;
    preferences.mapStyle.showTokens = false;
    preferences.mapStyle.showSpans = false;
    preferences.threads = 3;
    preferences.jobFolder = QStringLiteral("/data");
    return preferences;
}

class PreferencesTest : public WidgetTest { };

TEST_F(PreferencesTest, SurviveTheDialogAndTheSettings)
{
    EXPECT_EQ(PreferencesDialog(unusual()).preferences(), unusual());
    {
        Settings written(&settings());
        unusual().applyTo(written);
    }
    const Settings read(&settings());
    EXPECT_EQ(Preferences::of(read), unusual());
}

TEST_F(PreferencesTest, PagesAreReachedByKeyboardAndEdited)
{
    PreferencesDialog dialog{Preferences()};
    showAndWait(dialog, 620, 360);
    auto* theme = dialog.findChild<QComboBox*>(QStringLiteral("preferTheme"));
    EXPECT_TRUE(theme->isVisible());
    theme->setFocus();
    QTest::keyClick(theme, Qt::Key_End);
    dialog.pageList()->setFocus();
    QTest::keyClick(dialog.pageList(), Qt::Key_End);
    auto* threads = dialog.findChild<QSpinBox*>(QStringLiteral("preferThreads"));
    EXPECT_FALSE(theme->isVisible());
    ASSERT_TRUE(threads->isVisible());
    threads->setFocus();
    QTest::keyClick(threads, Qt::Key_Up);
    QTest::keyClicks(dialog.findChild<QLineEdit*>(QStringLiteral("preferFolder")), QStringLiteral("/data"));
    Preferences expected;
    expected.theme = Theme::Dark;
    expected.threads = 1;
    expected.jobFolder = QStringLiteral("/data");
    EXPECT_EQ(dialog.preferences(), expected);
}

TEST_F(PreferencesTest, ResetFillsInWhatANewInstallationHas)
{
    PreferencesDialog dialog(unusual());
    showAndWait(dialog, 620, 360);
    QTest::mouseClick(dialog.findChild<QDialogButtonBox*>()->button(QDialogButtonBox::RestoreDefaults), Qt::LeftButton);
    EXPECT_EQ(dialog.preferences(), Preferences());
    EXPECT_EQ(dialog.preferences().mapStyle.range, MapStyle().range);
}

} // namespace
} // namespace kvloupe
