// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/proposal_dialog.h"

#include "views/jobs/recording_proposal.h"

#include <QDialogButtonBox>
#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QVBoxLayout>

namespace kvloupe {

ProposalDialog::ProposalDialog(
    const KvloupeProgram& program, const QString& sample, const CaptureArguments& arguments, QWidget* parent)
    : QDialog(parent)
    , m_list(new QListWidget(this))
    , m_record(nullptr)
{
    setWindowTitle(tr("Record This Sample"));
    const auto label = [this](const QString& text, const char* name) {
        auto* result = new QLabel(text, this);
        result->setTextFormat(Qt::PlainText);
        result->setWordWrap(true);
        result->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
        result->setObjectName(QLatin1String(name));
        return result;
    };
    auto* question = label(
        tr("%1 is in no recording that is open. kvloupe would run with these arguments, which were made from the "
           "results; each line is one argument, and no shell sees them:")
            .arg(sample.left(200)),
        "proposalQuestion");
    m_list->addItems(arguments.toArguments());
    m_list->setAccessibleName(tr("Arguments of the command"));
    m_list->setSelectionMode(QAbstractItemView::SingleSelection);
    QStringList problems;
    if (!program.canRun())
        problems << program.missing;
    for (const FieldProblem& problem : checkProposal(arguments))
        if (!problems.contains(problem.message))
            problems << problem.message;
    auto* trouble
        = label(problems.isEmpty() ? QString() : QStringLiteral("\u26A0 ") + problems.join(u'\n'), "proposalProblem");
    trouble->setVisible(!problems.isEmpty());

    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Cancel, this);
    m_record = buttons->addButton(tr("&Record"), QDialogButtonBox::AcceptRole);
    QPushButton* edit = buttons->addButton(tr("&Change..."), QDialogButtonBox::ActionRole);
    m_record->setEnabled(problems.isEmpty());
    edit->setEnabled(program.canRun());
    // What a file proposed is not done by a stray Return.
    m_record->setAutoDefault(false);
    edit->setAutoDefault(false);
    buttons->button(QDialogButtonBox::Cancel)->setDefault(true);
    auto* column = new QVBoxLayout(this);
    column->addWidget(question);
    column->addWidget(m_list, 1);
    column->addWidget(trouble);
    column->addWidget(buttons);
    resize(560, 480);
    connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(edit, &QPushButton::clicked, this, [this] {
        reject();
        emit editRequested();
    });
}

} // namespace kvloupe
