// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heads/head_filter.h"

#include "views/lost/lost_model.h"
#include "views/methods/method_model.h"
#include "views/session/open_recording.h"

#include <QCoreApplication>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {

namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

struct Measured {
    const char* name;
    SparsityMeasure measure;
    const char* formula;
};

constexpr std::array measures{
    Measured{"entropy", SparsityMeasure::Entropy, QT_TRANSLATE_NOOP("HeadFilter", "-sum a ln a of a row, nats")},
    Measured{"effective", SparsityMeasure::EffectiveKeys,
        QT_TRANSLATE_NOOP("HeadFilter", "exp(entropy): keys of an even row with the same entropy")},
    Measured{"gini", SparsityMeasure::Gini,
        QT_TRANSLATE_NOOP("HeadFilter", "0 = even over the visible keys, towards 1 = on one key")},
    Measured{"top1", SparsityMeasure::Top1, QT_TRANSLATE_NOOP("HeadFilter", "attention on the largest cell")},
    Measured{"top8", SparsityMeasure::Top8, QT_TRANSLATE_NOOP("HeadFilter", "attention on the 8 largest cells")},
    Measured{"top64", SparsityMeasure::Top64, QT_TRANSLATE_NOOP("HeadFilter", "attention on the 64 largest cells")},
    Measured{"sink", SparsityMeasure::Sink, QT_TRANSLATE_NOOP("HeadFilter", "attention on the first 4 tokens")},
    Measured{"rowmax", SparsityMeasure::RowMax, QT_TRANSLATE_NOOP("HeadFilter", "largest probability of a row")},
};

const Measured* findMeasure(const std::string& name)
{
    const auto found = std::ranges::find(measures, name, &Measured::name);
    return found == measures.end() ? nullptr : &*found;
}

} // namespace

HeadFilter::HeadFilter(const ViewModels& models, LostModel* lost, QObject* parent)
    : QObject(parent)
    , m_models(models)
    , m_lost(lost)
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    m_worker.setMaxThreadCount(1);
    connect(m_models.recording, &OpenRecording::sampleChanged, this, [this] {
        ++*m_generation;
        m_isMeasuring = false;
        m_data.reset();
        m_measureProblem.clear();
        updateNeeds();
        emit changed();
    });
    connect(m_lost, &LostModel::changed, this, [this] {
        if (m_filter.expression || m_sort.expression)
            emit changed();
    });
}

HeadFilter::~HeadFilter()
{
    ++*m_generation;
    m_lost->setInterested(this, false);
    m_worker.waitForDone();
}

ExpressionNames HeadFilter::names() const
{
    ExpressionNames names{{"layer", "head"}, {"evicted", "kept"}, {}};
    for (const Measured& measure : measures)
        names.measures.emplace_back(measure.name);
    for (const MethodModel::Entry& entry : m_models.methods->entries()) {
        for (const std::string& name : {entry.method.name, entry.method.spec})
            if (std::ranges::find(names.arguments, name) == names.arguments.end())
                names.arguments.push_back(name);
    }
    return names;
}

QString HeadFilter::help()
{
    const auto line = [](const QString& name, const QString& formula) {
        return QStringLiteral("<tr><td><b>%1</b>&nbsp;&nbsp;</td><td>%2</td></tr>").arg(name, formula.toHtmlEscaped());
    };
    QString rows = line(QStringLiteral("layer, head"), tr("numbers of the head, from 0"));
    for (const Measured& measure : measures)
        rows += line(QString::fromLatin1(measure.name), QCoreApplication::translate("HeadFilter", measure.formula));
    rows += line(QStringLiteral("evicted(method)"),
        tr("attention of the queries after the prompt on tokens the method dropped, at the budget in view"));
    rows += line(QStringLiteral("kept(method)"), tr("share of the prompt's tokens that the head keeps"));
    return tr(
        "<p>For example <b>sink &gt; 0.5 and entropy &lt; 2</b>. Numbers, + - * /, &lt; &lt;= &gt; &gt;= == !=, and, "
        "or, not, parentheses. Measures are means over the queries of the prompt.</p><table>%1</table>")
        .arg(rows);
}

void HeadFilter::read(Part& part, const QString& text, bool wantsCondition)
{
    part.problem.clear();
    if (text.trimmed().isEmpty()) {
        part.expression.reset();
    } else {
        try {
            HeadExpression expression = HeadExpression::parse(text.toStdString(), names());
            if (expression.isCondition() != wantsCondition)
                part.problem = wantsCondition ? tr("found a number, expected a condition such as sink > 0.5")
                                              : tr("found a condition, expected a number such as -entropy");
            else
                part.expression = std::move(expression);
        } catch (const ExpressionError& error) {
            part.problem = QString::fromUtf8(error.what());
        }
    }
    updateNeeds();
    emit changed();
}

void HeadFilter::setFilter(const QString& text)
{
    read(m_filter, text, true);
}

void HeadFilter::setSort(const QString& text)
{
    read(m_sort, text, false);
}

