// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/selection/selection.h"
#include "views/session/recording_source.h"
#include "views/session/sample_model.h"
#include "views/session/session_file.h"

#include <QObject>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

/// Where a recording is opened: nothing = its first sample, layer and head, and no token.
struct StartView {
    std::optional<std::string> sample; ///< number or id
    std::optional<int> layer;
    std::optional<int> head;
    std::optional<std::int64_t> token = std::nullopt; ///< key of the cell in view
};

/// The recording of a window, and the sample in view. Follows Selection::sample and tells the Selection which head to
/// start with. Every view that shows something of a recording listens to `sampleChanged`.
class OpenRecording final : public QObject {
    Q_OBJECT

public:
    /// `selection` outlives this object.
    explicit OpenRecording(Selection* selection, QObject* parent = nullptr);
    ~OpenRecording() override;

    /// Starts to open `path`; `sampleChanged` or `failed` follows. What was open is closed.
    void open(const std::filesystem::path& path, StartView start = {});
    /// Reads the file again, as it is now, and stays at the sample, head and token in view.
    void reload();
    /// The same from another file: what a folder of parts became.
    void reloadFrom(const std::filesystem::path& file);
    /// Adds the samples that a growing recording has by now; the one in view stays as it is. `samplesAdded` may follow.
    void lookForSamples();
    void close();

    bool isOpen() const { return m_source != nullptr; }
    bool isReading() const { return m_isReading; } ///< the list of samples or the sample in view is on its way
    const std::filesystem::path& path() const { return m_selection->recording(); }
    const RecordingInfo& info() const { return m_info; }
    const std::vector<SampleInfo>& samples() const { return m_samples; }
    RecordingSource* source() const { return m_source.get(); } ///< null without a recording
    const SampleModelPtr& sample() const { return m_sample; } ///< null until it is read; has at least one layer

    /// Corrected shots of all samples; they replace the recorded ones in SampleModel::layout. Ranges that do not fit a
    /// prompt are refused with `failed`.
    void setShotEdits(ShotEdits edits);

signals:
    /// A file was opened: info() and samples() are there.
    void opened();
    void samplesAdded();
    /// What was open is about to be closed.
    void closed();
    /// There is another sample or none. Views that hold the source let go of it here.
    void sampleChanged();
    /// The same sample with another layout.
    void layoutChanged();
    void failed(const QString& message);

private:
    struct Contents;
    static Contents readContents(RecordingAccess& access);
    StartView viewNow() const;
    void adoptContents(Contents contents);
    void requestSample(int sample);
    void adoptSample(SampleModelPtr sample);
    void setSample(SampleModelPtr sample);
    SampleModelPtr corrected(const SampleModelPtr& recorded);

    Selection* m_selection;
    std::unique_ptr<RecordingSource> m_source;
    std::unique_ptr<RecordingSource> m_later; ///< the file as it is later, while samples are looked for
    std::size_t m_sourceSamples = 0; ///< that m_source knows of; more may have come since
    RecordingInfo m_info;
    std::vector<SampleInfo> m_samples;
    SampleModelPtr m_recorded; ///< as the file has it
    SampleModelPtr m_sample; ///< with corrected shots
    ShotEdits m_shotEdits;
    StartView m_start;
    bool m_isReading = false;
};

} // namespace kvloupe
