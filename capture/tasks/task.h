// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"
#include "core/prompt/span.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A task's data file is missing, damaged or of another format, an option is out of range, or code cannot be run
/// safely. Names the file, line and field.
class TaskError : public Error {
public:
    using Error::Error;
};

/// f(x, y) = value, of the expression language.
struct ExpressionCase {
    std::int64_t x = 0;
    std::int64_t y = 0;
    std::int64_t value = 0;

    bool operator==(const ExpressionCase&) const = default;
};

/// What judging needs beyond the accepted answers; each task fills its own part.
struct TaskFacts {
    std::vector<std::string> choices; ///< of a choice task; references.front() is one of them
    std::vector<std::string> partAnswers; ///< gold answers of the K questions, in order
    int firstPart = 1; ///< number of the first of them in the prompt ("Answer_9:")
    std::vector<ExpressionCase> cases; ///< an expression must meet all of them
    std::optional<bool> shouldRefuse; ///< of the safety tasks
    std::string codePrefix; ///< program text before a completion
    std::string testCode; ///< defines check(candidate)
    std::string entryPoint; ///< the function that testCode checks
};

/// One prompt with its gold answer.
///
/// `text` followed by `answer`, `shortTrace` or `thinkingTrace` is a complete document: each begins with the blank or
/// line break that belongs there. No stop occurs in any of the three.
struct TaskItem {
    std::string id; ///< "ar:0:12": task, seed, index; of data files the file's own id or line
    std::string task; ///< category: "wk", "csr", "ar", "cg", "sa", "lg", "niah" or "qa"
    std::string text; ///< plain prompt; the user's turn where a chat template is used
    std::vector<Span>
        spans; ///< over bytes of `text`: instruction, shots with question and answer, context, needle, ...
    std::string system; ///< for chat templates; may be empty
    std::string answer; ///< gold continuation, teacher-forced for the negative log likelihood
    std::vector<std::string> references; ///< accepted forms of the answer, the first is the usual one
    std::string shortTrace; ///< a worked short answer; empty where the data has none
    std::string thinkingTrace; ///< " <think>\n...\n</think>\n" and the answer; empty where the data has none
    std::int64_t maxNewTokens = 16;
    std::int64_t maxThinkingTokens = 256; ///< in place of maxNewTokens for a model that thinks first
    std::vector<std::string> stops; ///< generation ends before the first of them
    std::uint64_t seed = 0;
    int shots = 0;
    int level = 0;
    TaskFacts facts;
};

struct Judgement {
    double score = 0.0; ///< 0 .. 1; of several questions in one response the share that is right
    bool correct = false; ///< score is 1
    std::string extracted; ///< what was read as the answer
    std::string reason; ///< why it is right or wrong, one line
};

/// What a person chose about a run; the default of every field is the task's own.
struct TaskOptions {
    std::int64_t samples = 100; ///< 0 = every item of a data file
    std::optional<int> shots;
    std::uint64_t seed = 0; ///< with a data file: 0 keeps its order, any other draws in another order
    int level = 0; ///< 1 .. levels(), 0 = the task's default
    std::filesystem::path data; ///< of the tasks that read one; essays for needle retrieval
    std::filesystem::path shotData; ///< examples come from here; empty = the first lines of `data` are held out
    std::filesystem::path promptFile; ///< LongGenBench: its prompt file
    std::optional<double> depth; ///< needle: 0 = at the beginning, 1 = at the end
    std::int64_t contextWords = 0; ///< needle: words of filler
    int questions = 0; ///< long generation: K
    /// The prompt goes through a chat template: responses end by themselves, so items carry no stops.
    bool chat = false;
};

/// How numbers are read from worked answers: the one behind "The answer is", or the last one.
enum class NumberExtraction { Strict, Flexible };

struct JudgeOptions {
    NumberExtraction extraction = NumberExtraction::Flexible;
    bool allowCodeExecution = false; ///< HumanEval runs what the model wrote, isolated
};

/// A kind of question: makes prompts with gold answers, and judges what a model answered.
///
/// Items are deterministic: item i depends on the seed, i and the options that shape a prompt, never on how many are
/// asked for. All functions may be called from several threads.
class Task {
public:
    struct Info {
        std::string name; ///< "ar", "gsm8k"
        std::string category; ///< "ar"
        std::string title; ///< "Arithmetic with worked steps"
        int defaultShots = 0;
        int maximumShots = 0;
        int levels = 1;
        int defaultLevel = 1;
        bool readsData = false; ///< cannot do without TaskOptions::data
        bool takesData = false; ///< can do with it and without
        bool runsCode = false; ///< judging needs JudgeOptions::allowCodeExecution
        /// The answer is one or two tokens: an eviction after the prefill would never be felt, so the last token of the
        /// prompt is to be processed after it.
        bool answersAtOnce = false;
    };

    explicit Task(Info info);
    virtual ~Task();
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

    const Info& info() const { return m_info; }
    const std::string& name() const { return m_info.name; }
    const std::string& category() const { return m_info.category; }
    int defaultShots() const { return m_info.defaultShots; }
    int levels() const { return m_info.levels; }

    /// Throws TaskError for options out of range and for data files that are not what they should be.
    std::vector<TaskItem> items(const TaskOptions& options) const;

    /// Judges what a model wrote behind the prompt. A `<think>` part is left out, a response that never leaves it is
    /// wrong; text behind a stop is ignored. Throws TaskError if code would have to run and is not allowed to or cannot
    /// be isolated.
    Judgement judge(const TaskItem& item, std::string_view output, const JudgeOptions& options = {}) const;

private:
    /// `options` are checked; shots and level are filled in.
    virtual std::vector<TaskItem> makeItems(const TaskOptions& options) const = 0;
    /// `output` is without thinking and cut at the first stop.
    virtual Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const = 0;

    Info m_info;
};

} // namespace kvloupe
