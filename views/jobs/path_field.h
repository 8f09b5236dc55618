// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QWidget>

class QLineEdit;

namespace kvloupe {

/// A path that is typed or chosen.
class PathField final : public QWidget {
    Q_OBJECT

public:
    enum class Kind { OpenFile, SaveFile, Folder };

    /// `filter`: as QFileDialog takes it.
    PathField(Kind kind, const QString& title, const QString& filter, QWidget* parent = nullptr);

    QString path() const;
    void setPath(const QString& path);
    QLineEdit* line() const { return m_line; }

signals:
    void changed();

private:
    void browse();

    Kind m_kind;
    QString m_title;
    QString m_filter;
    QLineEdit* m_line;
};

} // namespace kvloupe
