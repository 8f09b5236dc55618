// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/main_window.h"
#include "views/session/theme.h"

#include <QSize>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

/// What `kvloupe view` was asked for.
struct ViewerRequest {
    std::vector<std::filesystem::path> files; ///< one window each; none = an empty window
    bool fresh = false; ///< stored settings are neither read nor written
    StartView start;
    std::vector<std::string> methods; ///< SPECs that replace the remembered ones; the first is in front
    std::optional<int> keepPermille;
    std::vector<std::string> views; ///< docks in front, by name: "text", "shots", "timeline", ...
    std::optional<Theme> theme; ///< instead of the remembered one, which stays
    std::optional<QSize> size; ///< of the window, logical pixels
    std::filesystem::path screenshot; ///< write a picture once everything is there, then end; empty = stay open
};

/// Throws Error when there is no display and the platform plug-in needs one. With `needsDisplay` false the offscreen
/// plug-in is chosen unless QT_QPA_PLATFORM says otherwise. Call before a QApplication is made.
void choosePlatform(bool needsDisplay);

/// Runs the window until it is closed, or writes the screenshot. Needs a QApplication. Returns the exit status; throws
/// Error if there is no picture. `interrupted` is asked now and then; the window closes once it says yes.
int runViewer(const ViewerRequest& request, const std::function<bool()>& interrupted = {});

} // namespace kvloupe
