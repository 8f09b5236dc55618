// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QStringList>

#include <string>

class QUndoStack;

namespace kvloupe {

class MethodModel;

/// Makes every edit of the list of methods (added, removed, other parameters, shown or hidden) a step of undo. A list
/// that is replaced as a whole, as at the start of the program, is none.
class MethodHistory final : public QObject {
    Q_OBJECT

public:
    /// Both outlive this object.
    MethodHistory(MethodModel* methods, QUndoStack* stack, QObject* parent = nullptr);

private:
    class EditCommand;
    void record();

    MethodModel* m_methods;
    QUndoStack* m_stack;
    QStringList m_known; ///< MethodModel::toSpecs after the last edit
    std::string m_front; ///< SPEC of the method in front then
    QElapsedTimer m_sinceEdit;
};

} // namespace kvloupe
