// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/prompt/prompt_layout.h"

#include <QObject>

#include <cstdint>
#include <filesystem>
#include <string>

namespace kvloupe {

/// What the window looks at: recording, sample, head, cell, a stretch of tokens, the method in front, the budget and
/// the decode step. Every view reads and writes this object and knows no other view. A setter that changes nothing
/// emits nothing.
class Selection : public QObject {
    Q_OBJECT

public:
    using QObject::QObject;

    const std::filesystem::path& recording() const { return m_recording; } ///< empty = none
    int sample() const { return m_sample; } ///< -1 = none
    int layer() const { return m_layer; } ///< -1 = none
    int head() const { return m_head; } ///< query head
    std::int64_t query() const { return m_query; } ///< token under the cursor, -1 = none
    std::int64_t key() const { return m_key; }
    /// Tokens marked in the text, half-open; empty = none.
    TokenRange range() const { return m_range; }
    /// SPEC of the method whose dropped tokens are faded and explained; empty = none.
    const std::string& method() const { return m_method; }
    /// Share of the prompt that is kept, in tenths of a percent: 1 ... 1000.
    int keepPermille() const { return m_keepPermille; }
    Budget budget() const; ///< keepPermille() as an exact decimal
    /// Generated tokens since the prefill, 0 = right after it.
    std::int64_t step() const { return m_step; }

    /// Another recording: sample, cell, range and step are forgotten, head, method and budget stay.
    void setRecording(const std::filesystem::path& path);
    /// Another sample: cell, range and step are forgotten.
    void setSample(int sample);
    void setHead(int layer, int head);
    void setCell(std::int64_t query, std::int64_t key);
    void setRange(TokenRange range); ///< an empty one is {0, 0} afterwards
    void setMethod(const std::string& spec);
    void setKeepPermille(int permille); ///< clamped
    void setStep(std::int64_t step); ///< below 0 is 0

signals:
    void recordingChanged();
    void sampleChanged(int sample);
    void headChanged(int layer, int head);
    void cellChanged(qint64 query, qint64 key);
    void rangeChanged();
    void methodChanged();
    void keepChanged(int permille);
    void stepChanged(qint64 step);

private:
    void forgetTokens();

    std::filesystem::path m_recording;
    int m_sample = -1;
    int m_layer = -1;
    int m_head = -1;
    std::int64_t m_query = -1;
    std::int64_t m_key = -1;
    TokenRange m_range;
    std::string m_method;
    int m_keepPermille = 300;
    std::int64_t m_step = 0;
};

} // namespace kvloupe
