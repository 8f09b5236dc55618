// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/preferences_dialog.h"

#include "views/session/settings.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QSpinBox>
#include <QStackedWidget>
#include <QVBoxLayout>

namespace kvloupe {

namespace {

QString named(std::string_view name)
{
    QString text = QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size()));
    if (!text.isEmpty())
        text[0] = text[0].toUpper();
    return text;
}

template <class Value> void choose(QComboBox* box, Value value)
{
    box->setCurrentIndex(box->findData(static_cast<int>(value)));
}

template <class Value> Value chosen(const QComboBox* box)
{
    return static_cast<Value>(box->currentData().toInt());
}

QFormLayout* formOf(QWidget* page)
{
    return new QFormLayout(page);
}

void addField(QFormLayout* form, const QString& label, QWidget* field, const QString& help)
{
    auto* caption = new QLabel(label);
    caption->setBuddy(field);
    caption->setToolTip(help);
    field->setToolTip(help);
    field->setAccessibleName(QString(label).remove(u'&'));
    form->addRow(caption, field);
}

} // namespace

Preferences Preferences::of(const Settings& settings)
{
    return {settings.theme(), settings.mapStyle(), settings.threads(), settings.jobFolder()};
}

void Preferences::applyTo(Settings& settings) const
{
    settings.setTheme(theme);
    settings.setMapStyle(mapStyle);
    settings.setThreads(threads);
    settings.setJobFolder(jobFolder);
}

PreferencesDialog::PreferencesDialog(const Preferences& preferences, QWidget* parent)
    : QDialog(parent)
    , m_base(preferences)
    , m_pages(new QListWidget(this))
    , m_stack(new QStackedWidget(this))
{
    setWindowTitle(tr("Preferences"));
    m_pages->setAccessibleName(tr("Pages"));
    addPage(tr("Appearance"), buildAppearance());
    addPage(tr("Attention map"), buildMap());
    addPage(tr("Jobs"), buildJobs());
    m_pages->setFixedWidth(m_pages->sizeHintForColumn(0) + 3 * fontMetrics().averageCharWidth() + 24);
    m_pages->setCurrentRow(0);
    auto* buttons = new QDialogButtonBox(
        QDialogButtonBox::Ok | QDialogButtonBox::Cancel | QDialogButtonBox::RestoreDefaults, this);
    QPushButton* reset = buttons->button(QDialogButtonBox::RestoreDefaults);
    reset->setText(tr("&Reset"));
    reset->setToolTip(tr("Fills all pages with what a new installation has; OK takes it over"));
    auto* row = new QHBoxLayout;
    row->addWidget(m_pages);
    row->addWidget(m_stack, 1);
    auto* column = new QVBoxLayout(this);
    column->addLayout(row, 1);
    column->addWidget(buttons);
    resize(620, 360);
    connect(m_pages, &QListWidget::currentRowChanged, m_stack, &QStackedWidget::setCurrentIndex);
    connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(reset, &QPushButton::clicked, this, [this] {
        m_base = {};
        showPreferences(m_base);
    });
    showPreferences(m_base);
}

void PreferencesDialog::addPage(const QString& title, QWidget* page)
{
    m_pages->addItem(title);
    m_stack->addWidget(page);
}

QWidget* PreferencesDialog::buildAppearance()
{
    auto* page = new QWidget;
    QFormLayout* form = formOf(page);
    m_theme = new QComboBox;
    m_theme->setObjectName(QStringLiteral("preferTheme"));
    m_theme->addItem(tr("As the desktop"), static_cast<int>(Theme::System));
    m_theme->addItem(tr("Light"), static_cast<int>(Theme::Light));
    m_theme->addItem(tr("Dark"), static_cast<int>(Theme::Dark));
    addField(form, tr("&Theme"), m_theme, tr("Colours of the windows; figures are light always"));
    return page;
}

QWidget* PreferencesDialog::buildMap()
{
    auto* page = new QWidget;
    QFormLayout* form = formOf(page);
    m_colorMap = new QComboBox;
    m_colorMap->setObjectName(QStringLiteral("preferColorMap"));
    for (const ColorMap map : allColorMaps)
        m_colorMap->addItem(named(colorMapName(map)), static_cast<int>(map));
    addField(form, tr("&Colour map"), m_colorMap, tr("Viridis and cividis can be read with any colour vision"));
    m_scale = new QComboBox;
    for (const ColorScale scale : allColorScales)
        m_scale->addItem(named(colorScaleName(scale)), static_cast<int>(scale));
    addField(form, tr("&Scale"), m_scale, tr("How attention becomes colour"));
    m_pooling = new QComboBox;
    m_pooling->addItem(tr("Maximum"), static_cast<int>(Pooling::Max));
    m_pooling->addItem(tr("Mean"), static_cast<int>(Pooling::Mean));
    addField(form, tr("&Pooling"), m_pooling, tr("What one pixel shows of the cells it covers"));
    m_tokens = new QCheckBox(tr("T&oken text on the axes where it fits"));
    m_spans = new QCheckBox(tr("S&hots and other sections along the axes"));
    form->addRow(m_tokens);
    form->addRow(m_spans);
    return page;
}

QWidget* PreferencesDialog::buildJobs()
{
    auto* page = new QWidget;
    QFormLayout* form = formOf(page);
    m_threads = new QSpinBox;
    m_threads->setRange(0, Settings::mostThreads);
    m_threads->setSpecialValueText(tr("all cores"));
    m_threads->setObjectName(QStringLiteral("preferThreads"));
    addField(form, tr("T&hreads"), m_threads, tr("That recordings and evaluations compute with"));
    m_folder = new QLineEdit;
    m_folder->setPlaceholderText(tr("the home folder"));
    m_folder->setObjectName(QStringLiteral("preferFolder"));
    addField(form, tr("&Folder"), m_folder, tr("Where the dialogs propose to write recordings and results"));
    auto* choose = new QPushButton(tr("Choose Folder..."));
    choose->setAutoDefault(false);
    form->addRow(QString(), choose);
    connect(choose, &QPushButton::clicked, this, [this] {
        const QString path = QFileDialog::getExistingDirectory(this, tr("Folder of jobs"), m_folder->text());
        if (!path.isEmpty())
            m_folder->setText(path);
    });
    return page;
}

void PreferencesDialog::showPreferences(const Preferences& preferences)
{
    choose(m_theme, preferences.theme);
    choose(m_colorMap, preferences.mapStyle.colorMap);
    choose(m_scale, preferences.mapStyle.scale);
    choose(m_pooling, preferences.mapStyle.pooling);
    m_tokens->setChecked(preferences.mapStyle.showTokens);
    m_spans->setChecked(preferences.mapStyle.showSpans);
    m_threads->setValue(preferences.threads);
    m_folder->setText(preferences.jobFolder);
}

Preferences PreferencesDialog::preferences() const
{
    Preferences result = m_base;
    result.theme = chosen<Theme>(m_theme);
    result.mapStyle.colorMap = chosen<ColorMap>(m_colorMap);
    result.mapStyle.scale = chosen<ColorScale>(m_scale);
    result.mapStyle.pooling = chosen<Pooling>(m_pooling);
    result.mapStyle.showTokens = m_tokens->isChecked();
    result.mapStyle.showSpans = m_spans->isChecked();
    result.threads = m_threads->value();
    result.jobFolder = m_folder->text().trimmed();
    return result;
}

} // namespace kvloupe
