// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QFrame>
#include <QString>

#include <functional>

class QLabel;
class QPushButton;

namespace kvloupe {

/// A line above the window's contents that says what went wrong. It stays until it is closed and blocks nothing; a
/// message that is on show already is not shown twice.
class ErrorBar final : public QFrame {
    Q_OBJECT

public:
    explicit ErrorBar(QWidget* parent = nullptr);

    void showMessage(const QString& message);
    /// The same with a button that does something about it, until the next message or the bar is closed.
    void offer(const QString& message, const QString& buttonText, std::function<void()> action);
    QString message() const;

public slots:
    void dismiss();

protected:
    void changeEvent(QEvent* event) override;

private:
    void updateColors();
    void withdrawOffer();

    QLabel* m_text;
    QPushButton* m_offer;
    std::function<void()> m_action; ///< of m_offer
};

} // namespace kvloupe
