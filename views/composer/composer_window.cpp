// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/composer_window.h"

#include "views/composer/page_preview.h"
#include "views/composer/page_worker.h"
#include "views/figure/figure_command.h"
#include "views/figure/figure_spec.h"
#include "views/session/settings.h"

#include <QAction>
#include <QApplication>
#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QSplitter>
#include <QTableView>
#include <QToolBar>
#include <QToolButton>
#include <QVBoxLayout>

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace kvloupe {

namespace {

struct WidthPreset {
    const char* name;
    double millimetres;
};

/// Widths that journals and conferences ask for.
constexpr std::array widthPresets{WidthPreset{QT_TRANSLATE_NOOP("ComposerWindow", "One column, 84 mm"), 84.0},
    WidthPreset{QT_TRANSLATE_NOOP("ComposerWindow", "One and a half, 129 mm"), 129.0},
    WidthPreset{QT_TRANSLATE_NOOP("ComposerWindow", "Text of a page, 140 mm"), 140.0},
    WidthPreset{QT_TRANSLATE_NOOP("ComposerWindow", "Two columns, 174 mm"), 174.0}};

} // namespace

ComposerWindow::ComposerWindow(Settings* settings, QWidget* parent)
    : QWidget(parent, Qt::Window)
    , m_settings(settings)
    , m_model(new ComposerModel(this))
    , m_worker(new PageWorker(this))
    , m_toolBar(new QToolBar(this))
    , m_table(new QTableView(this))
    , m_preview(new PagePreview(this))
    , m_message(new QLabel(this))
{
    setWindowTitle(tr("Figure - KVLoupe"));
    setObjectName(QStringLiteral("composer"));
    m_table->setModel(m_model);
    m_table->setObjectName(QStringLiteral("composerPanels"));
    m_table->setAccessibleName(tr("Panels of the page"));
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setTabKeyNavigation(false);
    m_table->setWordWrap(false);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(m_table->fontMetrics().height() + 8);
    m_table->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    m_table->horizontalHeader()->setSectionResizeMode(ComposerModel::FigureColumn, QHeaderView::Stretch);
    m_table->horizontalHeader()->setSectionResizeMode(ComposerModel::TitleColumn, QHeaderView::Stretch);
    m_message->setWordWrap(true);
    m_message->setTextFormat(Qt::PlainText);
    m_message->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_message->setObjectName(QStringLiteral("composerMessage"));
    m_message->hide();

    buildToolBar();
    auto* left = new QWidget;
    auto* column = new QVBoxLayout(left);
    column->setContentsMargins(0, 0, 0, 0);
    column->addWidget(m_toolBar);
    column->addWidget(m_table, 1);
    column->addWidget(buildForm());
    auto* halves = new QSplitter(Qt::Horizontal);
    halves->addWidget(left);
    halves->addWidget(m_preview);
    halves->setStretchFactor(1, 1);
    halves->setChildrenCollapsible(false);
    auto* all = new QVBoxLayout(this);
    all->addWidget(halves, 1);
    all->addWidget(m_message);
    all->addWidget(buildEnd());
    resize(1180, 760);
    halves->setSizes({470, 710});

    connect(m_model, &ComposerModel::pageChanged, this, &ComposerWindow::adoptPage);
    connect(m_preview, &PagePreview::widthChanged, this, &ComposerWindow::requestPreview);
    connect(m_worker, &PageWorker::previewReady, this, [this](const QImage& picture) {
        m_preview->setPicture(picture);
        say({});
    });
    connect(m_worker, &PageWorker::previewFailed, this, &ComposerWindow::say);
    connect(m_worker, &PageWorker::failed, this, &ComposerWindow::say);
    connect(m_worker, &PageWorker::saved, this, [this](const QString& path) {
        say(tr("Wrote %1").arg(path));
        emit figureSaved(path);
    });
    if (const QString remembered = m_settings->figurePage(); !remembered.isEmpty()) {
        try {
            m_model->fromJson(remembered.toStdString(), {});
        } catch (const Error&) {
            // A page of another version: an empty one to begin with is no loss of work that could be used.
        }
    }
    adoptPage();
}

ComposerWindow::~ComposerWindow() = default;

void ComposerWindow::buildToolBar()
{
    m_addMenu = new QMenu(this);
    auto* add = new QToolButton;
    add->setText(tr("&Add"));
    add->setPopupMode(QToolButton::InstantPopup);
    add->setMenu(m_addMenu);
    add->setToolTip(tr("Add what a view shows now (Ctrl+Shift+E in the main window)"));
    add->setObjectName(QStringLiteral("composerAdd"));
    m_toolBar->addWidget(add);
    connect(m_addMenu, &QMenu::aboutToShow, this, [this] {
        m_addMenu->clear();
        for (const FigureOffer& offer : m_offers)
            m_addMenu->addAction(offer.name, this, [this, offer] { this->add(offer); });
    });
    const auto action = [this](const QString& text, const QKeySequence& keys, const QString& help, auto slot) {
        QAction* made = m_toolBar->addAction(text, this, slot);
        made->setShortcut(keys);
        made->setToolTip(QStringLiteral("%1 (%2)").arg(help, keys.toString(QKeySequence::NativeText)));
        return made;
    };
    action(tr("Up"), QKeySequence(Qt::ALT | Qt::Key_Up), tr("The panel changes places with the one before"),
        [this] { moveCurrent(-1); });
    action(tr("Down"), QKeySequence(Qt::ALT | Qt::Key_Down), tr("The panel changes places with the one after"),
        [this] { moveCurrent(1); });
    QAction* remove = action(tr("Remove"), QKeySequence(Qt::Key_Delete), tr("Take the panel off the page"),
        [this] { m_model->remove(m_table->currentIndex().row()); });
    // Elsewhere in the window the key deletes text.
    m_toolBar->removeAction(remove);
    m_table->addAction(remove);
    remove->setShortcutContext(Qt::WidgetShortcut);
    m_toolBar->addAction(remove);
    m_toolBar->addSeparator();
    QAction* undo = m_model->undoStack()->createUndoAction(this, tr("Undo"));
    undo->setShortcut(QKeySequence(Qt::CTRL | Qt::Key_Z));
    QAction* redo = m_model->undoStack()->createRedoAction(this, tr("Redo"));
    redo->setShortcuts({QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_Z), QKeySequence(Qt::CTRL | Qt::Key_Y)});
    m_toolBar->addActions({undo, redo});
    m_toolBar->addSeparator();
    action(tr("Refresh"), QKeySequence(Qt::Key_F5), tr("Read recordings and results again"),
        [this] { m_worker->refresh(); });
}

