// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/lost/lost_view.h"

#include "views/lost/lost_model.h"
#include "views/methods/method_model.h"
#include "views/session/open_recording.h"

#include <QHeaderView>
#include <QLabel>
#include <QLocale>
#include <QSplitter>
#include <QTreeWidget>
#include <QVBoxLayout>

#include <algorithm>
#include <chrono>

namespace kvloupe {

namespace {

constexpr std::chrono::milliseconds rest{80};
constexpr int firstNumber = Qt::UserRole;
constexpr int secondNumber = Qt::UserRole + 1;

QTreeWidget* list(const QString& name, const QStringList& columns, const QString& tip)
{
    auto* tree = new QTreeWidget;
    tree->setRootIsDecorated(false);
    tree->setUniformRowHeights(true);
    tree->setAllColumnsShowFocus(true);
    tree->setHeaderLabels(columns);
    tree->header()->setStretchLastSection(true);
    tree->header()->setSectionResizeMode(QHeaderView::ResizeToContents);
    tree->setAccessibleName(name);
    tree->setToolTip(tip);
    return tree;
}

QString percent(double share)
{
    return QLocale().toString(100.0 * share, 'f', 2);
}

} // namespace

LostView::LostView(const ViewModels& models, LostModel* model, QWidget* parent)
    : QWidget(parent)
    , m_models(models)
    , m_model(model)
    , m_caption(new QLabel)
    , m_heads(list(tr("Heads by lost attention"), {tr("layer"), tr("head"), tr("lost %")},
          tr("Lost attention of a head = sum over the prompt tokens it dropped of the mean attention on them, under "
             "full "
             "attention.\nEnter or a double click shows the head.")))
    , m_tokens(list(tr("Dropped tokens by lost attention"), {tr("token"), tr("text"), tr("lost %"), tr("heads")},
          tr("Lost attention on a token = sum over the heads that dropped it of the mean attention on it / all heads.\n"
             "Enter or a double click shows the token.")))
{
    m_heads->setObjectName(QStringLiteral("lostHeads"));
    m_tokens->setObjectName(QStringLiteral("lostTokens"));
    m_caption->setTextFormat(Qt::PlainText);
    m_caption->setWordWrap(true);
    m_caption->setContentsMargins(8, 2, 8, 2);
    auto* lists = new QSplitter(Qt::Horizontal);
    lists->addWidget(m_heads);
    lists->addWidget(m_tokens);
    lists->setStretchFactor(0, 2);
    lists->setStretchFactor(1, 3);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(m_caption);
    column->addWidget(lists, 1);
    connect(m_heads, &QTreeWidget::itemActivated, this, [this](const QTreeWidgetItem* item) {
        m_models.selection->setHead(item->data(0, firstNumber).toInt(), item->data(0, secondNumber).toInt());
    });
    connect(m_tokens, &QTreeWidget::itemActivated, this, [this](const QTreeWidgetItem* item) {
        const auto token = item->data(0, firstNumber).toLongLong();
        m_models.selection->setCell(std::max<std::int64_t>(m_models.selection->query(), token), token);
    });
    m_rest.setSingleShot(true);
    m_rest.setInterval(rest);
    connect(&m_rest, &QTimer::timeout, this, &LostView::refresh);
    connect(m_model, &LostModel::changed, &m_rest, qOverload<>(&QTimer::start));
}

LostView::~LostView()
{
    m_model->setInterested(this, false);
}

void LostView::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    m_model->setInterested(this, true);
    refresh();
}

void LostView::hideEvent(QHideEvent* event)
{
    QWidget::hideEvent(event);
    m_model->setInterested(this, false);
}

void LostView::refresh()
{
    if (!isVisible())
        return;
    const std::vector<LostModel::Head> heads = m_model->heads();
    const std::vector<LostModel::Token> tokens = m_model->tokens();
    const int row = m_models.methods->current();
    const SampleModelPtr& sample = m_models.recording->sample();
    QString caption = m_model->problem();
    if (caption.isEmpty() && sample && row >= 0 && !heads.empty()) {
        double sum = 0.0;
        for (const LostModel::Head& head : heads)
            sum += head.mass;
        caption = tr("%1 drops tokens that hold %2 % of the attention %3, mean over %4 heads")
                      .arg(m_models.methods->entries()[static_cast<std::size_t>(row)].title,
                          percent(sum / static_cast<double>(heads.size())), m_model->queriesText())
                      .arg(heads.size());
    } else if (caption.isEmpty()) {
        caption = sample ? tr("Reading where the queries looked") : tr("No sample is open.");
    }
    m_caption->setText(caption);
    QList<QTreeWidgetItem*> items;
    for (const LostModel::Head& head : heads) {
        auto* item = new QTreeWidgetItem({QString::number(head.layer), QString::number(head.head), percent(head.mass)});
        item->setData(0, firstNumber, head.layer);
        item->setData(0, secondNumber, head.head);
        items.push_back(item);
    }
    m_heads->clear();
    m_heads->addTopLevelItems(items);
    items.clear();
    for (const LostModel::Token& token : tokens) {
        auto* item = new QTreeWidgetItem({QString::number(token.token), sample->tokens.label(token.token),
            percent(token.mass), QString::number(token.heads)});
        item->setData(0, firstNumber, static_cast<qlonglong>(token.token));
        items.push_back(item);
    }
    m_tokens->clear();
    m_tokens->addTopLevelItems(items);
}

QString LostView::asText() const
{
    QStringList lines{m_caption->text()};
    for (const QTreeWidget* tree : {m_heads, m_tokens}) {
        for (int row = 0; row < tree->topLevelItemCount(); ++row) {
            QStringList cells;
            for (int column = 0; column < tree->columnCount(); ++column)
                cells << tree->topLevelItem(row)->text(column);
            lines << cells.join(QLatin1Char('\t'));
        }
    }
    return lines.join(QLatin1Char('\n'));
}

} // namespace kvloupe
