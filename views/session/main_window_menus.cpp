// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/composer_desk.h"
#include "views/heads/head_wall.h"
#include "views/jobs/job_desk.h"
#include "views/map/map_comparison.h"
#include "views/map/map_grid.h"
#include "views/methods/method_model.h"
#include "views/methods/methods_panel.h"
#include "views/methods/replay_model.h"
#include "views/selection/selection_history.h"
#include "views/session/command_palette.h"
#include "views/session/error_bar.h"
#include "views/session/main_window.h"
#include "views/session/manual.h"
#include "views/session/map_page.h"
#include "views/session/map_tool_bar.h"
#include "views/session/preferences_dialog.h"
#include "views/session/sample_list.h"
#include "views/session/session.h"
#include "views/session/shortcut_sheet.h"
#include "views/tokens/token_panel.h"

#include <QActionGroup>
#include <QApplication>
#include <QClipboard>
#include <QFileDialog>
#include <QFileInfo>
#include <QLineEdit>
#include <QMenu>
#include <QMenuBar>
#include <QMessageBox>
#include <QPushButton>
#include <QSlider>
#include <QTreeView>

#include <array>

namespace kvloupe {

void MainWindow::buildMenus()
{
    QMenu* file = menuBar()->addMenu(tr("&File"));
    file->addAction(tr("&Open..."), QKeySequence::Open, this, &MainWindow::chooseAndOpen);
    file->addAction(tr("Open in New &Window..."), QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_O), this, [this] {
        if (const QString path = chosenFile(); !path.isEmpty())
            emit windowRequested(path);
    });
    file->addAction(tr("Open Folder of &Parts..."), this, &MainWindow::chooseFolder);
    m_recentMenu = file->addMenu(tr("Open &Recent"));
    m_recentMenu->setToolTipsVisible(true);
    m_reloadAction = file->addAction(tr("Re&load"), QKeySequence(Qt::Key_F5), m_recording, &OpenRecording::reload);
    m_reloadAction->setEnabled(false);
    file->addSeparator();
    file->addAction(tr("&Record..."), QKeySequence(Qt::CTRL | Qt::Key_R), m_jobDesk, &JobDesk::showRecordDialog);
    file->addAction(
        tr("E&valuate..."), QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_R), m_jobDesk, &JobDesk::showEvaluateDialog);
    file->addSeparator();
    m_exportAction = file->addAction(
        tr("&Export Figure..."), QKeySequence(Qt::CTRL | Qt::Key_E), this, &MainWindow::showExportDialog);
    m_exportAction->setEnabled(false);
    file->addActions({m_composerDesk->addAction(), m_composerDesk->showAction()});
    file->addSeparator();
    QAction* quit = file->addAction(tr("&Quit"), QKeySequence::Quit, qApp, &QApplication::closeAllWindows);
    quit->setMenuRole(QAction::QuitRole);
    connect(m_settings, &Settings::recentFilesChanged, this, &MainWindow::rebuildRecentMenu);
    rebuildRecentMenu();

    buildEditMenu();
    buildViewMenu();
    buildMethodActions(menuBar()->addMenu(tr("&Methods")));
    buildWindowMenu();
    buildHelpMenu();
}

void MainWindow::buildEditMenu()
{
    QMenu* edit = menuBar()->addMenu(tr("&Edit"));
    QAction* undo = m_session->undoStack()->createUndoAction(this, tr("&Undo"));
    undo->setShortcut(QKeySequence(Qt::CTRL | Qt::Key_Z));
    QAction* redo = m_session->undoStack()->createRedoAction(this, tr("&Redo"));
    redo->setShortcuts({QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_Z), QKeySequence(Qt::CTRL | Qt::Key_Y)});
    edit->addActions({undo, redo});
    edit->addSeparator();
    edit->addAction(tr("&Preferences..."), QKeySequence(Qt::CTRL | Qt::Key_Comma), this, &MainWindow::showPreferences)
        ->setMenuRole(QAction::PreferencesRole);
}

