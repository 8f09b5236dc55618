// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/progress/progress.h"

#include "core/progress/interrupt.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace kvloupe {

namespace {

constexpr double silentSeconds = 1.0; // work shorter than this shows no bar
constexpr double redrawSeconds = 0.1;
constexpr double plainLineSeconds = 5.0;
constexpr double estimateSeconds = 0.5; // no estimate before this, it would jump about

struct ModeName {
    ProgressMode mode;
    std::string_view name;
};
constexpr std::array modeNames{
    ModeName{ProgressMode::Bar, "bar"}, ModeName{ProgressMode::Json, "json"}, ModeName{ProgressMode::None, "none"}};

int terminalColumns()
{
    winsize size{};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col;
    }
    return 80;
}

Progress::Surroundings standardError()
{
    Progress::Surroundings surroundings;
    surroundings.write = [](std::string_view text) {
        std::fwrite(text.data(), 1, text.size(), stderr);
        std::fflush(stderr);
    };
    surroundings.seconds
        = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
    surroundings.cancelled = [] { return InterruptGuard::requested(); };
    surroundings.terminal = isatty(STDERR_FILENO) == 1;
    surroundings.columns = surroundings.terminal ? terminalColumns() : 80;
    return surroundings;
}

double rounded(double value)
{
    return std::round(value * 1000.0) / 1000.0;
}

} // namespace

std::string_view progressModeName(ProgressMode mode)
{
    return std::ranges::find(modeNames, mode, &ModeName::mode)->name;
}

std::optional<ProgressMode> progressModeFromName(std::string_view name)
{
    const auto* found = std::ranges::find(modeNames, name, &ModeName::name);
    return found == modeNames.end() ? std::nullopt : std::optional(found->mode);
}

std::string durationText(double seconds)
{
    const auto whole = static_cast<long long>(std::llround(std::clamp(seconds, 0.0, 1e12)));
    if (whole < 60) {
        return fmt::format("{} s", whole);
    }
    if (whole < 3600) {
        return fmt::format("{}:{:02} min", whole / 60, whole % 60);
    }
    return fmt::format("{}:{:02}:{:02} h", whole / 3600, whole / 60 % 60, whole % 60);
}

struct Progress::State {
    ProgressMode mode;
    Surroundings surroundings;
    std::mutex mutex;
    std::string stage;
    double total = 1.0;
    double done = 0.0;
    double began = 0.0;
    double lastShown = 0.0;
    bool running = false;
    bool shown = false; ///< something of this stage was written
    bool barDrawn = false;

    double elapsed() const { return surroundings.seconds() - began; }

    std::optional<double> remaining(double elapsedSeconds) const
    {
        if (done >= total) {
            return 0.0;
        }
        if (done <= 0.0 || elapsedSeconds < estimateSeconds) {
            return std::nullopt;
        }
        return elapsedSeconds * (total - done) / done;
    }

    void writeJson(double elapsedSeconds)
    {
        nlohmann::ordered_json line;
        line["event"] = "progress";
        line["stage"] = stage;
        line["done"] = done;
        line["total"] = total;
        line["elapsed"] = rounded(elapsedSeconds);
        const auto left = remaining(elapsedSeconds);
        line["remaining"] = left ? nlohmann::ordered_json(rounded(*left)) : nlohmann::ordered_json();
        surroundings.write(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    }

    std::string description(double elapsedSeconds) const
    {
        const double percent = total > 0.0 ? 100.0 * done / total : 100.0;
        const auto left = remaining(elapsedSeconds);
        return fmt::format("{:3.0f} %  {}{}", std::floor(percent), durationText(elapsedSeconds),
            left && done < total ? fmt::format(", {} left", durationText(*left)) : std::string());
    }

    void drawBar(double elapsedSeconds)
    {
        const std::string numbers = description(elapsedSeconds);
        const int free = surroundings.columns - 1 - static_cast<int>(stage.size() + numbers.size()) - 6;
        std::string bar;
        if (free >= 8) {
            const int width = std::min(free, 40);
            const int filled = static_cast<int>(total > 0.0 ? std::floor(done / total * width) : width);
            bar = fmt::format(" [{}{}]", std::string(static_cast<std::size_t>(filled), '#'),
                std::string(static_cast<std::size_t>(width - filled), '.'));
        }
        surroundings.write(fmt::format("\r\x1b[K{}{}  {}", stage, bar, numbers));
        barDrawn = true;
    }

    void eraseBar()
    {
        if (std::exchange(barDrawn, false)) {
            surroundings.write("\r\x1b[K");
        }
    }

    void show(bool last)
    {
        const double elapsedSeconds = elapsed();
        const double sinceLast = surroundings.seconds() - lastShown;
        switch (mode) {
        case ProgressMode::None:
            return;
        case ProgressMode::Json:
            if (shown && !last && sinceLast < redrawSeconds) {
                return;
            }
            writeJson(elapsedSeconds);
            break;
        case ProgressMode::Bar:
            if (elapsedSeconds < silentSeconds) {
                return;
            }
            if (surroundings.terminal) {
                if (last || sinceLast < redrawSeconds) {
                    return;
                }
                drawBar(elapsedSeconds);
            } else {
                if (last ? !shown : shown && sinceLast < plainLineSeconds) {
                    return;
                }
                surroundings.write(fmt::format("{}: {}\n", stage, description(elapsedSeconds)));
            }
            break;
        }
        shown = true;
        lastShown = surroundings.seconds();
    }

    void finishStage()
    {
        if (!std::exchange(running, false)) {
            return;
        }
        show(true);
        eraseBar();
    }
};

Progress::Progress(ProgressMode mode)
    : Progress(mode, standardError())
{
}

Progress::Progress(ProgressMode mode, Surroundings surroundings)
    : m_state(std::make_unique<State>())
{
    m_state->mode = mode;
    Surroundings standard = standardError();
    m_state->surroundings = std::move(surroundings);
    if (!m_state->surroundings.write) {
        m_state->surroundings.write = std::move(standard.write);
    }
    if (!m_state->surroundings.seconds) {
        m_state->surroundings.seconds = std::move(standard.seconds);
    }
    if (!m_state->surroundings.cancelled) {
        m_state->surroundings.cancelled = std::move(standard.cancelled);
    }
}

Progress::~Progress()
{
    const std::lock_guard lock(m_state->mutex);
    m_state->finishStage();
}

void Progress::begin(std::string_view stage, double total)
{
    const std::lock_guard lock(m_state->mutex);
    if (m_state->running) {
        m_state->done = m_state->total;
        m_state->finishStage();
    }
    m_state->stage = stage;
    m_state->total = std::isfinite(total) && total > 0.0 ? total : 1.0;
    m_state->done = 0.0;
    m_state->began = m_state->surroundings.seconds();
    m_state->running = true;
    m_state->shown = false;
    m_state->show(false);
}

bool Progress::advance(double done)
{
    const std::lock_guard lock(m_state->mutex);
    if (m_state->running && done > m_state->done) {
        m_state->done = std::min(done, m_state->total);
    }
    if (m_state->running) {
        m_state->show(false);
    }
    return !m_state->surroundings.cancelled();
}

void Progress::end()
{
    const std::lock_guard lock(m_state->mutex);
    if (m_state->running) {
        m_state->done = m_state->total;
        m_state->finishStage();
    }
}

void Progress::clear()
{
    const std::lock_guard lock(m_state->mutex);
    m_state->eraseBar();
}

std::function<bool(double)> Progress::fractions(std::string_view stage)
{
    begin(stage);
    return [this](double fraction) { return advance(fraction); };
}

} // namespace kvloupe
