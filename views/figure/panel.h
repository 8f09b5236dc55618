// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_file.h"
#include "views/figure/figure_table.h"
#include "views/heatmap/color_map.h"

#include <QSizeF>
#include <QString>

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

class PointPainter;

/// Values that one colour bar, or one y axis, stands for.
struct PanelRange {
    QString quantity; ///< what it is called on the figure, with its unit
    bool isColor = false;
    ColorMap map = ColorMap::Viridis;
    ColorScale scale = ColorScale::Linear;
    bool isDiverging = false;
    double low = 0.0;
    double high = 1.0;

    /// Whether the same value looks the same, so that both can have one range.
    bool canShareWith(const PanelRange& other) const;
};

/// The room a panel gets. Lengths are points.
struct PanelFrame {
    double width = 0.0;
    double height = 0.0; ///< 0 = what it needs
    double font = 8.0;
    int dpi = 300; ///< of pictures in it
    bool isAlone = true; ///< not on a page, which would paint its title
    std::vector<PanelRange> shared; ///< ranges to be used for what they fit; the page paints the colour bars of these
};

struct PaintedPanel {
    QSizeF size; ///< points
    std::function<void(PointPainter&)> paint; ///< from (0, 0) on; needs nothing else to live
};

/// The numbers of one panel, read and never changed: shared between threads.
class PanelData {
public:
    virtual ~PanelData() = default;

    virtual QString title() const = 0;
    /// What is to be seen, from which model, methods, budget and sample: a sentence for a caption.
    virtual QString caption() const = 0;
    /// Where the numbers come from, with hashes.
    virtual QString description() const = 0;
    virtual std::vector<PanelRange> ranges() const = 0;
    /// Whether it looks well in a frame that is higher than what it needs.
    virtual bool canStretch() const = 0;
    /// Throws FigureError if the text leaves no room.
    virtual PaintedPanel layOut(const PanelFrame& frame) const = 0;
    /// Exactly what is shown.
    virtual FigureTable table() const = 0;
};

/// A panel whose maker has its words and paints by a function.
class PanelParts final : public PanelData {
public:
    struct Parts {
        QString title;
        QString caption;
        QString description;
        FigureTable table;
        bool canStretch = false;
        std::function<PaintedPanel(const PanelFrame&)> layOut; ///< the panel without its title
    };

    /// `ownTitle`: replaces the title if there is one.
    PanelParts(Parts parts, const std::optional<std::string>& ownTitle);

    QString title() const override { return m_parts.title; }
    QString caption() const override { return m_parts.caption; }
    QString description() const override { return m_parts.description; }
    std::vector<PanelRange> ranges() const override { return {}; }
    bool canStretch() const override { return m_parts.canStretch; }
    PaintedPanel layOut(const PanelFrame& frame) const override;
    FigureTable table() const override { return m_parts.table; }

private:
    Parts m_parts;
};

/// One figure of any kind as a SPEC describes it: alone in a file, or a panel of a page.
class PanelSpec {
public:
    using Json = nlohmann::ordered_json;

    virtual ~PanelSpec() = default;

    /// In few words, for a list: "attention, layer 3, head 2 of fewshot.h5".
    virtual QString label() const = 0;
    /// Its SPEC without what a page decides: width, font, dpi.
    virtual Json toJson() const = 0;
    /// The room of a figure of its own.
    virtual PanelFrame frame() const = 0;
    /// Reads the numbers. Any thread. Throws an Error that says what is missing.
    virtual std::shared_ptr<const PanelData> read(const PanelFrame& frame) const = 0;
    /// Whether what is read depends on the frame's size.
    virtual bool readsForSize() const { return false; }
};

/// The panel alone as a file.
FigurePage pageOf(const PanelData& panel, const PanelFrame& frame);
/// Reads it and writes it to every one of `outputs`, all or an exception. Needs a QGuiApplication.
void writePanel(const PanelSpec& spec, const std::vector<std::filesystem::path>& outputs);

} // namespace kvloupe
