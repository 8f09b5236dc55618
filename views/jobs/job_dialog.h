// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/job.h"
#include "views/jobs/kvloupe_program.h"
#include "views/jobs/program_query.h"
#include "views/jobs/run_arguments.h"

#include <QDialog>
#include <QSet>

#include <functional>

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace kvloupe {

class FieldForm;
class PathField;

/// A dialog that asks for the arguments of a command of kvloupe and starts it as a job: fields with what is wrong with
/// them, the command itself, and a line that says what is missing before anything is typed.
class JobDialog : public QDialog {
    Q_OBJECT

public:
    QString command() const; ///< as one would type it
    FieldForm* form() const { return m_form; }
    QPushButton* startButton() const { return m_start; }
    QString notice() const; ///< what is missing, or the problems that belong to no field

signals:
    void startRequested(const kvloupe::JobRequest& request);

protected:
    JobDialog(KvloupeProgram program, const QString& title, const QString& startText, QWidget* parent);

    /// Model, adapter and chat template. `threads`: what the person prefers.
    void addModelFields();
    /// The fields of SuiteArguments, under `suite`, `task`, ...
    void addSuiteFields();
    void addMachineField(int threads);
    void addOutFields(const QString& title, const QString& filter);
    /// Between the form and the command.
    void addBelowForm(QWidget* widget);
    /// After all fields are there.
    void finishForm();

    /// What the shared fields hold, and back.
    RunArguments runArguments() const;
    void showRunArguments(const RunArguments& arguments);
    void setSuiteVisible(bool visible);

    virtual QStringList arguments() const = 0;
    virtual FieldProblems problems() const = 0;
    virtual JobRequest request() const = 0;
    /// Something was edited; `isSound`: nothing is wrong with the fields.
    virtual void adoptChange(bool isSound) = 0;

    /// Sets fields by the program's hand: nothing counts as edited.
    void fill(const std::function<void()>& setFields);
    /// To be called when a field changes; `field` is then one the person has been at.
    void changed(const QString& field);
    const KvloupeProgram& program() const { return m_program; }

private:
    void adoptModels(const QByteArray& json);
    void refresh();
    void start();

    KvloupeProgram m_program;
    ProgramQuery* m_modelQuery;
    FieldForm* m_form;
    QLabel* m_notice;
    QWidget* m_below;
    QLineEdit* m_command;
    QPushButton* m_start;
    QSet<QString> m_edited; ///< fields that say what is wrong with them
    FieldProblems m_allProblems; ///< as of the last change
    bool m_isFilling = false; ///< fields change by the program's hand

    QComboBox* m_model = nullptr;
    PathField* m_adapter = nullptr;
    QCheckBox* m_chat = nullptr;
    QComboBox* m_suite = nullptr;
    QLineEdit* m_tasks = nullptr;
    QSpinBox* m_samples = nullptr;
    QSpinBox* m_shots = nullptr;
    QLineEdit* m_seed = nullptr;
    QSpinBox* m_level = nullptr;
    PathField* m_data = nullptr;
    QSpinBox* m_threads = nullptr;
    PathField* m_out = nullptr;
    QComboBox* m_existing = nullptr;
    RunArguments m_shown; ///< with the values that have no field
};

} // namespace kvloupe
