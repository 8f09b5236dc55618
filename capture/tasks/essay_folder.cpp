// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/essay_folder.h"

#include "capture/tasks/data_file.h"
#include "capture/tasks/filler_text.h"
#include "capture/tasks/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <system_error>

namespace kvloupe {

namespace {

constexpr std::size_t mostBytes = std::size_t{256} << 20;

bool isBlank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

} // namespace

std::vector<std::string> sentencesOf(std::string_view text)
{
    std::vector<std::string> sentences;
    std::string sentence;
    const auto finish = [&] {
        while (!sentence.empty() && sentence.back() == ' ')
            sentence.pop_back();
        if (!sentence.empty())
            sentences.push_back(std::move(sentence));
        sentence.clear();
    };
    for (std::size_t i = 0; i < text.size();) {
        if (isBlank(text[i])) {
            const std::size_t begin = i;
            while (i < text.size() && isBlank(text[i]))
                ++i;
            const std::string_view run = text.substr(begin, i - begin);
            const bool ends
                = !sentence.empty() && std::string_view(".!?").find(sentence.back()) != std::string_view::npos;
            if (ends || std::ranges::count(run, '\n') > 1)
                finish();
            else if (!sentence.empty())
                sentence += ' ';
            continue;
        }
        sentence += text[i++];
    }
    finish();
    return sentences;
}

std::vector<std::string> readEssayFolder(const std::filesystem::path& folder)
{
    std::vector<std::filesystem::path> files;
    std::error_code error;
    if (std::filesystem::is_directory(folder, error)) {
        for (const auto& entry : std::filesystem::directory_iterator(folder, error))
            if (entry.path().extension() == ".txt" && entry.is_regular_file(error))
                files.push_back(entry.path());
        if (error)
            throw TaskError(fmt::format("{}: cannot be read: {}", folder.string(), error.message()));
        std::ranges::sort(files);
    } else {
        files.push_back(folder);
    }
    std::vector<std::string> sentences;
    std::size_t bytes = 0;
    for (const auto& file : files) {
        const std::string text = readDataText(file);
        bytes += text.size();
        if (bytes > mostBytes)
            throw TaskError(fmt::format("{}: more than {} bytes of text", folder.string(), mostBytes));
        std::ranges::move(sentencesOf(text), std::back_inserter(sentences));
    }
    if (sentences.empty())
        throw TaskError(fmt::format("{}: found {} .txt files without a sentence, expected essays as .txt files",
            folder.string(), files.size()));
    return sentences;
}

std::vector<std::string> consecutiveSentences(
    std::span<const std::string> sentences, std::int64_t words, ItemDraws& draws)
{
    std::vector<std::string> result;
    std::size_t next = static_cast<std::size_t>(draws.below(sentences.size()));
    for (std::int64_t written = 0; written < words; next = (next + 1) % sentences.size()) {
        result.push_back(sentences[next]);
        written += countWords(sentences[next]);
    }
    return result;
}

} // namespace kvloupe
