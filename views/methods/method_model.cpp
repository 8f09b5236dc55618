// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/method_model.h"

#include "core/methods/method_registry.h"

#include <QFont>
#include <QIcon>
#include <QLocale>
#include <QPixmap>

#include <algorithm>
#include <array>
#include <utility>

namespace kvloupe {

namespace {

QString parametersText(const Method& method)
{
    QStringList different;
    const MethodInfo& info = findMethod(method.name);
    for (const ParameterInfo& parameter : info.parameters) {
        const auto value = method.parameters.find(parameter.name);
        if (value != method.parameters.end() && value->second != parameter.defaultValue)
            different << QString::fromStdString(value->first) + QLatin1Char('=')
                    + QString::fromStdString(value->second);
    }
    return different.isEmpty() ? MethodModel::tr("defaults") : different.join(QStringLiteral(", "));
}

/// The same in a selected row: a colour that identifies is not tinted.
QIcon swatch(const QColor& color)
{
    QPixmap square(14, 14);
    square.fill(color);
    QIcon icon;
    icon.addPixmap(square, QIcon::Normal);
    icon.addPixmap(square, QIcon::Selected);
    return icon;
}

QString named(std::string_view name)
{
    return QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size()));
}

QString allParametersText(const Method& method)
{
    QStringList lines;
    for (const auto& [name, value] : method.parameters)
        lines << QString::fromStdString(name) + QStringLiteral(" = ") + QString::fromStdString(value);
    return lines.join(QLatin1Char('\n'));
}

} // namespace

QString fidelityText(Fidelity fidelity)
{
    switch (fidelity) {
    case Fidelity::Exact:
        return MethodModel::tr("exact: a live run keeps the same tokens, index for index");
    case Fidelity::Renormalised:
        return MethodModel::tr("renormalised: recorded attention, which is that over all tokens, is divided by what "
                               "the kept ones retain");
    case Fidelity::Approximate:
        return MethodModel::tr("approximate: what a live run would have computed after its own cuts is not recorded");
    }
    return {};
}

std::vector<QColor> methodColors()
{
    return {QColor(0xD5, 0x5E, 0x00), QColor(0x00, 0x72, 0xB2), QColor(0x00, 0x9E, 0x73), QColor(0xCC, 0x79, 0xA7),
        QColor(0xE6, 0x9F, 0x00), QColor(0x56, 0xB4, 0xE9), QColor(0x80, 0x80, 0x80), QColor(0xF0, 0xE4, 0x42)};
}

QColor methodColor(const std::string& name, int fallback)
{
    static constexpr std::array<std::pair<std::string_view, std::size_t>, 5> fixed{
        {{"snapkv", 0}, {"h2o", 1}, {"streaming_llm", 2}, {"random", 3}, {"full", 6}}};
    const std::vector<QColor> colors = methodColors();
    for (const auto& [known, index] : fixed) {
        if (name == known)
            return colors[index];
    }
    return colors[static_cast<std::size_t>(std::max(0, fallback)) % colors.size()];
}

QColor MethodModel::unusedColor(const std::string& name) const
{
    const auto isUsed = [this](const QColor& color) {
        return std::ranges::any_of(m_entries, [&](const Entry& entry) { return entry.color == color; });
    };
    const QColor preferred = methodColor(name, static_cast<int>(m_entries.size()));
    if (!isUsed(preferred))
        return preferred;
    const std::vector<QColor> colors = methodColors();
    const auto free = std::ranges::find_if_not(colors, isUsed);
    return free != colors.end() ? *free : preferred;
}

QStringList MethodModel::defaultSpecs()
{
    QStringList specs;
    for (const MethodInfo& info : methodRegistry()) {
        const QString name = QString::fromStdString(info.name);
        if (info.name == "streaming_llm" || info.name == "h2o" || info.name == "snapkv")
            specs << name;
        else if (info.name == "random" || info.name == "full")
            specs << QLatin1Char('-') + name;
    }
    return specs;
}

MethodModel::MethodModel(Selection* selection, QObject* parent)
    : QAbstractTableModel(parent)
    , m_selection(selection)
{
    connect(m_selection, &Selection::methodChanged, this, [this] {
        if (rowCount() > 0)
            emit dataChanged(index(0, 0), index(rowCount() - 1, ColumnCount - 1), {Qt::FontRole});
        emit currentChanged(current());
    });
}

int MethodModel::rowOf(const std::string& spec) const
{
    const auto found = std::ranges::find(m_entries, spec, [](const Entry& entry) { return entry.method.spec; });
    return found == m_entries.end() ? -1 : static_cast<int>(found - m_entries.begin());
}

