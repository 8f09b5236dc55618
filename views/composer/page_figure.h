// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/composer/page_spec.h"

#include <QRectF>

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace kvloupe {

/// Numbers of panels by what they were read for, so that a page that changes a little is made again quickly. Used by
/// one thread at a time.
class PanelCache {
public:
    std::shared_ptr<const PanelData> read(const PanelSpec& panel, const PanelFrame& frame);
    /// Forgets what was not asked for since the last call.
    void sweep();
    void clear();

private:
    struct Entry {
        std::shared_ptr<const PanelData> data;
        bool isUsed = true;
    };
    std::map<std::string, Entry> m_entries;
};

/// Where a panel came to lie, in points.
struct PlacedPanel {
    QRectF header; ///< letter and title
    QRectF body;
};

/// A page ready to be painted and written; lives on its own.
struct MadePage {
    FigurePage page;
    std::vector<PlacedPanel> panels; ///< in the order of the SPEC
    QSizeF size;
};

/// Reads all panels and lays them out: the same for a window and for a file. `goOn` is asked before each panel; nothing
/// is returned once it says no. Any thread. Throws FigureError or the error of an input, naming the panel.
std::optional<MadePage> makePage(const PageSpec& page, PanelCache& cache, const std::function<bool()>& goOn);

/// Makes the page and writes it to every one of `outputs`, all or an exception. Needs a QGuiApplication.
void writePageFigure(const PageSpec& page, const std::vector<std::filesystem::path>& outputs);

} // namespace kvloupe
