// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QFrame>
#include <QString>

class QLabel;

namespace kvloupe {

/// A line above the window's contents that says what went wrong. It stays until it is closed and blocks nothing; a
/// message that is on show already is not shown twice.
class ErrorBar final : public QFrame {
    Q_OBJECT

public:
    explicit ErrorBar(QWidget* parent = nullptr);

    void showMessage(const QString& message);
    QString message() const;

public slots:
    void dismiss();

protected:
    void changeEvent(QEvent* event) override;

private:
    void updateColors();

    QLabel* m_text;
};

} // namespace kvloupe