void MainWindow::buildViewMenu()
{
    QMenu* view = menuBar()->addMenu(tr("&View"));
    for (QDockWidget* dock : m_docks.all())
        view->addAction(dock->toggleViewAction());
    view->addSeparator();
    view->addAction(m_map->toolBar()->fitAction());
    view->addAction(m_map->toolBar()->tokensAction());
    view->addMenu(tr("&Maps Side by Side"))->addActions(m_map->grid()->menuActions());
    QMenu* compare = view->addMenu(tr("&Compare Maps"));
    for (QAction* action : m_map->comparison()->menuActions())
        compare->addAction(action);
    view->addSeparator();
    view->addAction(tr("&Find in the Prompt..."), QKeySequence::Find, this, [this] {
        m_docks.raise(QStringLiteral("textDock"));
        m_tokenPanel->openFindBar();
    });
    view->addAction(tr("Next &Panel"), QKeySequence(Qt::Key_F6), this, &MainWindow::focusNextPanel);
    view->addSeparator();
    view->addAction(m_selectionHistory->backAction());
    view->addAction(m_selectionHistory->forwardAction());
    view->addSeparator();
    buildThemeActions(view->addMenu(tr("T&heme")));
    view->addAction(tr("Restore &Default Layout"), this, &MainWindow::restoreDefaultLayout);
}

void MainWindow::buildThemeActions(QMenu* menu)
{
    static constexpr std::array<const char*, allThemes.size()> titles{
        QT_TR_NOOP("&As the Desktop"), QT_TR_NOOP("&Light"), QT_TR_NOOP("&Dark")};
    auto* group = new QActionGroup(menu);
    for (const Theme theme : allThemes) {
        QAction* action = menu->addAction(tr(titles[static_cast<std::size_t>(theme)]));
        action->setCheckable(true);
        group->addAction(action);
        connect(action, &QAction::triggered, this, [this, theme] { m_settings->setTheme(theme); });
        const auto check = [this, action, theme] { action->setChecked(m_settings->theme() == theme); };
        connect(m_settings, &Settings::themeChanged, action, check);
        check();
    }
}

void MainWindow::buildWindowMenu()
{
    m_windowMenu = menuBar()->addMenu(tr("&Window"));
    m_windowMenu->addAction(tr("&New Window"), QKeySequence::New, this, [this] { emit windowRequested(QString()); });
    m_windowMenu->addAction(tr("&Close Window"), QKeySequence(Qt::CTRL | Qt::Key_W), this, &QWidget::close);
    m_windowMenu->addSeparator();
}

void MainWindow::buildHelpMenu()
{
    QMenu* help = menuBar()->addMenu(tr("&Help"));
    help->addAction(tr("&Commands..."), QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_P), this, [this] {
        CommandPalette palette(commandsOf(*this), this);
        palette.exec();
    });
    help->addAction(tr("&Manual"), QKeySequence(Qt::SHIFT | Qt::Key_F1), this, [this] {
        Manual manual(this);
        manual.exec();
    });
    help->addAction(tr("&Keyboard and Mouse"), QKeySequence(Qt::Key_F1), this, &MainWindow::showShortcuts);
    help->addSeparator();
    help->addAction(tr("&About KVLoupe"), this, &MainWindow::showAbout)->setMenuRole(QAction::AboutRole);
    help->addAction(tr("About &Qt"), qApp, &QApplication::aboutQt)->setMenuRole(QAction::AboutQtRole);
}

void MainWindow::buildMethodActions(QMenu* menu)
{
    static constexpr int digits = 9;
    std::vector<QAction*> toggles;
    for (int row = 0; row < digits; ++row) {
        QAction* toggle = menu->addAction(QString());
        toggle->setCheckable(true);
        toggle->setShortcut(QKeySequence(Qt::Key_1 + row));
        connect(toggle, &QAction::triggered, this, [this, row] { m_methodsPanel->toggleMethod(row); });
        toggles.push_back(toggle);
    }
    const auto refresh = [this, toggles] {
        for (int row = 0; row < digits; ++row) {
            QAction* toggle = toggles[static_cast<std::size_t>(row)];
            const bool exists = row < m_methods->rowCount();
            toggle->setVisible(exists);
            toggle->setEnabled(exists);
            if (!exists)
                continue;
            const MethodModel::Entry& entry = m_methods->entries()[static_cast<std::size_t>(row)];
            toggle->setText(entry.title);
            toggle->setChecked(entry.shown);
        }
    };
    connect(m_methods, &MethodModel::methodsChanged, this, refresh);
    refresh();
    menu->addSeparator();
    menu->addAction(m_map->shadeAction());
    menu->addAction(m_map->lostAction());
    menu->addAction(tr("&Next Method in Front"), QKeySequence(Qt::Key_M), this, [this] {
        for (int step = 1; step <= m_methods->rowCount(); ++step) {
            const int row = (m_methods->current() + step) % m_methods->rowCount();
            if (m_methods->entries()[static_cast<std::size_t>(row)].shown) {
                m_methods->setCurrent(row);
                return;
            }
        }
    });
    const auto keepStep
        = [this](int permille) { m_selection->setKeepPermille(m_selection->keepPermille() + permille); };
    menu->addAction(tr("Keep &More"), QKeySequence(Qt::CTRL | Qt::Key_Up), this, [keepStep] { keepStep(10); });
    menu->addAction(tr("Keep &Less"), QKeySequence(Qt::CTRL | Qt::Key_Down), this, [keepStep] { keepStep(-10); });
    menu->addSeparator();
    menu->addAction(tr("&Add..."), QKeySequence(Qt::CTRL | Qt::Key_M), this, [this] {
        m_docks.raise(QStringLiteral("methodsDock"));
        m_methodsPanel->focusSpecLine();
    });
}

