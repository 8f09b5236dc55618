// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/map_tool_bar.h"

#include <QAction>
#include <QComboBox>
#include <QImage>
#include <QLabel>
#include <QPixmap>
#include <QSignalBlocker>
#include <QSpinBox>

#include <algorithm>

namespace kvloupe {

namespace {

QIcon colorMapIcon(ColorMap map)
{
    const auto entries = colorMapEntries(map);
    QImage image(32, 12, QImage::Format_RGB32);
    for (int x = 0; x < image.width(); ++x) {
        for (int y = 0; y < image.height(); ++y)
            image.setPixel(x, y, entries[static_cast<std::size_t>(x * 255 / (image.width() - 1))] | 0xFF000000U);
    }
    return QPixmap::fromImage(image);
}

QString capitalised(std::string_view name)
{
    QString text = QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size()));
    return text.isEmpty() ? text : text.left(1).toUpper() + text.mid(1);
}

} // namespace

MapToolBar::MapToolBar(HeatMapView* view, Selection* selection, QWidget* parent)
    : QToolBar(tr("Map"), parent)
    , m_view(view)
    , m_selection(selection)
    , m_layer(combo(tr("Layer"), {}))
    , m_head(new QSpinBox(this))
    , m_colorMap(nullptr)
    , m_scale(nullptr)
    , m_pooling(nullptr)
    , m_tokens(new QAction(tr("Tokens"), this))
    , m_fit(new QAction(tr("Fit"), this))
{
    setMovable(false);
    setFloatable(false);
    setObjectName(QStringLiteral("mapToolBar"));
    const auto label = [this](const QString& text) {
        auto* widget = new QLabel(text, this);
        widget->setContentsMargins(6, 0, 2, 0);
        addWidget(widget);
    };
    label(tr("Layer"));
    addWidget(m_layer);
    label(tr("Head"));
    m_head->setAccessibleName(tr("Query head"));
    m_head->setObjectName(QStringLiteral("headSpin"));
    m_head->setRange(0, 0);
    m_head->setWrapping(true);
    addWidget(m_head);
    addSeparator();

    m_colorMap = combo(tr("Colour map"), {});
    m_colorMap->setIconSize(QSize(32, 12));
    for (const ColorMap map : allColorMaps)
        m_colorMap->addItem(colorMapIcon(map), capitalised(colorMapName(map)));
    addWidget(m_colorMap);
    m_scale = combo(tr("Colour scale"), {tr("Linear"), tr("Logarithmic"), tr("Square root")});
    addWidget(m_scale);
    m_pooling = combo(tr("Pooling"), {tr("Maximum"), tr("Mean")});
    m_pooling->setToolTip(tr("What one pixel shows of the cells it covers (P)"));
    addWidget(m_pooling);
    addSeparator();

    m_tokens->setCheckable(true);
    m_tokens->setToolTip(tr("Token text on the axes where it fits"));
    addAction(m_tokens);
    m_fit->setToolTip(tr("Show the whole map (Ctrl+0)"));
    m_fit->setShortcut(QKeySequence(Qt::CTRL | Qt::Key_0));
    addAction(m_fit);
    // Tool buttons take no focus by default; here Tab reaches everything.
    for (QAction* action : {m_tokens, m_fit})
        widgetForAction(action)->setFocusPolicy(Qt::TabFocus);

    connect(m_layer, &QComboBox::activated, this, [this](int index) {
        if (m_sample && index >= 0 && index < static_cast<int>(m_sample->layers.size()))
            m_selection->setHead(
                m_sample->layers[static_cast<std::size_t>(index)].layer, std::max(0, m_selection->head()));
    });
    connect(m_head, &QSpinBox::valueChanged, this, [this](int head) {
        if (m_sample && m_selection->layer() >= 0)
            m_selection->setHead(m_selection->layer(), head);
    });
    connect(m_colorMap, &QComboBox::activated, this,
        [this](int index) { m_view->setColorMap(allColorMaps[static_cast<std::size_t>(index)]); });
    connect(m_scale, &QComboBox::activated, this,
        [this](int index) { m_view->setScale(allColorScales[static_cast<std::size_t>(index)]); });
    connect(m_pooling, &QComboBox::activated, this,
        [this](int index) { m_view->setPooling(index == 0 ? Pooling::Max : Pooling::Mean); });
    connect(m_tokens, &QAction::toggled, this, [this](bool shown) { m_view->setShowTokens(shown); });
    connect(m_fit, &QAction::triggered, this, [this] { m_view->fit(); });
    connect(m_view, &HeatMapView::mapStyleChanged, this, &MapToolBar::showStyle);
    connect(m_selection, &Selection::headChanged, this, &MapToolBar::showHead);
    showStyle(m_view->mapStyle());
}

QComboBox* MapToolBar::combo(const QString& name, const QStringList& entries)
{
    auto* box = new QComboBox(this);
    box->addItems(entries);
    box->setAccessibleName(name);
    box->setToolTip(name);
    box->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    return box;
}

void MapToolBar::setSample(SampleModelPtr sample)
{
    m_sample = std::move(sample);
    const QSignalBlocker layerBlocker(m_layer);
    const QSignalBlocker headBlocker(m_head);
    m_layer->clear();
    if (m_sample) {
        for (const LayerInfo& layer : m_sample->layers)
            m_layer->addItem(QString::number(layer.layer));
        m_head->setRange(0, std::max(0, m_sample->model.numHeads - 1));
    }
    m_layer->setEnabled(m_layer->count() > 0);
    m_head->setEnabled(m_layer->count() > 0);
    showHead(m_selection->layer(), m_selection->head());
}

void MapToolBar::showHead(int layer, int head)
{
    const QSignalBlocker layerBlocker(m_layer);
    const QSignalBlocker headBlocker(m_head);
    m_layer->setCurrentIndex(m_layer->findText(QString::number(layer)));
    m_head->setValue(head);
}

void MapToolBar::showStyle(const MapStyle& style)
{
    const QSignalBlocker tokensBlocker(m_tokens);
    const auto indexOf
        = [](const auto& all, auto wanted) { return static_cast<int>(std::ranges::find(all, wanted) - all.begin()); };
    m_colorMap->setCurrentIndex(indexOf(allColorMaps, style.colorMap));
    m_scale->setCurrentIndex(indexOf(allColorScales, style.scale));
    m_pooling->setCurrentIndex(style.pooling == Pooling::Max ? 0 : 1);
    m_tokens->setChecked(style.showTokens);
}

} // namespace kvloupe
