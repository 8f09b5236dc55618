// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/map/map_comparison.h"

#include "views/heatmap/heat_map_view.h"
#include "views/session/open_recording.h"

#include <QAction>
#include <QButtonGroup>
#include <QFileDialog>
#include <QHBoxLayout>
#include <QLabel>
#include <QToolButton>

namespace kvloupe {

MapComparison::MapComparison(HeatMapView* view, const ViewModels& models, QWidget* parent)
    : QWidget(parent)
    , m_view(view)
    , m_models(models)
    , m_names(new QLabel)
{
    setObjectName(QStringLiteral("mapComparison"));
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(6, 2, 6, 2);
    auto* group = new QButtonGroup(this);
    const std::array names{tr("A"), tr("B"), tr("A \u2212 B")};
    const std::array tips{tr("The head in view"), tr("What it is compared with"),
        tr("Difference of the two, cell by cell; a pixel that stands for many cells shows the difference with the "
           "largest magnitude")};
    for (std::size_t i = 0; i < m_sides.size(); ++i) {
        auto* button = new QToolButton;
        button->setText(names[i]);
        button->setToolTip(tr("%1 (Space flips)").arg(tips[i]));
        button->setAccessibleName(tr("Show %1").arg(names[i]));
        button->setCheckable(true);
        button->setFocusPolicy(Qt::TabFocus);
        group->addButton(button, static_cast<int>(i));
        row->addWidget(button);
        m_sides[i] = button;
    }
    m_names->setTextFormat(Qt::PlainText);
    m_names->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_names->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    m_names->setAccessibleName(tr("Compared maps"));
    row->addWidget(m_names, 1);
    auto* close = new QToolButton;
    close->setText(tr("Close"));
    close->setAccessibleName(tr("Stop comparing"));
    close->setFocusPolicy(Qt::TabFocus);
    row->addWidget(close);

    m_actions = {new QAction(tr("&Compare with This Head"), this), new QAction(tr("Compare with &Recording..."), this),
        new QAction(tr("Flip A, B, A \u2212 B"), this), new QAction(tr("&Stop Comparing"), this)};
    m_actions[0]->setShortcut(QKeySequence(Qt::CTRL | Qt::Key_B));
    connect(m_actions[0], &QAction::triggered, this, [this] {
        start({{}, std::pair(m_models.selection->layer(), m_models.selection->head())});
    });
    connect(m_actions[1], &QAction::triggered, this, &MapComparison::chooseRecording);
    connect(m_actions[2], &QAction::triggered, this, &MapComparison::flip);
    connect(m_actions[3], &QAction::triggered, this, &MapComparison::stop);
    connect(close, &QToolButton::clicked, this, &MapComparison::stop);
    connect(group, &QButtonGroup::idClicked, this, [this](int id) { showSide(static_cast<Side>(id)); });
    connect(m_view, &HeatMapView::flipRequested, this, &MapComparison::flip);
    connect(m_models.selection, &Selection::headChanged, this, &MapComparison::showNames);
    stop();
}

void MapComparison::start(const ComparedMap& other)
{
    if (!m_models.recording->sample() || !m_models.recording->source())
        return;
    const int number = ++m_started;
    const ComparedMaps maps(m_models.recording->source(), m_models.recording->sample(), other);
    maps.check(this, [this, maps, number](const QString& message) {
        if (number != m_started)
            return;
        if (!message.isEmpty()) {
            stop();
            emit problem(message);
            return;
        }
        const bool isFirst = !m_maps;
        m_maps = maps;
        setVisible(true);
        m_actions[2]->setEnabled(true);
        m_actions[3]->setEnabled(true);
        // A head and itself differ nowhere: one looks at A and moves on.
        showSide(!isFirst ? m_side : maps.other().head ? Side::A : Side::Difference);
    });
}

void MapComparison::restart()
{
    if (!m_maps)
        return;
    const ComparedMap other = m_maps->other();
    if (m_models.recording->sample())
        start(other);
    else
        stop();
}

void MapComparison::stop()
{
    ++m_started;
    m_maps.reset();
    m_view->setLens({});
    setVisible(false);
    m_actions[2]->setEnabled(false);
    m_actions[3]->setEnabled(false);
}

void MapComparison::showSide(Side side)
{
    m_side = side;
    m_sides[static_cast<std::size_t>(side)]->setChecked(true);
    showNames();
    if (!m_maps)
        return;
    switch (side) {
    case Side::A:
        return m_view->setLens({nullptr, MapContent::Attention, m_maps->extent()});
    case Side::B:
        return m_view->setLens({m_maps->otherTiles(), MapContent::Attention, m_maps->extent()});
    case Side::Difference:
        return m_view->setLens({m_maps->differences(), MapContent::Difference, m_maps->extent()});
    }
}

void MapComparison::flip()
{
    if (m_maps)
        showSide(static_cast<Side>((static_cast<int>(m_side) + 1) % 3));
}

void MapComparison::showNames()
{
    if (!m_maps)
        return;
    const auto headName = [](int layer, int head) { return tr("layer %1 head %2").arg(layer).arg(head); };
    const QString a = headName(m_models.selection->layer(), m_models.selection->head());
    const ComparedMap& other = m_maps->other();
    const QString b = other.head ? headName(other.head->first, other.head->second) : a;
    const QString file = QString::fromStdString(other.recording.filename().string());
    m_names->setText(file.isEmpty() ? tr("A: %1, B: %2").arg(a, b) : tr("A: %1, B: %2 of %3").arg(a, b, file));
}

void MapComparison::chooseRecording()
{
    const QString path = QFileDialog::getOpenFileName(window(), tr("Compare with a Recording of the Same Prompt"),
        QString::fromStdString(m_models.recording->path().parent_path().string()),
        tr("Recordings (*.h5 *.hdf5);;All files (*)"));
    if (!path.isEmpty())
        start({path.toStdString(), std::nullopt});
}

} // namespace kvloupe
