// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/selection/selection.h"

#include <QAction>
#include <QObject>
#include <QTimer>

#include <cstddef>
#include <vector>

namespace kvloupe {

/// Where one has been in the recording that is open: Back and Forward, as in a browser. A place is sample, head, cell
/// and step; places that follow each other at once, as while a key is held down, are one.
class SelectionHistory final : public QObject {
    Q_OBJECT

public:
    static constexpr std::size_t mostPlaces = 100;

    /// `selection` outlives this object.
    explicit SelectionHistory(Selection* selection, QObject* parent = nullptr);

    QAction* backAction() const { return m_back; }
    QAction* forwardAction() const { return m_forward; }
    /// Takes the place in view down at once instead of a moment later.
    void settle();
    /// Tokens of another sample can be restored once it was read: whoever reads it says so here.
    void sampleArrived();

private:
    struct Place {
        int sample = -1;
        int layer = -1;
        int head = -1;
        std::int64_t query = -1;
        std::int64_t key = -1;
        std::int64_t step = 0;

        bool operator==(const Place&) const = default;
    };

    Place here() const;
    void forget();
    void go(std::ptrdiff_t steps);
    void restoreTokens();
    void updateActions();

    Selection* m_selection;
    std::vector<Place> m_places; ///< oldest first
    std::size_t m_current = 0;
    bool m_isAwaited = false; ///< the sample of the place in view is being read
    QTimer m_settle;
    QAction* m_back;
    QAction* m_forward;
};

} // namespace kvloupe
