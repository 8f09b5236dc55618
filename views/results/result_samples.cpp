// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/results/result_samples.h"

#include <QLocale>

#include <utility>

namespace kvloupe {

namespace {

constexpr qsizetype longestCell = 200; ///< characters; a table is no place to read a whole answer

QString oneLine(const std::string& text)
{
    QString line = QString::fromStdString(text).simplified();
    if (line.size() > longestCell)
        line = line.left(longestCell - 1) + QChar(u'…');
    return line;
}

QString verdict(const ResultRow& row)
{
    if (!row.outcome)
        return ResultSamples::tr("skipped");
    if (row.outcome->score > 0.0 && row.outcome->score < 1.0)
        return ResultSamples::tr("%1 %").arg(QLocale().toString(100.0 * row.outcome->score, 'f', 0));
    return row.outcome->correct ? ResultSamples::tr("right") : ResultSamples::tr("wrong");
}

QString stopText(const std::string& stop)
{
    if (stop == "length")
        return ResultSamples::tr("limit");
    if (stop == "context")
        return ResultSamples::tr("context full");
    return {};
}

} // namespace

void ResultSamples::setRows(std::shared_ptr<const ResultsData> data, std::vector<std::size_t> rows)
{
    beginResetModel();
    m_data = std::move(data);
    m_rows = std::move(rows);
    endResetModel();
}

const ResultRow* ResultSamples::fullRow(int number) const
{
    const std::size_t own = m_rows[static_cast<std::size_t>(number)];
    const std::optional<std::size_t> full = m_data->fullRows[own];
    return full && *full != own ? &m_data->rows[*full] : nullptr;
}

bool ResultSamples::matches(int number, SampleFilter filter) const
{
    const ResultRow& here = row(number);
    const ResultRow* full = fullRow(number);
    const bool compared = here.outcome && full != nullptr && full->outcome;
    switch (filter) {
    case SampleFilter::All:
        return true;
    case SampleFilter::Wrong:
        return here.outcome && here.outcome->score < 1.0;
    case SampleFilter::Lost:
        return compared && here.outcome->score < full->outcome->score;
    case SampleFilter::Gained:
        return compared && here.outcome->score > full->outcome->score;
    case SampleFilter::Skipped:
        break;
    }
    return !here.outcome;
}

QString ResultSamples::details(int number) const
{
    const ResultRow& here = row(number);
    QStringList lines{tr("%1, %2 tokens, prompt sha256 %3")
                          .arg(QString::fromStdString(here.key.sample))
                          .arg(here.prompt.tokens)
                          .arg(QString::fromStdString(here.prompt.sha256)),
        tr("%1, %2 %3: %4 tokens per head asked for")
            .arg(QString::fromStdString(here.method.spec), QString::fromStdString(here.budget.kind),
                QString::fromStdString(here.budget.text))
            .arg(here.budget.requestedTokens)};
    if (!here.outcome) {
        lines << tr("Skipped: %1").arg(QString::fromStdString(here.skipped));
        return lines.join(QLatin1Char('\n'));
    }
    const ResultOutcome& outcome = *here.outcome;
    lines << tr("%1; answer taken: %2").arg(verdict(here), QString::fromStdString(outcome.extracted))
          << tr("expected: %1").arg(QString::fromStdString(here.reference)) << QString()
          << QString::fromStdString(outcome.text);
    if (const ResultRow* full = fullRow(number); full != nullptr && full->outcome)
        lines << QString() << tr("With the full cache (%1):").arg(verdict(*full))
              << QString::fromStdString(full->outcome->text);
    return lines.join(QLatin1Char('\n'));
}

int ResultSamples::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_rows.size());
}