QWidget* ComposerWindow::buildForm()
{
    auto* widget = new QWidget;
    m_preset = new QComboBox;
    for (const WidthPreset& preset : widthPresets)
        m_preset->addItem(tr(preset.name), preset.millimetres);
    m_preset->addItem(tr("Another width"), 0.0);
    m_preset->setAccessibleName(tr("Width of a paper"));
    m_preset->setObjectName(QStringLiteral("composerPreset"));
    const auto real = [](double low, double high, double step, const QString& unit, const char* name) {
        auto* box = new QDoubleSpinBox;
        box->setRange(low, high);
        box->setDecimals(step < 0.1 ? 2 : 1);
        box->setSingleStep(step);
        box->setSuffix(unit);
        box->setKeyboardTracking(false);
        box->setObjectName(QString::fromUtf8(name));
        return box;
    };
    m_width = real(20.0, 2000.0, 1.0, tr(" mm"), "composerWidth");
    m_font = real(3.0, 72.0, 0.5, tr(" pt"), "composerFont");
    m_lineWidth = real(0.05, 10.0, 0.05, tr(" pt"), "composerLineWidth");
    m_lineWidth->setToolTip(tr("Of axes and frames; other lines in proportion"));
    m_columns = new QSpinBox;
    m_columns->setRange(1, 12);
    m_columns->setObjectName(QStringLiteral("composerColumns"));
    m_dpi = new QSpinBox;
    m_dpi->setRange(30, 2400);
    m_dpi->setSuffix(tr(" dpi"));
    m_dpi->setKeyboardTracking(false);
    m_dpi->setObjectName(QStringLiteral("composerDpi"));
    m_dpi->setToolTip(tr("Of maps, and of the whole page as PNG; text and axes are vectors in PDF and SVG"));
    m_share = new QCheckBox(tr("One &range for the same quantity"));
    m_share->setToolTip(
        tr("Panels with the same quantity in the same colours have one colour bar, charts one range of y"));
    m_share->setObjectName(QStringLiteral("composerShare"));
    m_letters = new QCheckBox(tr("&Letters (a), (b), ..."));
    m_letters->setObjectName(QStringLiteral("composerLetters"));

    auto* widths = new QHBoxLayout;
    widths->addWidget(m_preset, 1);
    widths->addWidget(m_width);
    auto* form = new QFormLayout(widget);
    form->setContentsMargins(0, 0, 0, 0);
    auto* widthLabel = new QLabel(tr("&Width"));
    widthLabel->setBuddy(m_width);
    form->addRow(widthLabel, widths);
    form->addRow(tr("&Columns"), m_columns);
    form->addRow(tr("&Font size"), m_font);
    form->addRow(tr("L&ine width"), m_lineWidth);
    form->addRow(tr("&Density"), m_dpi);
    form->addRow(m_share);
    form->addRow(m_letters);

    connect(m_preset, &QComboBox::activated, this, [this] {
        if (const double millimetres = m_preset->currentData().toDouble(); millimetres > 0.0)
            m_width->setValue(millimetres);
    });
    connect(m_width, &QDoubleSpinBox::valueChanged, this, [this] { takeForm(QStringLiteral("width")); });
    connect(m_font, &QDoubleSpinBox::valueChanged, this, [this] { takeForm(QStringLiteral("font")); });
    connect(m_lineWidth, &QDoubleSpinBox::valueChanged, this, [this] { takeForm(QStringLiteral("line width")); });
    connect(m_columns, &QSpinBox::valueChanged, this, [this] { takeForm(QStringLiteral("columns")); });
    connect(m_dpi, &QSpinBox::valueChanged, this, [this] { takeForm(QStringLiteral("dpi")); });
    connect(m_share, &QCheckBox::toggled, this, [this] { takeForm({}); });
    connect(m_letters, &QCheckBox::toggled, this, [this] { takeForm({}); });
    return widget;
}