void MainWindow::rebuildRecentMenu()
{
    m_recentMenu->clear();
    const QStringList& files = m_settings->recentFiles();
    for (const QString& path : files) {
        QAction* action = m_recentMenu->addAction(QFileInfo(path).fileName());
        action->setToolTip(path);
        connect(action, &QAction::triggered, this, [this, path] { open(path.toStdString()); });
    }
    m_recentMenu->addSeparator();
    m_recentMenu->addAction(tr("&Clear"), m_settings, &Settings::clearRecentFiles);
    m_recentMenu->setEnabled(!files.isEmpty());
}

void MainWindow::chooseAndOpen()
{
    if (const QString path = chosenFile(); !path.isEmpty())
        open(path.toStdString());
}

QString MainWindow::chosenFile()
{
    const QString folder
        = m_settings->recentFiles().isEmpty() ? QString() : QFileInfo(m_settings->recentFiles().front()).absolutePath();
    return QFileDialog::getOpenFileName(this, tr("Open"), folder,
        tr("Recordings and results (*.h5 *.hdf5 *.jsonl);;Recordings (*.h5 *.hdf5);;Results (*.jsonl);;All files (*)"));
}

void MainWindow::chooseFolder()
{
    const QString path = QFileDialog::getExistingDirectory(this, tr("Open Recording That Is Still Being Made"));
    if (!path.isEmpty())
        open(path.toStdString());
}

void MainWindow::focusNextPanel()
{
    const std::array<QWidget*, 5> panels{
        heatMap(), m_sampleList, m_headWall, m_methodsPanel->keepSlider(), m_tokenPanel->view()};
    std::size_t current = panels.size() - 1;
    const QWidget* focused = focusWidget();
    for (std::size_t index = 0; index < panels.size(); ++index) {
        const QWidget* area = panels[index] == m_methodsPanel->keepSlider() ? m_methodsPanel : panels[index];
        if (focused && (focused == area || area->isAncestorOf(focused)))
            current = index;
    }
    for (std::size_t step = 1; step <= panels.size(); ++step) {
        QWidget* next = panels[(current + step) % panels.size()];
        if (next->isVisible()) {
            next->setFocus(Qt::ShortcutFocusReason);
            return;
        }
    }
}

void MainWindow::showPreferences()
{
    PreferencesDialog dialog(Preferences::of(*m_settings), this);
    if (dialog.exec() != QDialog::Accepted)
        return;
    dialog.preferences().applyTo(*m_settings);
    heatMap()->setMapStyle(m_settings->mapStyle());
}

void MainWindow::showShortcuts()
{
    ShortcutSheet sheet(this);
    sheet.exec();
}

void MainWindow::showAbout()
{
    const QString versions = aboutText();
    QMessageBox box(QMessageBox::NoIcon, tr("About KVLoupe"), tr("Shows what KV-cache compression throws away."),
        QMessageBox::Close, this);
    box.setInformativeText(versions);
    box.setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    QPushButton* copy = box.addButton(tr("&Copy"), QMessageBox::ActionRole);
    // The button copies and leaves the box open.
    copy->disconnect();
    connect(copy, &QPushButton::clicked, &box, [versions] { QApplication::clipboard()->setText(versions); });
    box.exec();
}

} // namespace kvloupe
