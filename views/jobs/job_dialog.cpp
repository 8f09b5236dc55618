// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/job_dialog.h"

#include "views/jobs/command_line.h"
#include "views/jobs/field_form.h"
#include "views/jobs/known_models.h"
#include "views/jobs/path_field.h"

#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QGuiApplication>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QSpinBox>
#include <QVBoxLayout>

#include <array>

namespace kvloupe {

namespace {

constexpr std::array suiteFields{"suite", "task", "samples", "shots", "seed", "level", "data"};

QLineEdit* lineWithHint(const QString& hint)
{
    auto* line = new QLineEdit;
    line->setPlaceholderText(hint);
    return line;
}

} // namespace

JobDialog::JobDialog(KvloupeProgram program, const QString& title, const QString& startText, QWidget* parent)
    : QDialog(parent)
    , m_program(std::move(program))
    , m_modelQuery(new ProgramQuery(this))
    , m_form(new FieldForm)
    , m_notice(new QLabel(this))
    , m_below(new QWidget(this))
    , m_command(new QLineEdit(this))
    , m_start(nullptr)
{
    setWindowTitle(title);
    m_notice->setWordWrap(true);
    m_notice->setTextFormat(Qt::PlainText);
    m_notice->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    m_notice->setAccessibleName(tr("What is missing"));
    m_notice->setObjectName(QStringLiteral("jobNotice"));
    m_notice->setText(m_program.missing);
    m_notice->setVisible(!m_program.canRun());
    m_command->setReadOnly(true);
    m_command->setAccessibleName(tr("The command that will run"));
    m_command->setObjectName(QStringLiteral("jobCommand"));
    auto* copy = new QPushButton(tr("&Copy"), this);
    copy->setAutoDefault(false);
    copy->setToolTip(tr("Copies the command, quoted for a shell"));

    auto* scroll = new QScrollArea(this);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setFocusPolicy(Qt::NoFocus);
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    scroll->setWidget(m_form);
    m_below->setLayout(new QVBoxLayout);
    m_below->layout()->setContentsMargins(0, 0, 0, 0);
    auto* commandRow = new QHBoxLayout;
    commandRow->addWidget(m_command, 1);
    commandRow->addWidget(copy);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Cancel, this);
    m_start = buttons->addButton(startText, QDialogButtonBox::AcceptRole);
    m_start->setObjectName(QStringLiteral("jobStart"));
    m_start->setDefault(true);
    auto* column = new QVBoxLayout(this);
    column->addWidget(m_notice);
    column->addWidget(scroll, 1);
    column->addWidget(m_below);
    column->addLayout(commandRow);
    column->addWidget(buttons);
    resize(760, 720);

    // Without the program nothing that is typed would lead anywhere.
    m_form->setEnabled(m_program.canRun());
    m_start->setEnabled(m_program.canRun());
    connect(copy, &QPushButton::clicked, this, [this] { QGuiApplication::clipboard()->setText(command()); });
    connect(buttons, &QDialogButtonBox::accepted, this, &JobDialog::start);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    connect(m_modelQuery, &ProgramQuery::answered, this, &JobDialog::adoptModels);
}

void JobDialog::addModelFields()
{
    m_form->addSection(tr("Model"));
    m_model = new QComboBox;
    m_model->setEditable(true);
    m_model->setInsertPolicy(QComboBox::NoInsert);
    m_model->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    m_model->setObjectName(QStringLiteral("jobModel"));
    m_model->lineEdit()->setPlaceholderText(tr("Known name, GGUF file, or folder in Hugging Face layout"));
    auto* file = new QPushButton(tr("File..."));
    auto* folder = new QPushButton(tr("Folder..."));
    auto* row = new QWidget;
    auto* boxes = new QHBoxLayout(row);
    boxes->setContentsMargins(0, 0, 0, 0);
    boxes->addWidget(m_model, 1);
    for (QPushButton* button : {file, folder}) {
        button->setAutoDefault(false);
        boxes->addWidget(button);
    }
    m_form->addField(QStringLiteral("model"), tr("&Model"), row,
        tr("A name that kvloupe models lists, a GGUF file, or a folder with config.json and *.safetensors"), m_model);
    m_adapter = new PathField(PathField::Kind::Folder, tr("Choose an adapter"), {});
    m_adapter->line()->setPlaceholderText(tr("none; a folder in the PEFT format, or a shipped one"));
    m_form->addField(QStringLiteral("adapter"), tr("&Adapter"), m_adapter,
        tr("A LoRA adapter that is merged into the model"), m_adapter->line());
    m_chat = new QCheckBox(tr("Prompts are user messages of the model's &chat template"));
    m_form->addField(QStringLiteral("chat"), {}, m_chat, tr("As one asks a model that was taught to answer"));

    connect(file, &QPushButton::clicked, this, [this] {
        const QString path = QFileDialog::getOpenFileName(this, tr("Choose a model"), {}, tr("GGUF (*.gguf)"));
        if (!path.isEmpty())
            m_model->setEditText(path);
    });
    connect(folder, &QPushButton::clicked, this, [this] {
        const QString path = QFileDialog::getExistingDirectory(this, tr("Choose a model in Hugging Face layout"));
        if (!path.isEmpty())
            m_model->setEditText(path);
    });
    connect(m_model, &QComboBox::editTextChanged, this, [this] { changed(QStringLiteral("model")); });
    connect(m_adapter, &PathField::changed, this, [this] { changed(QStringLiteral("adapter")); });
    connect(m_chat, &QCheckBox::toggled, this, [this] { changed(QStringLiteral("chat")); });
}

