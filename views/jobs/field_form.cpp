// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/field_form.h"

#include <QFormLayout>
#include <QLabel>
#include <QStringList>
#include <QVBoxLayout>

namespace kvloupe {

FieldForm::FieldForm(QWidget* parent)
    : QWidget(parent)
    , m_layout(new QFormLayout(this))
{
    m_layout->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    m_layout->setLabelAlignment(Qt::AlignRight | Qt::AlignTop);
}

void FieldForm::addSection(const QString& title)
{
    auto* heading = new QLabel(title, this);
    QFont bold = heading->font();
    bold.setBold(true);
    heading->setFont(bold);
    heading->setContentsMargins(0, m_layout->rowCount() > 0 ? 8 : 0, 0, 0);
    m_layout->addRow(heading);
}

void FieldForm::addField(
    const QString& field, const QString& label, QWidget* contents, const QString& help, QWidget* focus)
{
    Field added;
    added.row = new QWidget(this);
    added.focus = focus ? focus : contents;
    added.problem = new QLabel(added.row);
    added.problem->setTextFormat(Qt::PlainText);
    added.problem->setWordWrap(true);
    added.problem->setObjectName(field + QStringLiteral("Problem"));
    added.problem->hide();
    auto* column = new QVBoxLayout(added.row);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(2);
    column->addWidget(contents);
    column->addWidget(added.problem);
    auto* caption = new QLabel(label, this);
    caption->setBuddy(added.focus);
    caption->setToolTip(help);
    contents->setToolTip(help);
    if (added.focus->accessibleName().isEmpty())
        added.focus->setAccessibleName(QString(label).remove(u'&'));
    m_layout->addRow(caption, added.row);
    m_fields[field] = added;
}

void FieldForm::setFieldVisible(const QString& field, bool visible)
{
    m_layout->setRowVisible(m_fields.at(field).row, visible);
}

void FieldForm::setProblems(const FieldProblems& problems)
{
    std::map<QString, QStringList> messages;
    for (const FieldProblem& problem : problems)
        messages[problem.field] << problem.message;
    for (auto& [name, field] : m_fields) {
        const QString text = messages[name].join(u'\n');
        field.problem->setText(text.isEmpty() ? text : QStringLiteral("\u26A0 ") + text);
        field.problem->setVisible(!text.isEmpty());
        field.focus->setAccessibleDescription(text);
    }
}

QString FieldForm::problemOf(const QString& field) const
{
    return m_fields.at(field).problem->text();
}

void FieldForm::focusField(const QString& field)
{
    if (const auto found = m_fields.find(field); found != m_fields.end())
        found->second.focus->setFocus(Qt::OtherFocusReason);
}

} // namespace kvloupe
