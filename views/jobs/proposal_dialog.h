// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/capture_arguments.h"
#include "views/jobs/kvloupe_program.h"

#include <QDialog>

class QListWidget;
class QPushButton;

namespace kvloupe {

/// Asks before a recording that a file of results proposed is made: shows every argument of the command as a line.
class ProposalDialog final : public QDialog {
    Q_OBJECT

public:
    /// `sample`: name of the sample that is to be recorded, for people.
    ProposalDialog(
        const KvloupeProgram& program, const QString& sample, const CaptureArguments& arguments, QWidget* parent);

    QListWidget* list() const { return m_list; }
    QPushButton* recordButton() const { return m_record; }

signals:
    /// The person wants to change the arguments first.
    void editRequested();

private:
    QListWidget* m_list;
    QPushButton* m_record;
};

} // namespace kvloupe
