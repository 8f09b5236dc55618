// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kvloupe {

/// What long work tells its user. Bar: one line that is redrawn on a terminal, a plain line now and then elsewhere.
/// Json: one JSON object per line for programs that start this one. None: nothing.
enum class ProgressMode { Bar, Json, None };
std::string_view progressModeName(ProgressMode mode); ///< "bar", "json", "none"
std::optional<ProgressMode> progressModeFromName(std::string_view name);

/// Shows how far work has come, on stderr, and passes on a wish to stop.
///
/// Work consists of stages, one after the other; each has a total in any unit. A bar appears once a stage has taken a
/// second, so short work stays silent. JSON lines are
/// `{"event":"progress","stage":...,"done":...,"total":...,"elapsed":...,"remaining":...}`, times in seconds,
/// `remaining` null until it can be estimated; the first and the last line of a stage are always written, others at
/// most ten a second. Thread-safe.
class Progress {
public:
    /// Where it writes and what time it is; the defaults are stderr and a monotonic clock.
    struct Surroundings {
        std::function<void(std::string_view)> write;
        std::function<double()> seconds;
        std::function<bool()> cancelled; ///< asked by advance(); default InterruptGuard::requested
        bool terminal = false;
        int columns = 80;
    };

    explicit Progress(ProgressMode mode);
    Progress(ProgressMode mode, Surroundings surroundings);
    /// Ends the stage and takes the bar off the terminal.
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Begins a stage; the one before is taken as complete.
    void begin(std::string_view stage, double total = 1.0);
    /// `done` of the stage's total; values outside [0, total] are clamped, smaller ones than before are ignored.
    /// False = stop.
    bool advance(double done);
    /// Marks the stage as complete.
    void end();
    /// Clears the bar so that other text can be written to the terminal; the next advance() draws it again.
    void clear();

    /// Begins a stage with total 1 and gives what the libraries take: a function of the fraction done that returns
    /// false to stop. Valid as long as this object.
    std::function<bool(double)> fractions(std::string_view stage);

private:
    struct State;
    std::unique_ptr<State> m_state;
};

/// "48 s", "3:20 min", "1:02:09 h".
std::string durationText(double seconds);

} // namespace kvloupe