/// Fills method, title and parameters of `entry`; returns what is wrong with SPEC.
QString MethodModel::readSpec(const QString& spec, int exceptRow, Entry& entry) const
{
    try {
        entry.method = parseMethod(spec.trimmed().toStdString());
        entry.title = QString::fromStdString(findMethod(entry.method.name).title);
        entry.parameters = parametersText(entry.method);
    } catch (const Error& error) {
        return QString::fromStdString(error.what());
    }
    for (int row = 0; row < rowCount(); ++row) {
        const Method& known = m_entries[static_cast<std::size_t>(row)].method;
        if (row != exceptRow && known.name == entry.method.name && known.parameters == entry.method.parameters)
            return tr("%1 with these parameters is in the list already").arg(entry.title);
    }
    return {};
}

/// Gives every entry a title of its own.
void MethodModel::retitle()
{
    for (Entry& entry : m_entries) {
        const auto isNamesake = [&](const Entry& other) { return other.method.name == entry.method.name; };
        entry.title = QString::fromStdString(findMethod(entry.method.name).title);
        if (std::ranges::count_if(m_entries, isNamesake) > 1)
            entry.title = tr("%1 (%2)").arg(entry.title, entry.parameters);
    }
    if (!m_entries.empty())
        emit dataChanged(index(0, NameColumn), index(rowCount() - 1, NameColumn));
}

QString MethodModel::add(const QString& spec, bool shown)
{
    Entry entry;
    if (QString problem = readSpec(spec, -1, entry); !problem.isEmpty())
        return problem;
    entry.color = unusedColor(entry.method.name);
    entry.shown = shown;
    const int row = static_cast<int>(m_entries.size());
    beginInsertRows({}, row, row);
    m_entries.push_back(std::move(entry));
    endInsertRows();
    retitle();
    emit methodsChanged();
    if (current() < 0 && shown)
        setCurrent(row);
    return {};
}

QString MethodModel::setSpec(int row, const QString& spec)
{
    if (row < 0 || row >= rowCount())
        return {};
    Entry entry;
    if (QString problem = readSpec(spec, row, entry); !problem.isEmpty())
        return problem;
    Entry& changed = m_entries[static_cast<std::size_t>(row)];
    if (changed.method.spec == entry.method.spec)
        return {};
    const bool wasCurrent = row == current();
    entry.color = changed.color;
    entry.shown = changed.shown;
    changed = std::move(entry);
    retitle();
    if (wasCurrent)
        setCurrent(row);
    emit dataChanged(index(row, 0), index(row, ColumnCount - 1));
    emit methodsChanged();
    return {};
}

void MethodModel::remove(int row)
{
    if (row < 0 || row >= rowCount())
        return;
    const int previous = current();
    beginRemoveRows({}, row, row);
    m_entries.erase(m_entries.begin() + row);
    endRemoveRows();
    retitle();
    emit methodsChanged();
    if (previous == row)
        setCurrent(std::min(row, rowCount() - 1));
    else if (previous > row)
        emit currentChanged(current());
}

void MethodModel::setShown(int row, bool shown)
{
    if (row < 0 || row >= rowCount() || m_entries[static_cast<std::size_t>(row)].shown == shown)
        return;
    m_entries[static_cast<std::size_t>(row)].shown = shown;
    emit dataChanged(index(row, 0), index(row, ColumnCount - 1));
    emit methodsChanged();
    // What fades the text is always a method that is shown, as long as there is one.
    if (shown && (current() < 0 || !m_entries[static_cast<std::size_t>(current())].shown))
        setCurrent(row);
    else if (!shown && row == current()) {
        const auto next = std::ranges::find_if(m_entries, &Entry::shown);
        if (next != m_entries.end())
            setCurrent(static_cast<int>(next - m_entries.begin()));
    }
}

void MethodModel::setCurrent(int row)
{
    row = std::clamp(row, -1, rowCount() - 1);
    m_selection->setMethod(row < 0 ? std::string() : m_entries[static_cast<std::size_t>(row)].method.spec);
}

void MethodModel::setOutcome(int row, std::optional<MethodOutcome> outcome, const QString& problem)
{
    if (row < 0 || row >= rowCount())
        return;
    Entry& entry = m_entries[static_cast<std::size_t>(row)];
    if (entry.outcome == outcome && entry.problem == problem)
        return;
    entry.outcome = outcome;
    entry.problem = problem;
    emit dataChanged(index(row, KeptColumn), index(row, RetainedColumn));
}

QStringList MethodModel::toSpecs() const
{
    QStringList specs;
    for (const Entry& entry : m_entries)
        specs << (entry.shown ? QString() : QStringLiteral("-")) + QString::fromStdString(entry.method.spec);
    return specs;
}

