// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/methods_panel.h"

#include "core/methods/method_registry.h"
#include "views/methods/parameter_form.h"

#include <QCompleter>
#include <QDoubleSpinBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QProgressBar>
#include <QPushButton>
#include <QScrollArea>
#include <QSignalBlocker>
#include <QSlider>
#include <QSplitter>
#include <QTreeView>
#include <QVBoxLayout>

#include <array>
#include <cmath>

namespace kvloupe {

namespace {

QStringList knownSpecs()
{
    QStringList specs;
    for (const MethodInfo& info : methodRegistry()) {
        const QString name = QString::fromStdString(info.name);
        specs << (info.takesPath ? name + QLatin1Char(':') : name);
        for (const PresetInfo& preset : info.presets)
            specs << name + QLatin1Char('@') + QString::fromStdString(preset.name);
    }
    return specs;
}

} // namespace

MethodsPanel::MethodsPanel(MethodModel* methods, ReplayModel* replay, Selection* selection, QWidget* parent)
    : QWidget(parent)
    , m_methods(methods)
    , m_replay(replay)
    , m_selection(selection)
    , m_slider(new QSlider(Qt::Horizontal, this))
    , m_percent(new QDoubleSpinBox(this))
    , m_tokens(new QLabel(this))
    , m_table(new QTreeView(this))
    , m_spec(new QLineEdit(this))
    , m_problem(new QLabel(this))
    , m_progress(new QProgressBar(this))
{
    m_slider->setRange(1, 100);
    m_slider->setPageStep(10);
    m_slider->setAccessibleName(tr("Share of the prompt that is kept, percent"));
    m_slider->setObjectName(QStringLiteral("keepSlider"));
    m_percent->setRange(0.1, 100.0);
    m_percent->setDecimals(1);
    m_percent->setSingleStep(1.0);
    m_percent->setSuffix(tr(" %"));
    m_percent->setKeyboardTracking(false);
    m_percent->setAccessibleName(tr("Share of the prompt that is kept, percent, to a tenth"));
    m_percent->setObjectName(QStringLiteral("keepPercent"));
    auto* keepLabel = new QLabel(tr("&Keep"), this);
    keepLabel->setBuddy(m_slider);
    m_tokens->setObjectName(QStringLiteral("keepTokens"));
    auto* keepRow = new QHBoxLayout;
    keepRow->addWidget(keepLabel);
    keepRow->addWidget(m_slider, 1);
    keepRow->addWidget(m_percent);

    m_table->setModel(m_methods);
    m_table->setRootIsDecorated(false);
    m_table->setUniformRowHeights(true);
    m_table->setAllColumnsShowFocus(true);
    m_table->setAlternatingRowColors(true);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setTextElideMode(Qt::ElideRight);
    m_table->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_table->setTabKeyNavigation(false);
    m_table->setAccessibleName(tr("Methods"));
    m_table->setAccessibleDescription(tr("Space shows or hides a method, Delete removes it"));
    m_table->setObjectName(QStringLiteral("methodTable"));
    m_table->header()->setStretchLastSection(false);
    m_table->header()->setMinimumSectionSize(40);
    m_table->installEventFilter(this);

    m_spec->setPlaceholderText(tr("Add: snapkv@kvpress:window=64"));
    m_spec->setClearButtonEnabled(true);
    m_spec->setAccessibleName(tr("Method to add"));
    m_spec->setToolTip(tr("name[@preset][:parameter=value,...]"));
    m_spec->setObjectName(QStringLiteral("methodSpec"));
    auto* completer = new QCompleter(knownSpecs(), m_spec);
    completer->setFilterMode(Qt::MatchContains);
    m_spec->setCompleter(completer);
    auto* add = new QPushButton(tr("&Add"), this);
    auto* remove = new QPushButton(tr("Re&move"), this);
    remove->setToolTip(tr("Removes the current method from the list (Delete)"));
    m_problem->setWordWrap(true);
    m_problem->setTextFormat(Qt::PlainText);
    m_problem->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_problem->setObjectName(QStringLiteral("specProblem"));
    m_problem->setAccessibleName(tr("What is wrong with the method"));
    m_problem->hide();
    auto* addRow = new QHBoxLayout;
    addRow->addWidget(m_spec, 1);
    addRow->addWidget(add);
    addRow->addWidget(remove);

    m_progress->setTextVisible(true);
    m_progress->setFormat(tr("scoring layer %v of %m"));
    m_progress->setObjectName(QStringLiteral("replayProgress"));
    QSizePolicy policy = m_progress->sizePolicy();
    policy.setRetainSizeWhenHidden(false);
    m_progress->setSizePolicy(policy);
    m_progress->setMaximumHeight(m_progress->fontMetrics().height() + 4);
    m_progress->hide();

    m_form = new ParameterForm(m_methods);
    auto* scroll = new QScrollArea;
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setWidget(m_form);
    auto* split = new QSplitter(Qt::Vertical, this);
    split->setChildrenCollapsible(false);
    split->addWidget(m_table);
    split->addWidget(scroll);
    split->setStretchFactor(0, 1);
    split->setStretchFactor(1, 1);

    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(8, 8, 8, 8);
    column->addLayout(keepRow);
    column->addWidget(m_tokens);
    column->addWidget(split, 1);
    column->addWidget(m_progress);
    column->addLayout(addRow);
    column->addWidget(m_problem);
    const std::array<QWidget*, 7> order{m_slider, m_percent, m_table, m_form, m_spec, add, remove};
    for (std::size_t index = 1; index < order.size(); ++index)
        setTabOrder(order[index - 1], order[index]);

    connect(
        m_slider, &QSlider::valueChanged, this, [this](int percent) { m_selection->setKeepPermille(percent * 10); });
    connect(m_percent, &QDoubleSpinBox::valueChanged, this,
        [this](double percent) { m_selection->setKeepPermille(static_cast<int>(std::lround(percent * 10.0))); });
    connect(m_replay, &ReplayModel::changed, this, &MethodsPanel::showKeep);
    connect(m_replay, &ReplayModel::progressed, this, &MethodsPanel::showProgress);
    connect(m_replay, &ReplayModel::completed, this, [this] { m_progress->hide(); });
    connect(m_methods, &MethodModel::currentChanged, this, [this](int row) {
        const QSignalBlocker blocker(m_table->selectionModel());
        m_table->setCurrentIndex(row < 0 ? QModelIndex() : m_methods->index(row, MethodModel::NameColumn));
    });
    connect(
        m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& current) {
            if (current.isValid())
                m_methods->setCurrent(current.row());
        });
    connect(m_methods, &QAbstractItemModel::dataChanged, this, &MethodsPanel::fitColumns);
    connect(m_methods, &QAbstractItemModel::rowsInserted, this, &MethodsPanel::fitColumns);
    connect(m_spec, &QLineEdit::returnPressed, this, &MethodsPanel::addMethod);
    connect(m_spec, &QLineEdit::textEdited, this, [this] { m_problem->hide(); });
    connect(add, &QPushButton::clicked, this, &MethodsPanel::addMethod);
    connect(remove, &QPushButton::clicked, this, &MethodsPanel::removeCurrent);
    if (m_methods->current() >= 0)
        m_table->setCurrentIndex(m_methods->index(m_methods->current(), MethodModel::NameColumn));
    showKeep();
}

