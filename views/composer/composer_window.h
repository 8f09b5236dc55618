// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/composer/composer_model.h"

#include <QString>
#include <QWidget>

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QLabel;
class QLineEdit;
class QMenu;
class QPushButton;
class QSpinBox;
class QTableView;
class QToolBar;

namespace kvloupe {

class PagePreview;
class PageWorker;
class Settings;

/// A figure that a view can give: what it shows now.
struct FigureOffer {
    QString name; ///< of the view, for a menu
    QWidget* view = nullptr; ///< what has the focus inside of it means this offer
    std::function<std::shared_ptr<const PanelSpec>()> make; ///< null if there is nothing to show
};

/// Puts figures of the views together on one page: panels with order, letter, title and width, the page's size, type
/// and lines, a preview by the code that writes the files, and the files.
///
/// A window of its own that stays open beside the others; every edit can be undone, and the page is remembered.
class ComposerWindow final : public QWidget {
    Q_OBJECT

public:
    /// `settings` outlives the window.
    explicit ComposerWindow(Settings* settings, QWidget* parent = nullptr);
    ~ComposerWindow() override;

    void setOffers(std::vector<FigureOffer> offers) { m_offers = std::move(offers); }
    /// Adds what an offer shows now; says why not, if it shows nothing.
    void add(const FigureOffer& offer);

    ComposerModel* model() const { return m_model; }
    QTableView* table() const { return m_table; }
    PagePreview* preview() const { return m_preview; }
    /// Nothing is on its way.
    bool isSettled() const;
    QString problem() const;

    void openPage(const std::filesystem::path& path);
    void savePage(const std::filesystem::path& path);
    /// `figureSaved` or a message in the window follows.
    void exportPage(const std::filesystem::path& path);
    /// `kvloupe figure PAGE.json --out ...` of the page as it was saved; empty if it was not.
    QString commandLine() const;

signals:
    void figureSaved(const QString& path);

protected:
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;

private:
    void buildToolBar();
    QWidget* buildForm();
    QWidget* buildEnd();
    void adoptPage();
    void takeForm(const QString& knob);
    void requestPreview();
    void say(const QString& message);
    void moveCurrent(int by);
    void chooseOpen();
    void chooseSave();
    void chooseExport();

    Settings* m_settings;
    ComposerModel* m_model;
    PageWorker* m_worker;
    std::vector<FigureOffer> m_offers;
    std::filesystem::path m_path; ///< where the page was saved or opened
    QToolBar* m_toolBar;
    QMenu* m_addMenu = nullptr;
    QTableView* m_table;
    QComboBox* m_preset = nullptr;
    QDoubleSpinBox* m_width = nullptr;
    QSpinBox* m_columns = nullptr;
    QDoubleSpinBox* m_font = nullptr;
    QDoubleSpinBox* m_lineWidth = nullptr;
    QSpinBox* m_dpi = nullptr;
    QCheckBox* m_share = nullptr;
    QCheckBox* m_letters = nullptr;
    PagePreview* m_preview;
    QLabel* m_message;
    QLineEdit* m_command = nullptr;
    QPushButton* m_export = nullptr;
    QPushButton* m_save = nullptr;
};

} // namespace kvloupe
