// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/tile_source.h"
#include "views/session/sample_model.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

namespace kvloupe {

/// What the map in view (A) is compared with.
struct ComparedMap {
    std::filesystem::path recording; ///< empty = that of the window
    /// Layer and head; without one those in view.
    std::optional<std::pair<int, int>> head;
};

/// The other side (B) of a comparison: a head of the same recording, or a second recording of the same prompt, which
/// lives on the I/O thread of the first. Copies share it.
class ComparedMaps {
public:
    /// `source` outlives its use here; `sample` is that in view.
    ComparedMaps(RecordingSource* source, SampleModelPtr sample, ComparedMap other);

    const ComparedMap& other() const;
    /// What the two have in common: another recording generated something else.
    MapExtent extent() const;
    /// Opens the other recording and looks for the prompt. `deliver` gets one line that says why the two cannot be
    /// compared, or nothing.
    void check(QObject* context, std::function<void(QString)> deliver) const;

    /// Tiles of B under the addresses of A.
    std::shared_ptr<TileSource> otherTiles() const;
    /// A - B, see DifferenceTiles.
    std::shared_ptr<TileSource> differences() const;

    struct State;

private:
    std::shared_ptr<State> m_state;
};

} // namespace kvloupe
