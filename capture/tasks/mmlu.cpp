// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/mmlu.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/csv_table.h"
#include "capture/tasks/data_file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <system_error>

namespace kvloupe {

namespace {

namespace fs = std::filesystem;

std::string subjectOf(const fs::path& file)
{
    std::string subject = file.stem().string();
    for (const std::string_view ending : {"_test", "_dev", "_val"})
        if (subject.ends_with(ending))
            subject.resize(subject.size() - ending.size());
    return subject;
}

bool isFolder(const fs::path& path)
{
    std::error_code ignored;
    return fs::is_directory(path, ignored);
}

/// The subjects' files in a folder, by name; `part` is "test" or "dev".
std::vector<fs::path> filesOf(const fs::path& folder, const std::string& part)
{
    const fs::path inner = isFolder(folder / part) ? folder / part : folder;
    std::vector<fs::path> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(inner, error))
        if (entry.path().filename().string().ends_with("_" + part + ".csv"))
            files.push_back(entry.path());
    if (error)
        throw TaskError(fmt::format("{}: cannot be read: {}", inner.string(), error.message()));
    std::ranges::sort(files);
    return files;
}

} // namespace

std::vector<ChoiceQuestion> readMmlu(const fs::path& file)
{
    constexpr std::size_t columns = 6;
    std::vector<ChoiceQuestion> questions;
    for (CsvRecord& record : parseCsv(readDataText(file), file.string())) {
        const DataPlace place{fmt::format("{} line {}", file.string(), record.line)};
        if (record.fields.size() != columns)
            place.fail("fields", std::to_string(record.fields.size()), "6: question, A, B, C, D, answer");
        const std::string_view right = trimmedText(record.fields[5]);
        if (right.size() != 1 || right[0] < 'A' || right[0] > 'D')
            place.fail("answer", fmt::format("\"{}\"", right.substr(0, 20)), "A, B, C or D");
        ChoiceQuestion question;
        question.subject = subjectOf(file);
        question.id = fmt::format("{}:{}", question.subject, record.line);
        question.question = trimmedText(record.fields[0]);
        if (question.question.empty())
            place.fail("question", "an empty field", "text");
        question.choices.assign(record.fields.begin() + 1, record.fields.begin() + 5);
        question.right = static_cast<std::size_t>(right[0] - 'A');
        questions.push_back(std::move(question));
    }
    if (questions.empty())
        throw TaskError(
            fmt::format("{}: found no samples, expected lines of question, A, B, C, D, answer", file.string()));
    return questions;
}

MmluTask::MmluTask()
    : Task({.name = "mmlu",
        .category = "wk",
        .title = "MMLU",
        .defaultShots = 5,
        .maximumShots = 100,
        .readsData = true,
        .answersAtOnce = true})
{
}

std::vector<TaskItem> MmluTask::makeItems(const TaskOptions& options) const
{
    const bool manyFiles = isFolder(options.data);
    const std::vector<fs::path> files = manyFiles ? filesOf(options.data, "test") : std::vector{options.data};
    if (files.empty())
        throw TaskError(fmt::format(
            "{}: found no file SUBJECT_test.csv, expected them in it or in its folder test", options.data.string()));
    std::map<std::string, fs::path> shotFiles;
    if (!options.shotData.empty() && !isFolder(options.shotData)) {
        for (const fs::path& file : files)
            shotFiles[subjectOf(file)] = options.shotData;
    } else if (!options.shotData.empty() || (manyFiles && isFolder(options.data / "dev"))) {
        for (const fs::path& file : filesOf(options.shotData.empty() ? options.data : options.shotData, "dev"))
            shotFiles[subjectOf(file)] = file;
    }

    struct Asked {
        ChoiceQuestion question;
        std::size_t subject;
    };
    std::vector<std::vector<ChoiceQuestion>> shots;
    std::vector<Asked> all;
    for (const fs::path& file : files) {
        TaskOptions one = options;
        one.data = file;
        one.samples = 0;
        one.seed = 0;
        one.shotData.clear();
        std::vector<ChoiceQuestion> second;
        if (const auto found = shotFiles.find(subjectOf(file)); found != shotFiles.end() && *options.shots > 0) {
            one.shotData = found->second;
            second = readMmlu(found->second);
        } else if (!shotFiles.empty() && *options.shots > 0) {
            throw TaskError(fmt::format(
                "{}: found no examples of this subject, expected {}_dev.csv", file.string(), subjectOf(file)));
        }
        auto chosen = selectRecords(readMmlu(file), std::move(second), one);
        for (ChoiceQuestion& question : chosen.asked)
            all.push_back({std::move(question), shots.size()});
        shots.push_back(std::move(chosen.shots));
    }

    TaskOptions whole = options;
    whole.shots = 0;
    whole.shotData.clear();
    std::vector<TaskItem> items;
    for (const Asked& asked : selectRecords(std::move(all), {}, whole).asked) {
        std::string subject = asked.question.subject;
        std::ranges::replace(subject, '_', ' ');
        items.push_back(
            choiceItem(fmt::format("The following are multiple choice questions (with answers) about {}.", subject), "",
                shots[asked.subject], asked.question));
        items.back().task = category();
        items.back().seed = options.seed;
    }
    return items;
}

Judgement MmluTask::judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& /*options*/) const
{
    return judgeChoice(item, output);
}

} // namespace kvloupe