int ResultSamples::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant ResultSamples::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || index.row() >= rowCount())
        return {};
    const ResultRow& here = row(index.row());
    const ResultOutcome* outcome = here.outcome ? &*here.outcome : nullptr;
    const bool isNumber = index.column() == LengthColumn || index.column() == NllColumn;
    if (role == Qt::TextAlignmentRole)
        return QVariant::fromValue(Qt::Alignment((isNumber ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter));
    if (role == Qt::ToolTipRole && index.column() == VerdictColumn && !outcome)
        return QString::fromStdString(here.skipped);
    if (role != Qt::DisplayRole && role != SortRole)
        return {};
    const bool sorting = role == SortRole;
    switch (index.column()) {
    case SampleColumn:
        return QString::fromStdString(here.key.sample);
    case MethodColumn:
        return QString::fromStdString(here.method.spec);
    case VerdictColumn:
        if (sorting)
            return outcome ? outcome->score : -1.0;
        return verdict(here);
    case FullColumn: {
        const ResultRow* full = fullRow(index.row());
        if (full == nullptr)
            return sorting ? QVariant(-1.0) : QVariant();
        if (sorting)
            return full->outcome ? full->outcome->score : -1.0;
        return matches(index.row(), SampleFilter::Lost)  ? tr("%1 (lost)").arg(verdict(*full))
            : matches(index.row(), SampleFilter::Gained) ? tr("%1 (gained)").arg(verdict(*full))
                                                         : verdict(*full);
    }
    case AnswerColumn:
        return outcome ? oneLine(outcome->extracted) : QString();
    case ReferenceColumn:
        return oneLine(here.reference);
    case OutputColumn:
        return outcome ? oneLine(outcome->text) : oneLine(here.skipped);
    case LengthColumn: {
        if (!outcome)
            return sorting ? QVariant(-1) : QVariant();
        const auto tokens = static_cast<qlonglong>(outcome->ids.size());
        if (sorting)
            return tokens;
        const QString stop = stopText(outcome->stop);
        return stop.isEmpty() ? QLocale().toString(tokens) : tr("%1, %2").arg(QLocale().toString(tokens), stop);
    }
    case NllColumn: {
        if (!outcome || outcome->nllGoldTokens == 0)
            return sorting ? QVariant(-1.0) : QVariant();
        const double nll = outcome->nllGoldSum / static_cast<double>(outcome->nllGoldTokens);
        return sorting ? QVariant(nll) : QVariant(QLocale().toString(nll, 'f', 3));
    }
    default:
        return {};
    }
}

QVariant ResultSamples::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::ToolTipRole) {
        switch (section) {
        case FullColumn:
            return tr("The same sample with the full cache; lost: it scored higher there, gained: lower");
        case AnswerColumn:
            return tr("What the judge took for the answer");
        case LengthColumn:
            return tr("Generated tokens; limit: generation was cut off");
        case NllColumn:
            return tr("Nats per token of the gold answer, read through this cache");
        default:
            return {};
        }
    }
    if (role != Qt::DisplayRole)
        return {};
    switch (section) {
    case SampleColumn:
        return tr("Sample");
    case MethodColumn:
        return tr("Method");
    case VerdictColumn:
        return tr("Verdict");
    case FullColumn:
        return tr("Full cache");
    case AnswerColumn:
        return tr("Answer");
    case ReferenceColumn:
        return tr("Expected");
    case OutputColumn:
        return tr("Output");
    case LengthColumn:
        return tr("Tokens");
    case NllColumn:
        return tr("NLL");
    default:
        return {};
    }
}

FilteredSamples::FilteredSamples(ResultSamples* samples, QObject* parent)
    : QSortFilterProxyModel(parent)
    , m_samples(samples)
{
    setSourceModel(samples);
    setSortRole(ResultSamples::SortRole);
}

void FilteredSamples::setFilter(SampleFilter filter)
{
    m_filter = filter;
    invalidateFilter();
}

int FilteredSamples::count(SampleFilter filter) const
{
    int count = 0;
    for (int row = 0; row < m_samples->rowCount(); ++row)
        count += m_samples->matches(row, filter) ? 1 : 0;
    return count;
}

bool FilteredSamples::filterAcceptsRow(int row, const QModelIndex&) const
{
    return m_samples->matches(row, m_filter);
}

} // namespace kvloupe
