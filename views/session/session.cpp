// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/session.h"

#include "core/prompt/shot_boundaries.h"
#include "views/session/open_recording.h"

#include <QSaveFile>
#include <QUndoCommand>

#include <utility>

namespace kvloupe {

namespace {

constexpr int autosaveMilliseconds = 1000;

} // namespace

/// One edit of the shots of one sample; holds all edits before and after, which are small.
class Session::ShotCommand final : public QUndoCommand {
public:
    ShotCommand(Session* session, ShotEdits after, const QString& what)
        : QUndoCommand(what)
        , m_session(session)
        , m_before(session->m_contents.shots)
        , m_after(std::move(after))
    {
    }

    void undo() override { m_session->apply(m_before); }
    void redo() override { m_session->apply(m_after); }

private:
    Session* m_session;
    ShotEdits m_before;
    ShotEdits m_after;
};

/// Holds all sets before and after, which are small.
class Session::HeadSetCommand final : public QUndoCommand {
public:
    HeadSetCommand(Session* session, std::vector<HeadSet> after, const QString& what)
        : QUndoCommand(what)
        , m_session(session)
        , m_before(session->m_contents.headSets)
        , m_after(std::move(after))
    {
    }

    void undo() override { apply(m_before); }
    void redo() override { apply(m_after); }

private:
    void apply(const std::vector<HeadSet>& sets)
    {
        m_session->m_contents.headSets = sets;
        m_session->m_autosave.start();
        emit m_session->headSetsChanged();
    }

    Session* m_session;
    std::vector<HeadSet> m_before;
    std::vector<HeadSet> m_after;
};

Session::Session(OpenRecording* recording, QObject* parent)
    : QObject(parent)
    , m_recording(recording)
{
    m_autosave.setSingleShot(true);
    m_autosave.setInterval(autosaveMilliseconds);
    connect(&m_autosave, &QTimer::timeout, this, &Session::saveNow);
    connect(m_recording, &OpenRecording::opened, this, &Session::begin);
    connect(m_recording, &OpenRecording::closed, this, &Session::end);
}

Session::~Session()
{
    end();
}

void Session::begin()
{
    end();
    m_samples = m_recording->samples();
    m_contents = {m_recording->info().uuid, m_recording->path().filename().string(), {}, {}};
    m_path = sessionPathOf(m_recording->path());
    std::error_code ignored;
    if (!std::filesystem::exists(m_path, ignored))
        return;
    try {
        SessionContents read
            = sessionFromJson(readSessionText(m_path), m_path.string(), m_contents.recordingUuid, m_samples);
        m_contents.shots = std::move(read.shots);
        m_contents.headSets = std::move(read.headSets);
    } catch (const Error& error) {
        emit failed(tr("%1; the file is left as it is").arg(QString::fromUtf8(error.what())));
        m_path.replace_extension("." + m_contents.recordingUuid.substr(0, 8) + ".kvsession");
        return;
    }
    m_recording->setShotEdits(m_contents.shots);
    emit headSetsChanged();
}

void Session::end()
{
    if (m_autosave.isActive())
        saveNow();
    m_undo.clear();
    m_contents = {};
    m_samples.clear();
    m_path.clear();
    emit headSetsChanged();
}

void Session::setShots(std::vector<TokenRange> shots, const QString& what)
{
    const SampleModelPtr& sample = m_recording->sample();
    if (!sample)
        return;
    try {
        checkShots(shots, sample->info.promptTokens);
    } catch (const Error& error) {
        emit failed(QString::fromUtf8(error.what()));
        return;
    }
    const auto present = sample->layout.shots();
    if (std::vector<TokenRange>(present.begin(), present.end()) == shots)
        return;
    ShotEdits edits = m_contents.shots;
    edits[sample->sample] = std::move(shots);
    m_undo.push(new ShotCommand(this, std::move(edits), what));
}

void Session::resetShots()
{
    if (!hasOwnShots())
        return;
    ShotEdits edits = m_contents.shots;
    edits.erase(m_recording->sample()->sample);
    m_undo.push(new ShotCommand(this, std::move(edits), tr("Shots as Recorded")));
}

bool Session::hasOwnShots() const
{
    return m_recording->sample() && m_contents.shots.contains(m_recording->sample()->sample);
}

void Session::setHeadSets(std::vector<HeadSet> sets, const QString& what)
{
    if (!m_path.empty() && sets != m_contents.headSets)
        m_undo.push(new HeadSetCommand(this, std::move(sets), what));
}

void Session::apply(ShotEdits edits)
{
    m_contents.shots = std::move(edits);
    m_recording->setShotEdits(m_contents.shots);
    m_autosave.start();
}

void Session::saveNow()
{
    m_autosave.stop();
    const QString file = QString::fromStdString(m_path.string());
    const std::string text = sessionToJson(m_contents, m_samples);
    // Written beside and renamed: a crash leaves the file as it was.
    QSaveFile out(file);
    const bool isWritten = out.open(QIODevice::WriteOnly)
        && out.write(text.data(), static_cast<qint64>(text.size())) == static_cast<qint64>(text.size()) && out.commit();
    if (isWritten)
        emit saved(file);
    else
        emit failed(tr("%1: cannot be written: %2; your edits stay in the window").arg(file, out.errorString()));
}

} // namespace kvloupe
