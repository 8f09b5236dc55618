// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QSettings>
#include <QString>
#include <QStringList>
#include <QTemporaryDir>

#include <gtest/gtest.h>

#include <functional>
#include <memory>

class QWidget;

namespace kvloupe {

/// A test with widgets: one QApplication for the whole program on the offscreen platform.
///
/// Fails on any warning or critical message of Qt that was not expected, on top-level widgets that outlive the test,
/// and on events that keep the window's thread busy for more than 100 ms. Saves pictures of what is open when a test
/// fails. Link kvloupe_widget_test_main instead of GTest::gtest_main.
class WidgetTest : public testing::Test {
protected:
    WidgetTest();
    ~WidgetTest() override;
    void TearDown() override;

    /// Settings of this test alone.
    QSettings& settings() { return *m_settings; }
    QString temporaryPath(const QString& name) const { return m_directory.filePath(name); }

    /// The next messages that contain `part` are part of the test.
    void expectMessage(const QString& part) { m_expected.push_back(part); }

    /// For tests that do on the window's thread what programs do on others.
    void allowSlowEvents() { m_allowsSlowEvents = true; }

    /// Shows `widget` at a size and waits until it is painted.
    static void showAndWait(QWidget& widget, int width, int height);
    /// Runs the event loop until `condition` holds; false after `timeoutMs`.
    static bool waitFor(const std::function<bool()>& condition, int timeoutMs = 20'000);

private:
    QTemporaryDir m_directory;
    std::unique_ptr<QSettings> m_settings;
    QStringList m_expected;
    bool m_allowsSlowEvents = false;
};

} // namespace kvloupe