void JobDialog::addSuiteFields()
{
    m_suite = new QComboBox;
    m_suite->addItems({QStringLiteral("fundamental"), QStringLiteral("published")});
    m_suite->setItemData(0, tr("Made by the program, for eight abilities"), Qt::ToolTipRole);
    m_suite->setItemData(1, tr("Read from data sets in their published formats"), Qt::ToolTipRole);
    m_form->addField(QStringLiteral("suite"), tr("S&uite"), m_suite,
        tr("fundamental: made by the program; published: read from files"));
    m_tasks = lineWithHint(tr("all; for example ar,niah"));
    m_form->addField(QStringLiteral("task"), tr("&Tasks"), m_tasks, tr("Names of tasks, separated by commas"));
    const auto number = [](int least, int most, const QString& special) {
        auto* box = new QSpinBox;
        box->setRange(least, most);
        box->setSpecialValueText(special);
        return box;
    };
    m_samples = number(0, 1'000'000, tr("all of a data file"));
    m_form->addField(QStringLiteral("samples"), tr("Sam&ples"), m_samples, tr("Items per task"));
    m_shots = number(-1, 1000, tr("the task's own"));
    m_form->addField(
        QStringLiteral("shots"), tr("Sh&ots"), m_shots, tr("Worked examples that stand before the question"));
    m_seed = new QLineEdit;
    m_form->addField(QStringLiteral("seed"), tr("S&eed"), m_seed, tr("Which items; the same seed gives the same ones"));
    m_level = number(0, 100, tr("the task's own"));
    m_form->addField(QStringLiteral("level"), tr("Le&vel"), m_level, tr("Difficulty, from 1 on"));
    m_data = new PathField(
        PathField::Kind::OpenFile, tr("Choose a data set"), tr("Data sets (*.jsonl *.json *.csv);;All files (*)"));
    m_form->addField(
        QStringLiteral("data"), tr("&Data"), m_data, tr("Data set in its published format"), m_data->line());

    connect(m_suite, &QComboBox::currentIndexChanged, this, [this] { changed(QStringLiteral("suite")); });
    connect(m_tasks, &QLineEdit::textChanged, this, [this] { changed(QStringLiteral("task")); });
    connect(m_samples, &QSpinBox::valueChanged, this, [this] { changed(QStringLiteral("samples")); });
    connect(m_shots, &QSpinBox::valueChanged, this, [this] { changed(QStringLiteral("shots")); });
    connect(m_seed, &QLineEdit::textChanged, this, [this] { changed(QStringLiteral("seed")); });
    connect(m_level, &QSpinBox::valueChanged, this, [this] { changed(QStringLiteral("level")); });
    connect(m_data, &PathField::changed, this, [this] { changed(QStringLiteral("data")); });
}

void JobDialog::setSuiteVisible(bool visible)
{
    for (const char* field : suiteFields)
        m_form->setFieldVisible(QLatin1String(field), visible);
    if (visible)
        m_form->setFieldVisible(QStringLiteral("data"), m_suite->currentIndex() == 1 || !m_data->path().isEmpty());
}

void JobDialog::addMachineField(int threads)
{
    m_threads = new QSpinBox;
    m_threads->setRange(0, 4096);
    m_threads->setSpecialValueText(tr("all cores"));
    m_threads->setValue(threads);
    m_form->addField(QStringLiteral("threads"), tr("Th&reads"), m_threads, tr("Threads that compute"));
    connect(m_threads, &QSpinBox::valueChanged, this, [this] { changed(QStringLiteral("threads")); });
}

void JobDialog::addOutFields(const QString& title, const QString& filter)
{
    m_form->addSection(tr("File"));
    m_out = new PathField(PathField::Kind::SaveFile, title, filter);
    m_out->line()->setObjectName(QStringLiteral("jobOut"));
    m_form->addField(QStringLiteral("out"), tr("&Write to"), m_out, title, m_out->line());
    m_existing = new QComboBox;
    m_existing->addItem(tr("Leave it alone"), static_cast<int>(ExistingFile::Refuse));
    m_existing->addItem(tr("Go on after its last complete sample"), static_cast<int>(ExistingFile::Resume));
    m_existing->addItem(tr("Overwrite it"), static_cast<int>(ExistingFile::Overwrite));
    m_form->addField(QStringLiteral("existing"), tr("If it e&xists"), m_existing,
        tr("What is done when the file is there already; an unfinished run counts as one"));
    connect(m_out, &PathField::changed, this, [this] { changed(QStringLiteral("out")); });
    connect(m_existing, &QComboBox::currentIndexChanged, this, [this] { changed(QStringLiteral("out")); });
}

