// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/heat_map_view.h"
#include "views/session/theme.h"

#include <QDialog>

class QCheckBox;
class QComboBox;
class QLineEdit;
class QListWidget;
class QSpinBox;
class QStackedWidget;

namespace kvloupe {

class Settings;

/// What a person may prefer; every value can also be set where it acts.
struct Preferences {
    Theme theme = Theme::System;
    MapStyle mapStyle;
    int threads = 0; ///< 0 = all cores
    QString jobFolder;

    bool operator==(const Preferences&) const = default;

    static Preferences of(const Settings& settings);
    void applyTo(Settings& settings) const;
};

/// The preferences, by pages. Nothing changes before OK.
class PreferencesDialog final : public QDialog {
    Q_OBJECT

public:
    explicit PreferencesDialog(const Preferences& preferences, QWidget* parent = nullptr);

    Preferences preferences() const;
    QListWidget* pageList() const { return m_pages; }

private:
    void addPage(const QString& title, QWidget* page);
    QWidget* buildAppearance();
    QWidget* buildMap();
    QWidget* buildJobs();
    void showPreferences(const Preferences& preferences);

    Preferences m_base; ///< with the values that have no field
    QListWidget* m_pages;
    QStackedWidget* m_stack;
    QComboBox* m_theme = nullptr;
    QComboBox* m_colorMap = nullptr;
    QComboBox* m_scale = nullptr;
    QComboBox* m_pooling = nullptr;
    QCheckBox* m_tokens = nullptr;
    QCheckBox* m_spans = nullptr;
    QSpinBox* m_threads = nullptr;
    QLineEdit* m_folder = nullptr;
};

} // namespace kvloupe
