// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/map/map_pane.h"

#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"
#include "views/timeline/kept_in_view.h"
#include "views/timeline/timeline_model.h"

#include <QComboBox>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QSignalBlocker>
#include <QToolButton>

#include <algorithm>

namespace kvloupe {

MapPane::MapPane(
    const ViewModels& models, const TimelineModel* timeline, std::shared_ptr<TileCache> cache, QWidget* parent)
    : QWidget(parent)
    , m_models(models)
    , m_windowSelection(models.selection)
    , m_timeline(timeline)
    , m_heatMap(new HeatMapView(&m_selection, nullptr, std::move(cache)))
    , m_title(new QLabel)
    , m_methods(new QComboBox)
{
    m_models.selection = &m_selection;
    m_selection.setHead(m_windowSelection->layer(), m_windowSelection->head());
    m_selection.setKeepPermille(m_windowSelection->keepPermille());
    m_heatMap->setAccessibleName(tr("Pinned attention map"));
    m_title->setTextFormat(Qt::PlainText);
    m_title->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    m_methods->setAccessibleName(tr("Method of this map"));
    m_methods->setToolTip(tr("Whose dropped columns are shaded here"));
    m_methods->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    auto* other = new QToolButton;
    other->setText(tr("Show"));
    other->setAccessibleName(tr("What this map shows"));
    other->setPopupMode(QToolButton::InstantPopup);
    other->setFocusPolicy(Qt::TabFocus);
    auto* menu = new QMenu(other);
    menu->addAction(tr("Sample in View"), this, &MapPane::showWindowSample);
    auto* samples = menu->addMenu(tr("Sample"));
    connect(samples, &QMenu::aboutToShow, this, [this, samples] {
        samples->clear();
        for (int sample = 0; sample < static_cast<int>(m_models.recording->samples().size()); ++sample)
            samples->addAction(QString::number(sample), this, [this, sample] { showSample(sample); });
    });
    menu->addAction(tr("Recording..."), this, &MapPane::chooseRecording);
    other->setMenu(menu);
    auto* swap = new QToolButton;
    swap->setText(tr("Swap"));
    swap->setToolTip(tr("Exchanges the heads of this map and of the one in view"));
    swap->setAccessibleName(tr("Swap with the map in view"));
    swap->setFocusPolicy(Qt::TabFocus);
    connect(swap, &QToolButton::clicked, this, &MapPane::swapRequested);

    auto* row = new QHBoxLayout;
    row->setContentsMargins(6, 2, 6, 2);
    row->addWidget(m_title, 1);
    for (QWidget* widget :
        {static_cast<QWidget*>(m_methods), static_cast<QWidget*>(other), static_cast<QWidget*>(swap)})
        row->addWidget(widget);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addLayout(row);
    column->addWidget(m_heatMap, 1);

    connect(m_methods, &QComboBox::activated, this, [this](int index) { setMethod(index - 1); });
    connect(&m_selection, &Selection::headChanged, this, &MapPane::showTitle);
    connect(&m_selection, &Selection::headChanged, this, &MapPane::showKept);
    connect(&m_selection, &Selection::stepChanged, this, &MapPane::showKept);
    connect(m_windowSelection, &Selection::stepChanged, &m_selection, &Selection::setStep);
    connect(&m_selection, &Selection::stepChanged, m_windowSelection, &Selection::setStep);
    connect(m_windowSelection, &Selection::keepChanged, &m_selection, &Selection::setKeepPermille);
    connect(m_windowSelection, &Selection::cellChanged, &m_selection, &Selection::setCell);
    connect(&m_selection, &Selection::cellChanged, m_windowSelection, &Selection::setCell);
    connect(m_models.replay, &ReplayModel::changed, this, &MapPane::showKept);
    connect(m_models.replay, &ReplayModel::chosen, this, &MapPane::showKept);
    connect(m_models.methods, &MethodModel::methodsChanged, this, &MapPane::showMethods);
    connect(m_models.methods, &MethodModel::currentChanged, this, &MapPane::showKept);
    connect(m_heatMap, &HeatMapView::failed, this, &MapPane::failed);
    showMethods();
    showWindowSample();
}

MapPane::~MapPane()
{
    delete m_heatMap; // it reads through the source and follows the selection
}

QString MapPane::title() const
{
    return m_title->text();
}

void MapPane::showWindowSample()
{
    ++m_reading;
    m_ownSource.reset();
    adopt(m_models.recording->sample(), m_models.recording->source());
}

void MapPane::showSample(int sample)
{
    m_ownSource.reset();
    if (m_models.recording->source())
        read(m_models.recording->source(), sample);
}

void MapPane::showRecording(const std::filesystem::path& path)
{
    adopt(nullptr, nullptr);
    m_ownSource = std::make_unique<RecordingSource>(path);
    connect(m_ownSource.get(), &RecordingSource::failed, this, &MapPane::failed);
    read(m_ownSource.get(), 0);
}

void MapPane::read(RecordingSource* source, int sample)
{
    const int number = ++m_reading;
    source->run<SampleModelPtr>(
        this, RecordingSource::Priority::Immediate,
        [sample](RecordingAccess& access) { return readSampleModel(access.recording, sample); },
        [this, source, number](const SampleModelPtr& found) {
            if (number == m_reading)
                adopt(found, source);
        });
}

void MapPane::adopt(SampleModelPtr sample, RecordingSource* source)
{
    const MapWindow window = m_heatMap->mapWindow();
    const bool hadSample = m_sample != nullptr;
    m_sample = std::move(sample);
    m_heatMap->setSample(m_sample, source);
    if (hadSample && m_sample)
        m_heatMap->setMapWindow(window);
    showTitle();
    showKept();
}

void MapPane::setMethod(int row)
{
    m_method = row;
    m_methods->setCurrentIndex(row + 1);
    showKept();
}

/// Known for the sample in view alone: others are not replayed.
void MapPane::showKept()
{
    std::vector<KeepOverlay> overlays;
    const int row = m_method >= 0 ? m_method : m_models.methods->rowOf(m_windowSelection->method());
    if (m_sample && m_sample == m_models.replay->sample() && row >= 0 && row < m_models.methods->rowCount()) {
        const MethodModel::Entry& entry = m_models.methods->entries()[static_cast<std::size_t>(row)];
        if (auto kept = keptInView(m_models, m_timeline, row))
            overlays.push_back({entry.title, entry.color, std::move(kept->positions), true, kept->tokens});
    }
    m_heatMap->setKeepOverlay(std::move(overlays));
}

void MapPane::showMethods()
{
    const QSignalBlocker blocker(m_methods);
    m_methods->clear();
    m_methods->addItem(tr("Method in front"));
    for (const MethodModel::Entry& entry : m_models.methods->entries())
        m_methods->addItem(entry.title);
    if (m_method >= m_models.methods->rowCount())
        m_method = -1;
    m_methods->setCurrentIndex(m_method + 1);
    showKept();
}

void MapPane::showTitle()
{
    QString text = tr("layer %1 head %2").arg(m_selection.layer()).arg(m_selection.head());
    if (m_ownSource)
        text += tr(", %1").arg(QString::fromStdString(m_ownSource->path().filename().string()));
    else if (m_sample && m_sample != m_models.recording->sample())
        text += tr(", sample %1").arg(m_sample->sample);
    m_title->setText(text);
}

void MapPane::chooseRecording()
{
    const QString path = QFileDialog::getOpenFileName(window(), tr("Show Another Recording"),
        QString::fromStdString(m_models.recording->path().parent_path().string()),
        tr("Recordings (*.h5 *.hdf5);;All files (*)"));
    if (!path.isEmpty())
        showRecording(path.toStdString());
}

} // namespace kvloupe
