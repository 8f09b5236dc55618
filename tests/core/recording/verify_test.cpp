// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/verify.h"

#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <hdf5.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kvloupe {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class VerifyRecording : public testing::Test {
protected:
    fs::path make(SyntheticRecording options)
    {
        const fs::path path = m_folder.path() / "r.h5";
        options.layers = 1;
        options.headDim = 16;
        options.compression = Compression::None;
        makeRecording(path, options);
        return path;
    }

    static VerifyReport verify(const fs::path& path, VerifyOptions options = {})
    {
        return verifyRecording(Recording::open(path), options);
    }

    /// Adds `change` to one value of a dataset, through HDF5's own filters: the checksum is right again.
    static void add(const fs::path& path, const std::string& dataset, const std::vector<hsize_t>& at, float change)
    {
        const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
        const hid_t id = H5Dopen2(file, ("/samples/000000/layers/00/" + dataset).c_str(), H5P_DEFAULT);
        const hid_t space = H5Dget_space(id);
        const std::vector<hsize_t> one(at.size(), 1);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, at.data(), nullptr, one.data(), nullptr);
        const hid_t memory = H5Screate_simple(1, one.data(), nullptr);
        float value = 0.0F;
        ASSERT_GE(H5Dread(id, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, &value), 0);
        value += change;
        ASSERT_GE(H5Dwrite(id, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, &value), 0);
        H5Sclose(memory);
        H5Sclose(space);
        H5Dclose(id);
        H5Fclose(file);
    }

    TemporaryFolder m_folder;
};

TEST_F(VerifyRecording, FindsNothingWrongWithWholeRecordingsOfEveryKind)
{
    for (const RecordKind kind : {RecordKind::Full, RecordKind::QueriesKeys, RecordKind::Statistics}) {
        for (const std::int64_t window : {0, 100}) {
            SyntheticRecording options;
            options.kind = kind;
            options.promptTokens = 700;
            options.generatedTokens = 3;
            options.samples = 2;
            options.window = window;
            const VerifyReport report = verify(make(options));
            EXPECT_THAT(report.problems, IsEmpty());
            EXPECT_EQ(report.samples, 2);
            EXPECT_TRUE(report.complete);
            EXPECT_EQ(report.rowsChecked, kind == RecordKind::Statistics ? 0 : 2 * 4 * 8);
        }
    }
}

TEST_F(VerifyRecording, NamesWhatDoesNotAgreeThoughItsChecksumsDo)
{
    struct Case {
        const char* dataset;
        std::vector<hsize_t> at;
        float change;
        const char* expected;
    };
    // Row 299 is the last of 300 and always among those looked at.
    for (const Case& test : std::vector<Case>{
             {"attention", {1, 299, 7}, 0.25F, "head 1 map cell (299, 7)"},
             {"attention", {1, 0, 200}, 0.25F,
                 "head 1 map cell (0, 200) is 0.250000, expected 0 outside the causal window"},
             {"row_logsumexp", {2, 299}, 0.1F, "head 2 row 299: recomputed from queries, keys and row_logsumexp"},
             {"row_max", {0, 299}, 0.1F, "head 0 row 299: row_max is"},
             {"row_entropy", {0, 299}, 0.1F, "row_entropy is"},
             {"row_sink_mass", {3, 299}, 0.1F, "row_sink_mass is"},
             {"column_sum", {3, 20}, 5.0F, "head 3: column_sum adds up to"},
             {"key_norm", {1, 299}, 1.0F, "kv head 1 token 299: key_norm is"},
             {"value_norm", {0, 0}, 1.0F, "kv head 0 token 0: value_norm is"},
             {"pyramid/4/max", {0, 10, 3}, 0.5F, "head 0 pyramid 4 cell (10, 3)"},
         }) {
        SyntheticRecording options;
        options.promptTokens = 300;
        const fs::path path = make(options);
        add(path, test.dataset, test.at, test.change);
        EXPECT_THAT(verify(path).problems, Contains(HasSubstr(test.expected))) << test.dataset;
    }
}

TEST_F(VerifyRecording, StopsWhenAskedTo)
{
    const fs::path path = make({});
    int calls = 0;
    const VerifyReport report = verifyRecording(Recording::open(path), {}, [&](double) { return ++calls < 2; });
    EXPECT_FALSE(report.complete);
    EXPECT_EQ(calls, 2);
}

} // namespace
} // namespace kvloupe
