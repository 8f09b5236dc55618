// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/evaluate_dialog.h"

#include "views/jobs/field_form.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLineEdit>
#include <QListWidget>
#include <QSpinBox>

namespace kvloupe {

namespace {

constexpr int methodLines = 7; ///< on show at once

}

EvaluateDialog::EvaluateDialog(
    KvloupeProgram program, EvaluateArguments arguments, const QStringList& offered, QWidget* parent)
    : JobDialog(std::move(program), tr("Evaluate"), tr("&Start Evaluation"), parent)
    , m_base(std::move(arguments))
{
    addModelFields();
    form()->addSection(tr("Tasks"));
    addSuiteFields();
    addMethodFields(offered);
    addRunFields();
    addMachineField(m_base.threads);
    addOutFields(tr("Results to write"), tr("Results (*.jsonl)"));
    showArguments(m_base);
    finishForm();
}

void EvaluateDialog::addMethodFields(const QStringList& offered)
{
    form()->addSection(tr("Methods"));
    m_methods = new QListWidget;
    m_methods->setFixedHeight(methodLines * (fontMetrics().height() + 4));
    m_methods->setObjectName(QStringLiteral("evaluateMethods"));
    QStringList specs = m_base.methods;
    for (const QString& spec : offered)
        if (!specs.contains(spec))
            specs << spec;
    for (const QString& spec : std::as_const(specs)) {
        auto* item = new QListWidgetItem(spec, m_methods);
        item->setFlags(Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsUserCheckable);
        item->setCheckState(m_base.methods.contains(spec) ? Qt::Checked : Qt::Unchecked);
    }
    form()->addField(QStringLiteral("method"), tr("Methods to &compare"), m_methods,
        tr("Methods of the window; the full cache is always measured beside them"));
    m_budgetOption = new QComboBox;
    m_budgetOption->addItem(tr("share kept"), static_cast<int>(BudgetOption::Keep));
    m_budgetOption->addItem(tr("tokens per head"), static_cast<int>(BudgetOption::Capacity));
    m_budgetOption->addItem(tr("share removed"), static_cast<int>(BudgetOption::CompressionRatio));
    m_budgetOption->setAccessibleName(tr("How budgets are meant"));
    m_budgets = new QLineEdit;
    auto* row = new QWidget;
    auto* boxes = new QHBoxLayout(row);
    boxes->setContentsMargins(0, 0, 0, 0);
    boxes->addWidget(m_budgets, 1);
    boxes->addWidget(m_budgetOption);
    form()->addField(QStringLiteral("budget"), tr("&Budgets"), row,
        tr("Separated by commas, for example 0.5,0.3,0.1; shares are of the prompt's tokens"), m_budgets);
    m_decodeKeep = new QLineEdit;
    m_decodeKeep->setPlaceholderText(tr("as the budget"));
    form()->addField(QStringLiteral("decode-keep"), tr("Generated to&kens kept"), m_decodeKeep,
        tr("Share of the generated tokens that methods keep which evict those (ShotKV)"));

    connect(m_methods, &QListWidget::itemChanged, this, [this] { changed(QStringLiteral("method")); });
    connect(m_budgets, &QLineEdit::textChanged, this, [this] { changed(QStringLiteral("budget")); });
    connect(m_budgetOption, &QComboBox::currentIndexChanged, this, [this] { changed(QStringLiteral("budget")); });
    connect(m_decodeKeep, &QLineEdit::textChanged, this, [this] { changed(QStringLiteral("decode-keep")); });
}

void EvaluateDialog::addRunFields()
{
    form()->addSection(tr("Run"));
    m_firstToken = new QComboBox;
    m_firstToken->addItems({QStringLiteral("auto"), QStringLiteral("full"), QStringLiteral("compressed")});
    form()->addField(QStringLiteral("first-token"), tr("&First token"), m_firstToken,
        tr("Cache that the first generated token comes from: full, as after any prefill; compressed, the last prompt "
           "token being processed again; auto: compressed where the answer is the first token"));
    m_compressSpan = new QComboBox;
    m_compressSpan->addItems({QStringLiteral("prompt"), QStringLiteral("context")});
    form()->addField(QStringLiteral("compress-span"), tr("Com&press"), m_compressSpan,
        tr("The whole prompt, or what stands before the question (context)"));
    m_maxNewTokens = new QSpinBox;
    m_maxNewTokens->setRange(0, 1'000'000);
    m_maxNewTokens->setSpecialValueText(tr("each item's own"));
    form()->addField(
        QStringLiteral("max-new-tokens"), tr("Longest a&nswer"), m_maxNewTokens, tr("Tokens that may be generated"));
    auto* measures = new QWidget;
    auto* boxes = new QHBoxLayout(measures);
    boxes->setContentsMargins(0, 0, 0, 0);
    const auto addMeasure = [&](const char* name, const QString& help) {
        auto* box = new QCheckBox(QLatin1String(name));
        box->setToolTip(help);
        boxes->addWidget(box);
        m_measures << box;
        connect(box, &QCheckBox::toggled, this, [this] { changed(QStringLiteral("measure")); });
    };
    addMeasure("accuracy", tr("Share of answers that are right"));
    addMeasure("nll", tr("Nats per token of the gold answer, read through the compressed cache"));
    addMeasure("kl", tr("Kullback-Leibler divergence from the run with the full cache, along its tokens"));
    boxes->addStretch(1);
    form()->addField(
        QStringLiteral("measure"), tr("Measures"), measures, tr("What is measured of each answer"), m_measures.front());
    m_code = new QCheckBox(tr("Run code that the model wrote, in an isolated process"));
    form()->addField(QStringLiteral("allow-code-execution"), {}, m_code, tr("Tasks such as humaneval need it"));

    connect(m_firstToken, &QComboBox::currentIndexChanged, this, [this] { changed(QStringLiteral("first-token")); });
    connect(
        m_compressSpan, &QComboBox::currentIndexChanged, this, [this] { changed(QStringLiteral("compress-span")); });
    connect(m_maxNewTokens, &QSpinBox::valueChanged, this, [this] { changed(QStringLiteral("max-new-tokens")); });
    connect(m_code, &QCheckBox::toggled, this, [this] { changed(QStringLiteral("allow-code-execution")); });
}

void EvaluateDialog::showArguments(const EvaluateArguments& arguments)
{
    fill([&] {
        showRunArguments(arguments);
        m_budgets->setText(arguments.budgets);
        m_budgetOption->setCurrentIndex(m_budgetOption->findData(static_cast<int>(arguments.budgetOption)));
        m_decodeKeep->setText(arguments.decodeKeep);
        m_firstToken->setCurrentText(arguments.firstToken);
        m_compressSpan->setCurrentText(arguments.compressSpan);
        m_maxNewTokens->setValue(static_cast<int>(arguments.maxNewTokens.value_or(0)));
        for (QCheckBox* box : std::as_const(m_measures))
            box->setChecked(arguments.measures.contains(box->text()));
        m_code->setChecked(arguments.allowCodeExecution);
    });
}

EvaluateArguments EvaluateDialog::evaluateArguments() const
{
    EvaluateArguments arguments = m_base;
    static_cast<RunArguments&>(arguments) = runArguments();
    arguments.methods.clear();
    for (int row = 0; row < m_methods->count(); ++row)
        if (m_methods->item(row)->checkState() == Qt::Checked)
            arguments.methods << m_methods->item(row)->text();
    arguments.budgets = m_budgets->text().remove(u' ');
    arguments.budgetOption = static_cast<BudgetOption>(m_budgetOption->currentData().toInt());
    arguments.decodeKeep = m_decodeKeep->text().trimmed();
    arguments.firstToken = m_firstToken->currentText();
    arguments.compressSpan = m_compressSpan->currentText();
    arguments.maxNewTokens
        = m_maxNewTokens->value() > 0 ? std::optional<qint64>(m_maxNewTokens->value()) : std::nullopt;
    arguments.measures.clear();
    for (const QCheckBox* box : m_measures)
        if (box->isChecked())
            arguments.measures << box->text();
    arguments.allowCodeExecution = m_code->isChecked();
    return arguments;
}

JobRequest EvaluateDialog::request() const
{
    const EvaluateArguments arguments = evaluateArguments();
    return {tr("Evaluate %1").arg(QFileInfo(arguments.out).fileName()), arguments.toArguments(),
        arguments.out.toStdString()};
}

void EvaluateDialog::adoptChange(bool)
{
    setSuiteVisible(true);
}

} // namespace kvloupe
