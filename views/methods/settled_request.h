// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"

#include <QTimer>

#include <chrono>
#include <functional>

namespace kvloupe {

/// Asks for what is computed of the method in front, once methods and choices have not changed for a moment, and only
/// while somebody looks.
class SettledRequest final {
public:
    /// `models` outlive this object.
    SettledRequest(const ViewModels& models, std::chrono::milliseconds rest, std::function<void()> request);

    /// Asks at once when somebody begins to look.
    void setWanted(bool wanted);
    bool isWanted() const { return m_isWanted; }
    bool isPending() const { return m_rest.isActive(); }

private:
    std::function<void()> m_request;
    bool m_isWanted = false;
    QTimer m_rest;
};

} // namespace kvloupe
