// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/record_dialog.h"

#include "views/jobs/field_form.h"
#include "views/jobs/path_field.h"
#include "views/jobs/recording_estimate.h"

#include <QComboBox>
#include <QFileInfo>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QSpinBox>
#include <QVBoxLayout>

namespace kvloupe {

namespace {

constexpr int settleMilliseconds = 700; ///< after the last change: an estimate loads the model
constexpr int promptLines = 6; ///< on show at once

} // namespace

RecordDialog::RecordDialog(KvloupeProgram program, CaptureArguments arguments, QWidget* parent)
    : JobDialog(std::move(program), tr("Record"), tr("&Start Recording"), parent)
    , m_base(std::move(arguments))
    , m_query(new ProgramQuery(this))
    , m_estimate(new QLabel(this))
{
    m_estimate->setWordWrap(true);
    m_estimate->setTextFormat(Qt::PlainText);
    m_estimate->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_estimate->setAccessibleName(tr("Estimate"));
    m_estimate->setObjectName(QStringLiteral("recordEstimate"));
    m_estimate->setMinimumHeight(2 * fontMetrics().lineSpacing());
    m_settle.setSingleShot(true);
    m_settle.setInterval(settleMilliseconds);
    addModelFields();
    addPromptFields();
    addRecordingFields();
    addMachineField(m_base.threads);
    m_memory = new QLineEdit;
    m_memory->setPlaceholderText(tr("what is available; for example 4G"));
    form()->addField(QStringLiteral("memory"), tr("Memory &limit"), m_memory,
        tr("Weights that do not fit stay in their file and are read piece by piece; what does not fit even so is "
           "refused "
           "before it starts"));
    connect(m_memory, &QLineEdit::textChanged, this, [this] { changed(QStringLiteral("memory")); });
    addOutFields(tr("Recording to write"), tr("Recordings (*.h5)"));
    addBelowForm(m_estimate);
    connect(&m_settle, &QTimer::timeout, this, &RecordDialog::askEstimate);
    connect(m_query, &ProgramQuery::answered, this, [this](const QByteArray& json) {
        const auto found = estimateOfJson(json);
        if (!found) {
            m_estimate->setText(tr("The size could not be estimated: kvloupe gave no numbers"));
            return;
        }
        const FreeResources free = freeResources(captureArguments().out);
        QStringList lines{estimateText(*found, free)};
        for (const QString& warning : estimateWarnings(*found, free))
            lines << QStringLiteral("\u26A0 ") + warning;
        m_estimate->setText(lines.join(u'\n'));
    });
    connect(m_query, &ProgramQuery::failed, this,
        [this](const QString& problem) { m_estimate->setText(QStringLiteral("\u26A0 ") + problem); });
    showArguments(m_base);
    finishForm();
}

void RecordDialog::addPromptFields()
{
    form()->addSection(tr("Prompts"));
    m_source = new QComboBox;
    m_source->addItem(tr("Text typed here"), static_cast<int>(PromptSource::Text));
    m_source->addItem(tr("A text file"), static_cast<int>(PromptSource::File));
    m_source->addItem(tr("JSON lines with prompts"), static_cast<int>(PromptSource::Lines));
    m_source->addItem(tr("JSON with token ids"), static_cast<int>(PromptSource::Ids));
    m_source->addItem(tr("A suite of tasks"), static_cast<int>(PromptSource::Suite));
    m_source->setObjectName(QStringLiteral("recordSource"));
    form()->addField(QStringLiteral("source"), tr("&From"), m_source, tr("Where the prompts come from"));
    m_prompt = new QPlainTextEdit;
    m_prompt->setTabChangesFocus(true);
    m_prompt->setFixedHeight(promptLines * fontMetrics().lineSpacing() + 10);
    m_prompt->setObjectName(QStringLiteral("recordPrompt"));
    m_file = new PathField(PathField::Kind::OpenFile, tr("Choose the prompts"), tr("All files (*)"));
    auto* contents = new QWidget;
    auto* column = new QVBoxLayout(contents);
    column->setContentsMargins(0, 0, 0, 0);
    column->addWidget(m_prompt);
    column->addWidget(m_file);
    form()->addField(
        QStringLiteral("prompt"), tr("&Prompt"), contents, tr("The text, or the file that holds it"), m_prompt);
    m_file->line()->setAccessibleName(tr("File of the prompt"));
    addSuiteFields();
    m_spans = new QComboBox;
    m_spans->setEditable(true);
    m_spans->setInsertPolicy(QComboBox::NoInsert);
    m_spans->addItems({QStringLiteral("auto"), QStringLiteral("none")});
    form()->addField(QStringLiteral("spans"), tr("E&xamples"), m_spans,
        tr("auto: few-shot examples are found; none; or a JSON file with spans in bytes of the prompt"));

    connect(m_source, &QComboBox::currentIndexChanged, this, [this] { changed(QStringLiteral("source")); });
    connect(m_prompt, &QPlainTextEdit::textChanged, this, [this] { changed(QStringLiteral("prompt")); });
    connect(m_file, &PathField::changed, this, [this] { changed(QStringLiteral("prompt")); });
    connect(m_spans, &QComboBox::editTextChanged, this, [this] { changed(QStringLiteral("spans")); });
}

void RecordDialog::addRecordingFields()
{
    form()->addSection(tr("Recording"));
    m_record = new QComboBox;
    m_record->addItem(tr("What fits: maps, else queries and keys"), QString());
    m_record->addItem(tr("Attention maps (full)"), QStringLiteral("full"));
    m_record->addItem(tr("Queries and keys (qk)"), QStringLiteral("qk"));
    m_record->addItem(tr("Statistics only (stats)"), QStringLiteral("stats"));
    form()->addField(QStringLiteral("record"), tr("Rec&ord"), m_record,
        tr("Maps are made again from queries and keys where they are not stored; statistics allow fewer methods. What "
           "fits: full while the maps of a sample stay under 2 GiB"));
    m_layers = new QLineEdit;
    m_layers->setPlaceholderText(tr("all; for example 0-5,8"));
    form()->addField(QStringLiteral("layers"), tr("La&yers"), m_layers, tr("Layers to record"));
    m_heads = new QLineEdit;
    m_heads->setPlaceholderText(tr("all; for example 5:3,20:7"));
    form()->addField(QStringLiteral("heads"), tr("&Heads"), m_heads, tr("LAYER:HEAD whose maps are stored"));
    m_generate = new QSpinBox;
    m_generate->setRange(0, 1'000'000);
    m_generate->setSpecialValueText(tr("none"));
    m_generate->setSuffix(tr(" tokens"));
    form()->addField(QStringLiteral("generate"), tr("&Generate"), m_generate,
        tr("Tokens to generate after the prompt, greedily; the timeline needs some"));
    m_compression = new QComboBox;
    m_compression->addItems({QStringLiteral("none"), QStringLiteral("fast"), QStringLiteral("small")});
    form()->addField(
        QStringLiteral("compression"), tr("Comp&ression"), m_compression, tr("fast and small are both deflate"));

    connect(m_record, &QComboBox::currentIndexChanged, this, [this] { changed(QStringLiteral("record")); });
    connect(m_layers, &QLineEdit::textChanged, this, [this] { changed(QStringLiteral("layers")); });
    connect(m_heads, &QLineEdit::textChanged, this, [this] { changed(QStringLiteral("heads")); });
    connect(m_generate, &QSpinBox::valueChanged, this, [this] { changed(QStringLiteral("generate")); });
    connect(m_compression, &QComboBox::currentIndexChanged, this, [this] { changed(QStringLiteral("compression")); });
}

void RecordDialog::showArguments(const CaptureArguments& arguments)
{
    fill([&] {
        showRunArguments(arguments);
        m_source->setCurrentIndex(m_source->findData(static_cast<int>(arguments.source)));
        if (arguments.source == PromptSource::Text)
            m_prompt->setPlainText(arguments.prompt);
        else
            m_file->setPath(arguments.prompt);
        m_spans->setEditText(arguments.spans);
        m_record->setCurrentIndex(m_record->findData(arguments.record));
        m_layers->setText(arguments.layers);
        m_heads->setText(arguments.heads);
        m_generate->setValue(static_cast<int>(arguments.generate));
        m_compression->setCurrentText(arguments.compression);
        m_memory->setText(arguments.memory);
    });
}

CaptureArguments RecordDialog::captureArguments() const
{
    CaptureArguments arguments = m_base;
    static_cast<RunArguments&>(arguments) = runArguments();
    arguments.source = static_cast<PromptSource>(m_source->currentData().toInt());
    if (arguments.source != PromptSource::Suite)
        arguments.suite = {};
    arguments.prompt = arguments.source == PromptSource::Text ? m_prompt->toPlainText()
        : arguments.source == PromptSource::Suite             ? QString()
                                                              : m_file->path();
    arguments.spans = m_spans->currentText().trimmed();
    arguments.record = m_record->currentData().toString();
    arguments.layers = m_layers->text().remove(u' ');
    arguments.heads = m_heads->text().remove(u' ');
    arguments.generate = m_generate->value();
    arguments.compression = m_compression->currentText();
    arguments.memory = m_memory->text().trimmed();
    return arguments;
}

QString RecordDialog::estimate() const
{
    return m_estimate->text();
}

JobRequest RecordDialog::request() const
{
    const CaptureArguments arguments = captureArguments();
    return {
        tr("Record %1").arg(QFileInfo(arguments.out).fileName()), arguments.toArguments(), arguments.out.toStdString()};
}

void RecordDialog::adoptChange(bool isSound)
{
    const auto source = static_cast<PromptSource>(m_source->currentData().toInt());
    const bool fromSuite = source == PromptSource::Suite;
    form()->setFieldVisible(QStringLiteral("prompt"), !fromSuite);
    m_prompt->setVisible(source == PromptSource::Text);
    m_file->setVisible(!fromSuite && source != PromptSource::Text);
    setSuiteVisible(fromSuite);
    CaptureArguments asked = captureArguments();
    asked.existing = ExistingFile::Refuse; // no matter of an estimate, which writes nothing
    const QStringList arguments = asked.toArguments();
    if (!isSound) {
        m_query->cancel();
        m_settle.stop();
        m_estimated.clear();
        m_estimate->setText(program().canRun() ? tr("The size is estimated once the fields are complete.") : QString());
    } else if (arguments != m_estimated) {
        m_query->cancel();
        m_estimated = arguments;
        m_estimate->setText(tr("Estimating size and time..."));
        m_settle.start();
    }
}

void RecordDialog::askEstimate()
{
    m_query->ask(program().path,
        m_estimated
            + QStringList{QStringLiteral("--estimate"), QStringLiteral("--json"), QStringLiteral("--progress"),
                QStringLiteral("none")});
}

} // namespace kvloupe