QWidget* ComposerWindow::buildEnd()
{
    auto* widget = new QWidget;
    m_command = new QLineEdit;
    m_command->setReadOnly(true);
    m_command->setAccessibleName(tr("The same figure from the command line"));
    m_command->setPlaceholderText(tr("Save the page to make it from the command line"));
    m_command->setObjectName(QStringLiteral("composerCommand"));
    auto* copy = new QPushButton(tr("Cop&y"));
    copy->setToolTip(tr("Copy the command"));
    auto* open = new QPushButton(tr("&Open Page..."));
    m_save = new QPushButton(tr("&Save Page..."));
    m_export = new QPushButton(tr("&Export..."));
    m_export->setToolTip(tr("As PDF, SVG, PNG, CSV or a LaTeX snippet"));
    auto* row = new QHBoxLayout(widget);
    row->setContentsMargins(0, 0, 0, 0);
    row->addWidget(m_command, 1);
    for (QPushButton* button : {copy, open, m_save, m_export}) {
        button->setAutoDefault(false);
        row->addWidget(button);
    }
    connect(copy, &QPushButton::clicked, this, [this] { QApplication::clipboard()->setText(commandLine()); });
    connect(open, &QPushButton::clicked, this, &ComposerWindow::chooseOpen);
    connect(m_save, &QPushButton::clicked, this, &ComposerWindow::chooseSave);
    connect(m_export, &QPushButton::clicked, this, &ComposerWindow::chooseExport);
    return widget;
}

void ComposerWindow::add(const FigureOffer& offer)
{
    const std::shared_ptr<const PanelSpec> figure = offer.make();
    if (!figure) {
        say(tr("%1 shows nothing that could be added").arg(offer.name));
        return;
    }
    m_model->add(figure);
    m_table->selectRow(m_model->rowCount() - 1);
}

void ComposerWindow::adoptPage()
{
    const PageSpec& page = m_model->page();
    const auto show = [](auto* box, auto value) {
        const QSignalBlocker blocker(box);
        box->setValue(value);
    };
    show(m_width, page.widthMm);
    show(m_columns, page.columns);
    show(m_font, page.fontPoints);
    show(m_lineWidth, page.lineWidth);
    show(m_dpi, page.dpi);
    for (auto [box, value] : {std::pair(m_share, page.shareRange), std::pair(m_letters, page.letters)}) {
        const QSignalBlocker blocker(box);
        box->setChecked(value);
    }
    int preset = m_preset->count() - 1;
    for (int index = 0; index < m_preset->count(); ++index)
        if (m_preset->itemData(index).toDouble() == page.widthMm)
            preset = index;
    m_preset->setCurrentIndex(preset);
    m_command->setText(commandLine());
    m_command->setCursorPosition(0);
    m_export->setEnabled(!page.panels.empty());
    m_save->setEnabled(!page.panels.empty());
    m_settings->setFigurePage(page.panels.empty() ? QString() : QString::fromStdString(m_model->toJson()));
    requestPreview();
}

