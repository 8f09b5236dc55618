// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/method_history.h"

#include "core/methods/method_registry.h"
#include "views/methods/method_model.h"

#include <QUndoStack>

#include <utility>

namespace kvloupe {

namespace {

/// A value that is spun or typed comes as many edits; those of one row that follow each other so quickly are one step.
constexpr qint64 mergedMilliseconds = 1000;

/// Names the first difference between two lists, by what a person did.
struct Edit {
    QString what;
    int row = -1; ///< whose parameters changed, -1 for any other edit
};

QString titleOf(QString spec)
{
    if (spec.startsWith(QLatin1Char('-')))
        spec.remove(0, 1);
    return QString::fromStdString(findMethod(parseMethod(spec.toStdString()).name).title);
}

Edit editBetween(const QStringList& before, const QStringList& after)
{
    if (after.size() > before.size())
        return {MethodHistory::tr("Add %1").arg(titleOf(after.back()))};
    for (qsizetype row = 0; row < before.size(); ++row) {
        const QString& old = before[row];
        if (row < after.size() && after[row] == old)
            continue;
        if (after.size() < before.size())
            return {MethodHistory::tr("Remove %1").arg(titleOf(old))};
        if (after[row] == QLatin1Char('-') + old)
            return {MethodHistory::tr("Hide %1").arg(titleOf(old))};
        if (old == QLatin1Char('-') + after[row])
            return {MethodHistory::tr("Show %1").arg(titleOf(old))};
        return {MethodHistory::tr("Parameters of %1").arg(titleOf(after[row])), static_cast<int>(row)};
    }
    return {};
}

} // namespace

class MethodHistory::EditCommand final : public QUndoCommand {
public:
    EditCommand(MethodHistory* history, QStringList after, Edit edit, bool merges)
        : QUndoCommand(edit.what)
        , m_history(history)
        , m_before(history->m_known)
        , m_after(std::move(after))
        , m_front(history->m_front)
        , m_row(edit.row)
        , m_merges(merges)
    {
    }

    int id() const override { return 1; }

    bool mergeWith(const QUndoCommand* later) override
    {
        const auto* next = static_cast<const EditCommand*>(later);
        if (!next->m_merges || m_row < 0 || next->m_row != m_row)
            return false;
        m_after = next->m_after;
        return true;
    }

    void undo() override
    {
        m_history->m_methods->fromSpecs(m_before);
        if (const int row = m_history->m_methods->rowOf(m_front); row >= 0)
            m_history->m_methods->setCurrent(row);
        else if (m_row >= 0) // it was in front with the parameters that are gone now
            m_history->m_methods->setCurrent(m_row);
    }

    void redo() override
    {
        if (std::exchange(m_isDone, true))
            m_history->m_methods->fromSpecs(m_after);
    }

private:
    MethodHistory* m_history;
    QStringList m_before;
    QStringList m_after;
    std::string m_front; ///< before the edit
    int m_row;
    bool m_merges;
    bool m_isDone = false; ///< the edit itself was made by whoever made it
};

MethodHistory::MethodHistory(MethodModel* methods, QUndoStack* stack, QObject* parent)
    : QObject(parent)
    , m_methods(methods)
    , m_stack(stack)
    , m_known(methods->toSpecs())
{
    const auto noteFront = [this] {
        const int row = m_methods->current();
        m_front = row < 0 ? std::string() : m_methods->entries()[static_cast<std::size_t>(row)].method.spec;
    };
    noteFront();
    connect(m_methods, &MethodModel::methodsChanged, this, &MethodHistory::record);
    connect(m_methods, &MethodModel::modelReset, this, [this] { m_known = m_methods->toSpecs(); });
    connect(m_methods, &MethodModel::currentChanged, this, noteFront);
}

void MethodHistory::record()
{
    const QStringList now = m_methods->toSpecs();
    if (now == m_known)
        return;
    const bool merges = m_sinceEdit.isValid() && m_sinceEdit.elapsed() < mergedMilliseconds;
    m_sinceEdit.start();
    m_stack->push(new EditCommand(this, now, editBetween(m_known, now), merges));
    m_known = now;
}

} // namespace kvloupe
