// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/color_map.h"
#include "views/heatmap/tile_source.h"
#include "views/selection/selection.h"
#include "views/session/sample_model.h"

#include <QAbstractScrollArea>

#include <memory>
#include <optional>
#include <vector>

namespace kvloupe {

/// Thumbnails of every head: a row per layer, a column per head. A click, or arrows and Enter, selects.
///
/// Layers load one by one in the background, those on show first; a head without data says so. The frame with two tones
/// is the head of the Selection, the dashed one the keyboard's.
class HeadWall : public QAbstractScrollArea {
    Q_OBJECT

public:
    /// `selection` outlives the wall.
    explicit HeadWall(Selection* selection, QWidget* parent = nullptr);
    ~HeadWall() override;

    void setSample(SampleModelPtr sample, RecordingSource* source);
    void setSample(SampleModelPtr sample, std::shared_ptr<TileSource> tiles);
    void setColors(ColorMap map, ColorScale scale, ColorRange range);
    void setPooling(Pooling pooling);
    /// Heads by index, recorded layer x heads + head, in the order in which they are shown, others hidden; nothing =
    /// a row per layer.
    void setOrder(std::optional<std::vector<int>> order);
    /// One per head: the others are dimmed. Empty = all alike.
    void setMatches(std::vector<bool> matches);
    /// A bar in `color` at the lower edge of each thumbnail, its length a share in [0, 1], NaN = none. Empty = no bars.
    void setBars(std::vector<double> bars, const QColor& color);
    /// Edge of a thumbnail in logical pixels, 16 to 128.
    void setThumbnailSize(int size);

    /// Rectangle of a thumbnail in viewport coordinates; empty if the layer was not recorded or the head is hidden.
    QRect thumbnailRect(int layer, int head) const;
    bool isLoaded() const; ///< every layer is there or has failed

signals:
    void loaded();
    /// Ctrl + click, or Ctrl + Enter.
    void headToggled(int layer, int head);
    void failed(const QString& message);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    bool viewportEvent(QEvent* event) override;
    void changeEvent(QEvent* event) override;
    QSize sizeHint() const override;

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
