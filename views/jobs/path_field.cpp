// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/path_field.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QLineEdit>
#include <QPushButton>

namespace kvloupe {

PathField::PathField(Kind kind, const QString& title, const QString& filter, QWidget* parent)
    : QWidget(parent)
    , m_kind(kind)
    , m_title(title)
    , m_filter(filter)
    , m_line(new QLineEdit(this))
{
    auto* choose = new QPushButton(tr("Browse..."), this);
    choose->setAutoDefault(false);
    choose->setAccessibleName(title);
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(0, 0, 0, 0);
    row->addWidget(m_line, 1);
    row->addWidget(choose);
    setFocusProxy(m_line);
    connect(m_line, &QLineEdit::textChanged, this, &PathField::changed);
    connect(choose, &QPushButton::clicked, this, &PathField::browse);
}

QString PathField::path() const
{
    return m_line->text().trimmed();
}

void PathField::setPath(const QString& path)
{
    m_line->setText(path);
}

void PathField::browse()
{
    QString chosen;
    switch (m_kind) {
    case Kind::OpenFile:
        chosen = QFileDialog::getOpenFileName(this, m_title, path(), m_filter);
        break;
    case Kind::SaveFile:
        // The dialog's own field asks what to do with a file that exists.
        chosen
            = QFileDialog::getSaveFileName(this, m_title, path(), m_filter, nullptr, QFileDialog::DontConfirmOverwrite);
        break;
    case Kind::Folder:
        chosen = QFileDialog::getExistingDirectory(this, m_title, path());
        break;
    }
    if (!chosen.isEmpty())
        setPath(chosen);
}

} // namespace kvloupe
