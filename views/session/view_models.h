// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace kvloupe {

class MethodModel;
class OpenRecording;
class ReplayModel;
class Selection;

/// What the views of one window share, and all that they know of each other. Everything outlives the views.
struct ViewModels {
    Selection* selection = nullptr;
    OpenRecording* recording = nullptr;
    MethodModel* methods = nullptr;
    ReplayModel* replay = nullptr;
};

} // namespace kvloupe