void MethodsPanel::showKeep()
{
    const QSignalBlocker sliderBlocker(m_slider);
    const QSignalBlocker percentBlocker(m_percent);
    m_slider->setValue(std::max(1, (m_selection->keepPermille() + 5) / 10));
    m_percent->setValue(m_selection->keepPermille() / 10.0);
    const std::int64_t tokens = m_replay->promptTokens();
    m_tokens->setText(tokens == 0 ? QString()
                                  : tr("%1 of %2 tokens per head")
                                        .arg(QLocale().toString(static_cast<qlonglong>(m_replay->requestedTokens())),
                                            QLocale().toString(static_cast<qlonglong>(tokens))));
}

void MethodsPanel::showProgress(int done, int total)
{
    m_progress->setRange(0, total);
    m_progress->setValue(done);
    m_progress->setVisible(done < total);
}

void MethodsPanel::toggleMethod(int row)
{
    if (row >= 0 && row < m_methods->rowCount())
        m_methods->setShown(row, !m_methods->entries()[static_cast<std::size_t>(row)].shown);
}

void MethodsPanel::focusSpecLine()
{
    m_spec->setFocus(Qt::ShortcutFocusReason);
    m_spec->selectAll();
}

void MethodsPanel::addMethod()
{
    if (m_spec->text().trimmed().isEmpty())
        return;
    const QString problem = m_methods->add(m_spec->text());
    m_problem->setText(problem);
    m_problem->setVisible(!problem.isEmpty());
    if (problem.isEmpty()) {
        m_spec->clear();
        m_methods->setCurrent(m_methods->rowCount() - 1);
    } else {
        m_spec->setFocus(Qt::OtherFocusReason);
    }
}

void MethodsPanel::removeCurrent()
{
    m_methods->remove(m_methods->current());
}

bool MethodsPanel::eventFilter(QObject* watched, QEvent* event)
{
    if (watched == m_table && event->type() == QEvent::KeyPress
        && static_cast<QKeyEvent*>(event)->key() == Qt::Key_Delete) {
        removeCurrent();
        return true;
    }
    // A letter belongs to the window's shortcuts, not to a search in five rows.
    if (watched == m_table && event->type() == QEvent::KeyPress) {
        const QString text = static_cast<QKeyEvent*>(event)->text();
        if (text.size() == 1 && text[0].isLetterOrNumber()) {
            event->ignore();
            return true;
        }
    }
    return QWidget::eventFilter(watched, event);
}

void MethodsPanel::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    fitColumns();
}

void MethodsPanel::fitColumns()
{
    // Numbers are never cut; the parameters take what is left, or give way.
    static constexpr int leastWidth = 60;
    int left = m_table->viewport()->width();
    for (const int column :
        {MethodModel::NameColumn, MethodModel::FidelityColumn, MethodModel::KeptColumn, MethodModel::RetainedColumn}) {
        m_table->resizeColumnToContents(column);
        left -= m_table->columnWidth(column);
    }
    m_table->setColumnHidden(MethodModel::ParametersColumn, left < leastWidth);
    if (left >= leastWidth)
        m_table->setColumnWidth(MethodModel::ParametersColumn, left);
}

} // namespace kvloupe
