// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/status_line.h"

#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"
#include "views/session/status_text.h"
#include "views/timeline/kept_in_view.h"

#include <algorithm>

namespace kvloupe {

StatusLine::StatusLine(const ViewModels& models, const TimelineModel* timeline, QWidget* parent)
    : QLabel(parent)
    , m_models(models)
    , m_timeline(timeline)
{
    setTextFormat(Qt::PlainText);
    setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
    setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    setAccessibleName(tr("Cell in view"));
    setObjectName(QStringLiteral("statusLine"));
    const auto forgetValue = [this] {
        m_value.reset();
        m_facts = {};
        refresh();
    };
    connect(m_models.selection, &Selection::headChanged, this, forgetValue);
    connect(m_models.selection, &Selection::cellChanged, this, forgetValue);
    connect(m_models.recording, &OpenRecording::sampleChanged, this, forgetValue);
    connect(m_models.replay, &ReplayModel::changed, this, &StatusLine::refresh);
    connect(m_models.selection, &Selection::stepChanged, this, &StatusLine::refresh);
}

void StatusLine::showValue(qint64 query, qint64 key, float value, bool exact)
{
    if (query != m_models.selection->query() || key != m_models.selection->key())
        return;
    m_value = value;
    m_isExact = exact;
    refresh();
}

void StatusLine::showFacts(qint64 query, qint64 key, const CellFacts& facts)
{
    if (query != m_models.selection->query() || key != m_models.selection->key())
        return;
    m_facts = facts;
    refresh();
}

void StatusLine::setPinned(bool pinned)
{
    m_isPinned = pinned;
    refresh();
}

void StatusLine::setContent(MapContent content)
{
    m_content = content;
    refresh();
}

void StatusLine::setPooling(const QString& pooling)
{
    m_pooling = pooling;
    refresh();
}

void StatusLine::refresh()
{
    const SampleModelPtr& sample = m_models.recording->sample();
    CellStatus status;
    status.layer = m_models.selection->layer();
    if (!sample || status.layer < 0) {
        clear();
        return;
    }
    status.head = m_models.selection->head();
    status.query = m_models.selection->query();
    status.key = m_models.selection->key();
    status.value = m_value;
    status.exact = m_isExact;
    status.facts = m_facts;
    status.isDifference = m_content == MapContent::Difference;
    status.pinned = m_isPinned;
    status.pooling = m_pooling;
    if (status.key >= 0) {
        for (int row = 0; row < m_models.methods->rowCount(); ++row) {
            const MethodModel::Entry& entry = m_models.methods->entries()[static_cast<std::size_t>(row)];
            if (!entry.shown)
                continue;
            const auto kept = keptInView(m_models, m_timeline, row);
            if (kept && status.key < kept->tokens)
                status.methods.emplace_back(entry.title, std::ranges::binary_search(kept->positions, status.key));
        }
    }
    const QString line = statusText(status, sample->tokens);
    if (line != text())
        setText(line);
}

} // namespace kvloupe