void ComposerWindow::takeForm(const QString& knob)
{
    PageSpec page = m_model->page();
    page.widthMm = m_width->value();
    page.columns = m_columns->value();
    page.fontPoints = m_font->value();
    page.lineWidth = m_lineWidth->value();
    page.dpi = m_dpi->value();
    page.shareRange = m_share->isChecked();
    page.letters = m_letters->isChecked();
    m_model->setSettings(page, knob);
}

void ComposerWindow::requestPreview()
{
    if (m_model->page().panels.empty()) {
        m_worker->cancelPreview();
        m_preview->setText(
            tr("Nothing on the page yet.\n\nCtrl+Shift+E in the main window adds what the view in use shows: "
               "the map, results, sparsity."));
        return;
    }
    if (isVisible())
        m_worker->preview(m_model->page(), m_preview->wantedPixels());
}

void ComposerWindow::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    requestPreview();
}

void ComposerWindow::hideEvent(QHideEvent* event)
{
    QWidget::hideEvent(event);
    m_worker->cancelPreview();
}

void ComposerWindow::say(const QString& message)
{
    m_message->setText(message);
    m_message->setVisible(!message.isEmpty());
}

QString ComposerWindow::problem() const
{
    return m_message->isHidden() ? QString() : m_message->text();
}

bool ComposerWindow::isSettled() const
{
    return !m_worker->isBusy();
}

void ComposerWindow::moveCurrent(int by)
{
    const QModelIndex current = m_table->currentIndex();
    if (m_model->move(current.row(), by))
        m_table->setCurrentIndex(m_model->index(current.row() + by, current.column()));
}

QString ComposerWindow::commandLine() const
{
    if (m_path.empty())
        return {};
    std::filesystem::path out = m_path;
    out.replace_extension(".pdf");
    return QString::fromStdString(
        fmt::format("kvloupe figure {} --out {}", shellWord(m_path.string()), shellWord(out.string())));
}

void ComposerWindow::openPage(const std::filesystem::path& path)
{
    try {
        m_model->open(path);
        m_path = std::filesystem::absolute(path);
        say({});
        adoptPage();
    } catch (const Error& error) {
        say(QString::fromUtf8(error.what()));
    }
}

void ComposerWindow::savePage(const std::filesystem::path& path)
{
    try {
        m_model->save(path);
        m_path = std::filesystem::absolute(path);
        m_command->setText(commandLine());
        say(tr("Wrote %1").arg(QString::fromStdString(path.string())));
    } catch (const Error& error) {
        say(QString::fromUtf8(error.what()));
    }
}

void ComposerWindow::exportPage(const std::filesystem::path& path)
{
    say(tr("Writing %1").arg(QString::fromStdString(path.filename().string())));
    m_worker->save(m_model->page(), path);
}

void ComposerWindow::chooseOpen()
{
    const QString path = QFileDialog::getOpenFileName(
        this, tr("Open Page"), m_settings->exportFolder(), tr("Pages of figures (*.json);;All files (*)"));
    if (!path.isEmpty())
        openPage(path.toStdString());
}

void ComposerWindow::chooseSave()
{
    QString path = QFileDialog::getSaveFileName(this, tr("Save Page"),
        m_path.empty() ? m_settings->exportFolder() + QStringLiteral("/figure.json")
                       : QString::fromStdString(m_path.string()),
        tr("Pages of figures (*.json)"));
    if (path.isEmpty())
        return;
    if (QFileInfo(path).suffix().isEmpty())
        path += QStringLiteral(".json");
    m_settings->setExportFolder(QFileInfo(path).absolutePath());
    savePage(path.toStdString());
}

void ComposerWindow::chooseExport()
{
    QString filter;
    const QString name
        = m_path.empty() ? QStringLiteral("figure.pdf") : QString::fromStdString(m_path.stem().string() + ".pdf");
    QString path = QFileDialog::getSaveFileName(this, tr("Export Figure"),
        m_settings->exportFolder().isEmpty() ? name : m_settings->exportFolder() + QLatin1Char('/') + name,
        tr("PDF (*.pdf);;SVG (*.svg);;PNG (*.png);;CSV, the numbers (*.csv);;LaTeX snippet (*.tex)"), &filter);
    if (path.isEmpty())
        return;
    if (QFileInfo(path).suffix().isEmpty())
        path += filter.mid(filter.indexOf(QLatin1String("*.")) + 1).chopped(1);
    m_settings->setExportFolder(QFileInfo(path).absolutePath());
    exportPage(path.toStdString());
}

} // namespace kvloupe
