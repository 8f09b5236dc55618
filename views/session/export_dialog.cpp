// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/export_dialog.h"

#include "views/figure/attention_figure.h"
#include "views/figure/figure_command.h"

#include <QApplication>
#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QDoubleSpinBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSpinBox>
#include <QVBoxLayout>

namespace kvloupe {

namespace {

constexpr int settleMilliseconds = 120;

struct Preview {
    std::shared_ptr<FigureData> data;
    QString problem;
};

} // namespace

ExportDialog::ExportDialog(RecordingSource* source, FigureSpec spec, Settings* settings, QWidget* parent)
    : QDialog(parent)
    , m_source(source)
    , m_settings(settings)
    , m_spec(std::move(spec))
    , m_width(new QDoubleSpinBox(this))
    , m_height(new QDoubleSpinBox(this))
    , m_font(new QDoubleSpinBox(this))
    , m_dpi(new QSpinBox(this))
    , m_range(new QComboBox(this))
    , m_title(new QLineEdit(this))
    , m_shade(new QCheckBox(tr("&Pale the columns the first method drops"), this))
    , m_tokens(new QCheckBox(tr("&Token text where it fits"), this))
    , m_spans(new QCheckBox(tr("S&hots and other sections"), this))
    , m_preview(new QLabel(this))
    , m_problem(new QLabel(this))
    , m_command(new QLineEdit(this))
{
    setWindowTitle(tr("Export Figure"));
    const auto millimetres = [](QDoubleSpinBox* box, double value) {
        box->setRange(box->minimum(), 2000.0);
        box->setDecimals(1);
        box->setSuffix(tr(" mm"));
        box->setValue(value);
    };
    m_width->setMinimum(20.0);
    millimetres(m_width, m_spec.widthMm);
    m_height->setMinimum(0.0);
    millimetres(m_height, m_spec.heightMm);
    m_height->setSpecialValueText(tr("square cells"));
    m_font->setRange(3.0, 72.0);
    m_font->setDecimals(1);
    m_font->setSuffix(tr(" pt"));
    m_font->setValue(m_spec.fontPoints);
    m_dpi->setRange(30, 2400);
    m_dpi->setSuffix(tr(" dpi"));
    m_dpi->setValue(m_spec.dpi);
    m_range->addItems({tr("What the window shows"), tr("The whole prompt")});
    m_title->setPlaceholderText(tr("Model, layer and head"));
    m_shade->setChecked(m_spec.shadeDropped);
    m_tokens->setChecked(m_spec.showTokens);
    m_spans->setChecked(m_spec.showSpans);
    m_preview->setMinimumSize(360, 360);
    m_preview->setAlignment(Qt::AlignCenter);
    m_preview->setAccessibleName(tr("Preview"));
    m_preview->setFrameShape(QFrame::StyledPanel);
    m_problem->setWordWrap(true);
    m_problem->setTextFormat(Qt::PlainText);
    m_problem->setObjectName(QStringLiteral("exportProblem"));
    m_problem->hide();
    m_command->setReadOnly(true);
    m_command->setAccessibleName(tr("The same figure from the command line"));
    m_command->setObjectName(QStringLiteral("exportCommand"));

    auto* form = new QFormLayout;
    form->addRow(tr("&Width"), m_width);
    form->addRow(tr("H&eight"), m_height);
    form->addRow(tr("&Font size"), m_font);
    form->addRow(tr("&Density"), m_dpi);
    form->addRow(tr("&Range"), m_range);
    form->addRow(tr("T&itle"), m_title);
    form->addRow(m_shade);
    form->addRow(m_tokens);
    form->addRow(m_spans);
    auto* copy = new QPushButton(tr("&Copy"), this);
    auto* commandRow = new QHBoxLayout;
    commandRow->addWidget(m_command, 1);
    commandRow->addWidget(copy);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Save | QDialogButtonBox::Close, this);
    auto* left = new QVBoxLayout;
    left->addLayout(form);
    left->addStretch(1);
    left->addWidget(m_problem);
    auto* top = new QHBoxLayout;
    top->addLayout(left);
    top->addWidget(m_preview, 1);
    auto* column = new QVBoxLayout(this);
    column->addLayout(top, 1);
    column->addLayout(commandRow);
    column->addWidget(buttons);
    resize(900, 560);