void JobDialog::addBelowForm(QWidget* widget)
{
    m_below->layout()->addWidget(widget);
}

void JobDialog::finishForm()
{
    if (m_program.canRun())
        m_modelQuery->ask(m_program.path, {QStringLiteral("models"), QStringLiteral("--json")});
    m_model->setFocus();
    refresh();
}

void JobDialog::adoptModels(const QByteArray& json)
{
    // What was typed stays; else the first that is on this machine can be run without further ado.
    QString shown = m_model->currentText();
    const QSignalBlocker quiet(m_model);
    m_model->clear();
    for (const KnownModelName& known : knownModelsOfJson(json)) {
        const bool isReady = known.state == QLatin1String("ready");
        m_model->addItem(known.name);
        m_model->setItemData(m_model->count() - 1,
            isReady ? tr("On this machine")
                    : tr("Not on this machine; kvloupe models fetch %1 gets it").arg(known.name),
            Qt::ToolTipRole);
        if (shown.isEmpty() && isReady)
            shown = known.name;
    }
    m_model->setEditText(shown.isEmpty() ? m_model->itemText(0) : shown);
    refresh();
}

RunArguments JobDialog::runArguments() const
{
    RunArguments arguments = m_shown;
    arguments.model = m_model->currentText().trimmed();
    arguments.adapter = m_adapter->path();
    arguments.chat = m_chat->isChecked();
    arguments.threads = m_threads->value();
    arguments.out = m_out->path();
    arguments.existing = static_cast<ExistingFile>(m_existing->currentData().toInt());
    SuiteArguments& suite = arguments.suite;
    suite.name = m_suite->currentText();
    suite.tasks = m_tasks->text().remove(u' ').split(u',', Qt::SkipEmptyParts);
    suite.samples = m_samples->value();
    suite.shots = m_shots->value() < 0 ? std::nullopt : std::optional(m_shots->value());
    suite.seed = m_seed->text().toULongLong();
    suite.level = m_level->value();
    suite.data = m_data->path();
    return arguments;
}

void JobDialog::showRunArguments(const RunArguments& arguments)
{
    m_shown = arguments;
    m_model->setEditText(arguments.model);
    m_adapter->setPath(arguments.adapter);
    m_chat->setChecked(arguments.chat);
    m_threads->setValue(arguments.threads);
    m_out->setPath(arguments.out);
    m_existing->setCurrentIndex(m_existing->findData(static_cast<int>(arguments.existing)));
    const SuiteArguments& suite = arguments.suite;
    if (!suite.name.isEmpty())
        m_suite->setCurrentText(suite.name);
    m_tasks->setText(suite.tasks.join(u','));
    m_samples->setValue(static_cast<int>(suite.samples));
    m_shots->setValue(suite.shots.value_or(-1));
    m_seed->setText(QString::number(suite.seed));
    m_level->setValue(suite.level);
    m_data->setPath(suite.data);
}

void JobDialog::fill(const std::function<void()>& setFields)
{
    m_isFilling = true;
    setFields();
    m_isFilling = false;
}

QString JobDialog::command() const
{
    return kvloupeCommandLine(arguments());
}

QString JobDialog::notice() const
{
    return m_notice->text();
}

void JobDialog::changed(const QString& field)
{
    if (m_isFilling)
        return;
    m_edited.insert(field);
    refresh();
}

void JobDialog::refresh()
{
    FieldProblems all = problems();
    bool isNumber = false;
    if (m_suite->isVisibleTo(m_form) && (m_seed->text().toULongLong(&isNumber), !isNumber))
        all.push_back(
            {QStringLiteral("seed"), tr("Found \"%1\", expected a whole number from 0 on").arg(m_seed->text())});
    FieldProblems shown;
    for (const FieldProblem& problem : all)
        if (m_edited.contains(problem.field))
            shown << problem;
    m_form->setProblems(shown);
    m_command->setText(command());
    m_command->setCursorPosition(0);
    m_allProblems = all;
    adoptChange(all.isEmpty() && m_program.canRun());
}

void JobDialog::start()
{
    refresh();
    if (!m_allProblems.isEmpty()) {
        // Now everything counts as looked at.
        for (const FieldProblem& problem : std::as_const(m_allProblems))
            m_edited.insert(problem.field);
        m_form->setProblems(m_allProblems);
        m_form->focusField(m_allProblems.front().field);
        return;
    }
    if (!m_program.canRun())
        return;
    emit startRequested(request());
    accept();
}

} // namespace kvloupe