/// Starts what the expressions ask for.
void HeadFilter::updateNeeds()
{
    bool needsMeasures = false;
    bool needsLost = false;
    for (const Part* part : {&m_filter, &m_sort}) {
        for (const HeadVariable& variable :
            part->expression ? part->expression->variables() : std::vector<HeadVariable>()) {
            needsMeasures = needsMeasures || findMeasure(variable.name);
            needsLost = needsLost || variable.name == "evicted";
        }
    }
    m_lost->setInterested(this, needsLost);
    if (needsMeasures && !m_data && m_measureProblem.isEmpty())
        measure();
}

void HeadFilter::measure()
{
    const SampleModelPtr& sample = m_models.recording->sample();
    if (m_isMeasuring || !sample)
        return;
    m_isMeasuring = true;
    const SparsityRequest request{{m_models.recording->path()}, std::to_string(sample->sample)};
    const std::uint64_t generation = ++*m_generation;
    m_worker.start([this, request, generation, current = m_generation] {
        std::shared_ptr<const SparsityData> data;
        QString problem;
        try {
            data = measureSparsity(request, [&](double) { return generation == *current; });
        } catch (const std::exception& error) {
            problem = QString::fromUtf8(error.what());
        }
        QMetaObject::invokeMethod(
            this,
            [this, data, problem, generation] {
                if (generation != *m_generation)
                    return;
                m_isMeasuring = false;
                m_data = data;
                m_measureProblem = problem;
                if (!problem.isEmpty())
                    (m_filter.expression ? m_filter : m_sort).problem = problem;
                emit changed();
            },
            Qt::QueuedConnection);
    });
}

int HeadFilter::rowOf(const std::string& method) const
{
    const auto& entries = m_models.methods->entries();
    for (const bool bySpec : {true, false}) {
        for (std::size_t row = 0; row < entries.size(); ++row) {
            if ((bySpec ? entries[row].method.spec : entries[row].method.name) == method)
                return static_cast<int>(row);
        }
    }
    return -1;
}

double HeadFilter::valueOf(const HeadVariable& variable, std::size_t layerIndex, int head) const
{
    const SampleModel& sample = *m_models.recording->sample();
    const int layer = sample.layers[layerIndex].layer;
    if (variable.name == "layer")
        return layer;
    if (variable.name == "head")
        return head;
    if (variable.name == "evicted")
        return m_lost->lost(rowOf(variable.argument), layer, head);
    if (variable.name == "kept") {
        const ReplayModel::KeptLayers kept = m_models.replay->keptEverywhere(rowOf(variable.argument));
        if (!kept || layerIndex >= kept->size() || (*kept)[layerIndex].sets.empty())
            return unknown;
        const KeepSet& keep = (*kept)[layerIndex];
        return static_cast<double>(keep.sets[setOfHead(keep, head, sample.model)].size())
            / static_cast<double>(std::max<std::int64_t>(1, sample.info.promptTokens));
    }
    const Measured* measure = findMeasure(variable.name);
    const SparsityData::Side& side = m_data->sides.front();
    const auto at = std::ranges::find(side.layers, layer);
    const auto& map = side.maps[static_cast<std::size_t>(measure->measure)];
    const std::size_t index = static_cast<std::size_t>(at - side.layers.begin()) * static_cast<std::size_t>(side.heads)
        + static_cast<std::size_t>(head);
    return at == side.layers.end() || index >= map.size() ? unknown : map[index];
}

std::vector<double> HeadFilter::values(const Part& part) const
{
    const SampleModelPtr& sample = m_models.recording->sample();
    if (!part.expression || !sample)
        return {};
    const auto& variables = part.expression->variables();
    const auto needsMeasures = [](const HeadVariable& variable) { return findMeasure(variable.name) != nullptr; };
    if (std::ranges::any_of(variables, needsMeasures) && (!m_data || m_data->sides.empty()))
        return {};
    std::vector<double> result;
    std::vector<double> of(variables.size());
    for (std::size_t layer = 0; layer < sample->layers.size(); ++layer) {
        for (int head = 0; head < sample->model.numHeads; ++head) {
            std::ranges::transform(
                variables, of.begin(), [&](const HeadVariable& variable) { return valueOf(variable, layer, head); });
            result.push_back(part.expression->evaluate(of));
        }
    }
    return result;
}

std::vector<bool> HeadFilter::matches() const
{
    const std::vector<double> of = values(m_filter);
    std::vector<bool> result(of.size());
    std::transform(of.begin(), of.end(), result.begin(), [](double value) { return value != 0.0; });
    return result;
}

std::vector<int> HeadFilter::order() const
{
    const std::vector<double> of = values(m_sort);
    std::vector<int> result(of.size());
    std::iota(result.begin(), result.end(), 0);
    std::ranges::stable_sort(result, [&](int one, int other) {
        const double a = of[static_cast<std::size_t>(one)];
        const double b = of[static_cast<std::size_t>(other)];
        return std::isnan(a) || std::isnan(b) ? !std::isnan(a) && std::isnan(b) : a < b;
    });
    return result;
}

} // namespace kvloupe
