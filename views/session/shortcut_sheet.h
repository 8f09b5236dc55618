// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QDialog>
#include <QString>

#include <vector>

namespace kvloupe {

/// One line of the sheet.
struct Gesture {
    QString where; ///< heading it stands under
    QString keys;
    QString effect;
};

/// Every key and mouse gesture of the window.
std::vector<Gesture> gestures();

/// The sheet that F1 opens.
class ShortcutSheet final : public QDialog {
    Q_OBJECT

public:
    explicit ShortcutSheet(QWidget* parent = nullptr);
};

/// Versions of the program and its libraries, one per line, for the About box.
QString aboutText();

} // namespace kvloupe