    m_settle.setSingleShot(true);
    m_settle.setInterval(settleMilliseconds);
    connect(&m_settle, &QTimer::timeout, this, &ExportDialog::requestPreview);
    const auto settle = [this] {
        m_command->setText(command());
        m_command->setCursorPosition(0);
        m_settle.start();
    };
    for (QDoubleSpinBox* box : {m_width, m_height, m_font})
        connect(box, &QDoubleSpinBox::valueChanged, this, settle);
    connect(m_dpi, &QSpinBox::valueChanged, this, settle);
    connect(m_range, &QComboBox::currentIndexChanged, this, settle);
    connect(m_title, &QLineEdit::textChanged, this, settle);
    for (QCheckBox* box : {m_shade, m_tokens, m_spans})
        connect(box, &QCheckBox::toggled, this, settle);
    connect(copy, &QPushButton::clicked, this, [this] { QApplication::clipboard()->setText(command()); });
    connect(buttons, &QDialogButtonBox::accepted, this, &ExportDialog::chooseFile);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    settle();
}

FigureSpec ExportDialog::spec() const
{
    FigureSpec spec = m_spec;
    spec.widthMm = m_width->value();
    spec.heightMm = m_height->value() < 20.0 ? 0.0 : m_height->value();
    spec.fontPoints = m_font->value();
    spec.dpi = m_dpi->value();
    if (m_range->currentIndex() == 1) {
        spec.keys.reset();
        spec.queries.reset();
    }
    if (!m_title->text().isEmpty())
        spec.title = m_title->text().toStdString();
    spec.shadeDropped = m_shade->isChecked();
    spec.showTokens = m_tokens->isChecked();
    spec.showSpans = m_spans->isChecked();
    return spec;
}

QString ExportDialog::command() const
{
    return QString::fromStdString(figureCommandLine(spec(), "figure.pdf"));
}

bool ExportDialog::hasPreview() const
{
    return !m_preview->pixmap(Qt::ReturnByValue).isNull();
}

void ExportDialog::resizeEvent(QResizeEvent* event)
{
    QDialog::resizeEvent(event);
    m_settle.start();
}

void ExportDialog::requestPreview()
{
    const quint64 generation = ++m_generation;
    FigureSpec wanted = spec();
    // As many pixels as the preview has: the same layout, another density.
    const double ratio = devicePixelRatioF();
    wanted.dpi = std::clamp(static_cast<int>(m_preview->width() * ratio / (wanted.widthMm / 25.4)), 30, 300);
    m_source->run<Preview>(
        this, RecordingSource::Priority::Immediate,
        [wanted](RecordingAccess& access) {
            Preview preview;
            try {
                preview.data = std::make_shared<FigureData>(gatherFigure(access.recording, access.tiles, wanted));
            } catch (const std::exception& error) {
                preview.problem = QString::fromUtf8(error.what());
            }
            return preview;
        },
        [this, generation, ratio](Preview preview) {
            if (generation != m_generation)
                return;
            m_problem->setText(preview.problem);
            m_problem->setVisible(!preview.problem.isEmpty());
            if (!preview.data) {
                m_preview->clear();
                return;
            }
            const AttentionFigure figure(std::move(*preview.data));
            const QImage whole = QImage::fromData(figure.render(FigureFormat::Png), "PNG");
            QPixmap picture = QPixmap::fromImage(
                whole.scaled(m_preview->size() * ratio, Qt::KeepAspectRatio, Qt::SmoothTransformation));
            picture.setDevicePixelRatio(ratio);
            m_preview->setPixmap(picture);
        });
}

void ExportDialog::chooseFile()
{
    const QString folder = m_settings->exportFolder();
    const QString name = QStringLiteral("layer%1_head%2.pdf").arg(m_spec.layer).arg(m_spec.head);
    QString filter;
    QString path = QFileDialog::getSaveFileName(this, tr("Export Figure"),
        folder.isEmpty() ? name : folder + QLatin1Char('/') + name,
        tr("PDF (*.pdf);;SVG (*.svg);;PNG (*.png);;CSV, the numbers (*.csv)"), &filter);
    if (path.isEmpty())
        return;
    if (QFileInfo(path).suffix().isEmpty())
        path += filter.mid(filter.indexOf(QLatin1String("*.")) + 1).chopped(1);
    m_settings->setExportFolder(QFileInfo(path).absolutePath());
    emit saveRequested(spec(), path.toStdString());
    accept();
}

} // namespace kvloupe
