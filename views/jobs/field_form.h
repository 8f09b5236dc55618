// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/run_arguments.h"

#include <QWidget>

#include <map>

class QFormLayout;
class QLabel;

namespace kvloupe {

/// A form whose fields say below them what is wrong with what they hold.
class FieldForm final : public QWidget {
    Q_OBJECT

public:
    explicit FieldForm(QWidget* parent = nullptr);

    void addSection(const QString& title);
    /// `field`: as in FieldProblem. `focus` takes the keyboard for the field; null = `contents` itself. Takes
    /// ownership.
    void addField(
        const QString& field, const QString& label, QWidget* contents, const QString& help, QWidget* focus = nullptr);
    void setFieldVisible(const QString& field, bool visible);
    /// Shows what is wrong with the fields of `problems`, and nothing below the others.
    void setProblems(const FieldProblems& problems);
    QString problemOf(const QString& field) const; ///< as shown; empty = none
    void focusField(const QString& field);

private:
    struct Field {
        QWidget* row = nullptr;
        QWidget* focus = nullptr;
        QLabel* problem = nullptr;
    };

    QFormLayout* m_layout;
    std::map<QString, Field> m_fields;
};

} // namespace kvloupe
