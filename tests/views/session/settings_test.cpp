// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/sample_builder.h"
#include "tests/views/widget_test.h"
#include "views/session/settings.h"
#include "views/session/status_text.h"

#include <QSignalSpy>

namespace kvloupe {
namespace {

class SettingsTest : public WidgetTest { };

TEST_F(SettingsTest, RemembersWhatWasSet)
{
    MapStyle style;
    style.colorMap = ColorMap::Cividis;
    style.scale = ColorScale::SquareRoot;
    style.pooling = Pooling::Mean;
    style.range = {0.001, 0.5};
    style.showTokens = false;
    {
        Settings settings(&this->settings());
        settings.setMapStyle(style);
        settings.setKeepPermille(125);
        settings.setTheme(Theme::Dark);
        settings.setMethods({QStringLiteral("snapkv:window=16"), QStringLiteral("-h2o")});
        settings.addRecentFile(QStringLiteral("/a.h5"));
        settings.addRecentFile(QStringLiteral("/b.h5"));
        settings.addRecentFile(QStringLiteral("/a.h5"));
    }
    const Settings settings(&this->settings());
    EXPECT_EQ(settings.mapStyle(), style);
    EXPECT_EQ(settings.keepPermille(), 125);
    EXPECT_EQ(settings.theme(), Theme::Dark);
    EXPECT_EQ(settings.methods(), QStringList({QStringLiteral("snapkv:window=16"), QStringLiteral("-h2o")}));
    EXPECT_EQ(settings.recentFiles(), QStringList({QStringLiteral("/a.h5"), QStringLiteral("/b.h5")}));
}

TEST_F(SettingsTest, TakesDefaultsForDamagedValues)
{
    settings().setValue(QStringLiteral("map/colormap"), QStringLiteral("jet"));
    settings().setValue(QStringLiteral("map/low"), 3.0);
    settings().setValue(QStringLiteral("methods/keep_permille"), -7);
    settings().setValue(QStringLiteral("window/theme"), QStringLiteral("pink"));
    const Settings read(&settings());
    EXPECT_EQ(read.mapStyle(), MapStyle());
    EXPECT_EQ(read.keepPermille(), 300);
    EXPECT_EQ(read.theme(), Theme::System);
}

TEST_F(SettingsTest, RemembersTenFiles)
{
    Settings settings(nullptr);
    for (int number = 0; number < 15; ++number)
        settings.addRecentFile(QStringLiteral("/%1.h5").arg(number));
    EXPECT_EQ(settings.recentFiles().size(), 10);
    EXPECT_EQ(settings.recentFiles().front(), QStringLiteral("/14.h5"));
    QSignalSpy changed(&settings, &Settings::recentFilesChanged);
    settings.clearRecentFiles();
    settings.clearRecentFiles();
    EXPECT_EQ(changed.count(), 1);
}

TEST(StatusText, SaysWhatIsUnderTheCursor)
{
    const TokenText text(sampleOf({"<s>", "The", " cat", "\n"})->text);
    CellStatus status;
    EXPECT_EQ(statusText(status, text), QString());
    status.layer = 12;
    status.head = 7;
    EXPECT_EQ(statusText(status, text), QStringLiteral("layer 12 head 7"));
    status.query = 3;
    status.key = 0;
    status.value = 0.61324F;
    status.exact = true;
    status.pooling = QStringLiteral("max of 8 x 8");
    status.methods = {{QStringLiteral("SnapKV"), true}, {QStringLiteral("H2O"), false}};
    EXPECT_EQ(statusText(status, text),
        QStringLiteral(
            "layer 12 head 7 | q 3 \"\u23CE\" | k 0 \"<s>\" | a = 0.6132 | max of 8 x 8 | SnapKV keeps, H2O drops"));
    status.facts.rank = 2;
    status.facts.visible = 4;
    status.facts.block = BlockFacts{0.75F, 0.125F, 0.0F, 2, 1, 10};
    status.methods.clear();
    status.pinned = true;
    EXPECT_EQ(statusText(status, text),
        QStringLiteral(
            "layer 12 head 7 | q 3 \"\u23CE\" | k 0 \"<s>\" | a = 0.6132 | rank 2 of 4 in its row | max of 8 "
            "x 8: max 0.75 at q 2 k 1, mean 0.125, min 0 | held"));
    status.exact = false;
    EXPECT_TRUE(statusText(status, text).contains(QStringLiteral("a \u2248 0.6132")));
    status.query = 0;
    status.key = 2;
    EXPECT_TRUE(statusText(status, text).contains(QStringLiteral("not visible to this query")));
}

} // namespace
} // namespace kvloupe
