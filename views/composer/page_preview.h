// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QImage>
#include <QScrollArea>
#include <QString>

class QLabel;

namespace kvloupe {

/// A page as it will be, as wide as the view and scrolled if it is higher; a line of text where there is none.
class PagePreview final : public QScrollArea {
    Q_OBJECT

public:
    explicit PagePreview(QWidget* parent = nullptr);

    void setPicture(const QImage& picture);
    void setText(const QString& text);
    /// Width a picture should have, in device pixels.
    int wantedPixels() const;
    bool hasPicture() const;

signals:
    void widthChanged();

protected:
    void resizeEvent(QResizeEvent* event) override;

private:
    QLabel* m_label;
};

} // namespace kvloupe