void MethodModel::fromSpecs(const QStringList& specs)
{
    const std::string front = m_selection->method();
    beginResetModel();
    const std::vector<Entry> before = std::exchange(m_entries, {});
    for (const QString& written : specs) {
        const bool shown = !written.startsWith(QLatin1Char('-'));
        Entry entry;
        // A SPEC that an older or newer version wrote and this one does not know is left out.
        if (!readSpec(shown ? written : written.mid(1), -1, entry).isEmpty())
            continue;
        const auto known
            = std::ranges::find(before, entry.method.spec, [](const Entry& old) { return old.method.spec; });
        if (known != before.end())
            entry = *known;
        else
            entry.color = unusedColor(entry.method.name);
        entry.shown = shown;
        m_entries.push_back(std::move(entry));
    }
    endResetModel();
    retitle();
    emit methodsChanged();
    if (rowOf(front) >= 0)
        return;
    const auto shown = std::ranges::find_if(m_entries, &Entry::shown);
    setCurrent(shown == m_entries.end() ? -1 : static_cast<int>(shown - m_entries.begin()));
}

int MethodModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_entries.size());
}

int MethodModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant MethodModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid() || index.row() >= rowCount())
        return {};
    const Entry& entry = m_entries[static_cast<std::size_t>(index.row())];
    if (role == Qt::FontRole && index.row() == current()) {
        QFont font;
        font.setBold(true);
        return font;
    }
    switch (index.column()) {
    case NameColumn:
        if (role == Qt::DisplayRole)
            return entry.title;
        if (role == Qt::CheckStateRole)
            return static_cast<int>(entry.shown ? Qt::Checked : Qt::Unchecked);
        if (role == Qt::DecorationRole)
            return swatch(entry.color);
        if (role == Qt::ToolTipRole) {
            const MethodInfo& info = findMethod(entry.method.name);
            return QString(QString::fromStdString(info.summary) + QLatin1Char('\n')
                + QString::fromStdString(info.source) + QStringLiteral("\n\n") + allParametersText(entry.method));
        }
        if (role == Qt::AccessibleTextRole)
            return tr("%1, %2").arg(entry.title, entry.parameters);
        break;
    case ParametersColumn:
        if (role == Qt::DisplayRole)
            return entry.parameters;
        if (role == Qt::ToolTipRole)
            return allParametersText(entry.method);
        break;
    case FidelityColumn:
        if (role == Qt::DisplayRole || role == Qt::AccessibleTextRole)
            return named(fidelityName(entry.method.fidelity));
        if (role == Qt::ToolTipRole) {
            const Fidelity decoding = entry.method.fidelityWhileDecoding();
            return decoding == entry.method.fidelity
                ? fidelityText(decoding)
                : tr("%1\nWhile tokens are generated: %2")
                      .arg(fidelityText(entry.method.fidelity), fidelityText(decoding));
        }
        break;
    case KeptColumn:
        if (role == Qt::DisplayRole && entry.outcome)
            return tr("%1 (%2 %)")
                .arg(QLocale().toString(static_cast<qlonglong>(entry.outcome->keptTokens)),
                    QLocale().toString(entry.outcome->share * 100.0, 'f', 1));
        if (role == Qt::DisplayRole && !entry.problem.isEmpty())
            return tr("not possible");
        if (role == Qt::ToolTipRole)
            return entry.problem.isEmpty() ? tr("Tokens of the prompt this head keeps") : entry.problem;
        if (role == Qt::TextAlignmentRole)
            return QVariant::fromValue(Qt::Alignment(Qt::AlignRight | Qt::AlignVCenter));
        break;
    case RetainedColumn:
        if (role == Qt::DisplayRole && entry.outcome && entry.outcome->retainedMass)
            return tr("%1 %").arg(QLocale().toString(*entry.outcome->retainedMass * 100.0, 'f', 1));
        if (role == Qt::ToolTipRole)
            return tr("Attention of the last prompt token that falls on kept tokens, in this head");
        if (role == Qt::TextAlignmentRole)
            return QVariant::fromValue(Qt::Alignment(Qt::AlignRight | Qt::AlignVCenter));
        break;
    default:
        break;
    }
    return {};
}

bool MethodModel::setData(const QModelIndex& index, const QVariant& value, int role)
{
    if (!index.isValid() || index.column() != NameColumn || role != Qt::CheckStateRole)
        return false;
    setShown(index.row(), value.toInt() == Qt::Checked);
    return true;
}

QVariant MethodModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation == Qt::Horizontal && role == Qt::ToolTipRole && section == FidelityColumn)
        return tr("How far a replay from recorded attention can be trusted");
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
        return {};
    switch (section) {
    case NameColumn:
        return tr("Method");
    case ParametersColumn:
        return tr("Parameters");
    case FidelityColumn:
        return tr("Replay");
    case KeptColumn:
        return tr("Keeps");
    case RetainedColumn:
        return tr("Attention");
    default:
        return {};
    }
}

Qt::ItemFlags MethodModel::flags(const QModelIndex& index) const
{
    Qt::ItemFlags flags = QAbstractTableModel::flags(index);
    if (index.isValid() && index.column() == NameColumn)
        flags |= Qt::ItemIsUserCheckable;
    return flags;
}

} // namespace kvloupe
