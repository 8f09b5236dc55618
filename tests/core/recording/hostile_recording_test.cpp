// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording.h"
#include "core/recording/verify.h"

#include "tests/core/recording/small_sample.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <hdf5.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace kvloupe {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* layerPath = "/samples/000000/layers/00";

/// Reads whatever the file claims to have. Throws RecordingError for what it refuses.
void readEverything(const fs::path& path)
{
    const Recording recording = Recording::open(path);
    for (int sample = 0; sample < recording.sampleCount(); ++sample) {
        recording.readText(sample);
        recording.readLastLogits(sample);
        for (const int layer : recording.layers(sample)) {
            const LayerInfo& info = recording.layer(sample, layer);
            recording.read(sample, layer, TokenArray::RowLogSumExp);
            std::vector<float> vectors(static_cast<std::size_t>(
                std::min<std::int64_t>(recording.sample(sample).totalTokens, 1000) * recording.model().headDim));
            const std::int64_t tokens = std::ssize(vectors) / recording.model().headDim;
            recording.readVectors(sample, layer, VectorArray::Queries, 0, 0, tokens, vectors);
            recording.readVectors(sample, layer, VectorArray::Keys, 0, 0, tokens, vectors);
            recording.readTail(sample, layer);
            recording.readQueryMean(sample, layer);
            recording.readOverview(sample, layer, Pooling::Max);
            std::vector<Half> tile(tileSize * tileSize);
            for (const int head : info.mapHeads) {
                recording.readMapTile(sample, layer, head, 0, 0, tile);
                recording.readMapTile(sample, layer, head, 1, 0, tile);
                recording.readDecodeRow(sample, layer, head, 0);
            }
            for (const int factor : info.pyramidFactors) {
                recording.readPyramidTile(sample, layer, 0, factor, Pooling::Max, 0, 0, tile);
            }
        }
        recording.storedBytes(sample);
    }
}

std::string refusal(const fs::path& path)
{
    try {
        readEverything(path);
    } catch (const RecordingError& error) {
        return error.what();
    }
    return "nothing was refused";
}

class HostileRecording : public testing::Test {
protected:
    HostileRecording()
        : m_path(m_folder.path() / "r.h5")
    {
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
        writeSmallRecording(m_path, 1, RecordingWriter::Existing::Overwrite);
    }

    /// Changes a fresh recording by plain HDF5 and gives what reading it says.
    std::string afterChange(const std::function<void(hid_t file)>& change)
    {
        writeSmallRecording(m_path, 1, RecordingWriter::Existing::Overwrite);
        const hid_t file = H5Fopen(m_path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
        EXPECT_GE(file, 0);
        change(file);
        EXPECT_GE(H5Fclose(file), 0);
        return refusal(m_path);
    }

    static void setInteger(hid_t file, const char* object, const char* name, std::int64_t value)
    {
        setAttribute(file, object, name, H5T_NATIVE_INT64, &value);
    }

    static void setAttribute(hid_t file, const char* object, const char* name, hid_t type, const void* value)
    {
        const hid_t id = H5Oopen(file, object, H5P_DEFAULT);
        H5Adelete(id, name);
        const hid_t space = H5Screate(H5S_SCALAR);
        const hid_t attribute = H5Acreate2(id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        EXPECT_GE(H5Awrite(attribute, type, value), 0);
        H5Aclose(attribute);
        H5Sclose(space);
        H5Oclose(id);
    }

    /// Replaces a dataset by an empty one of this type, shape and creation properties.
    static void replace(hid_t file, const std::string& path, hid_t type, std::vector<hsize_t> dims,
        const std::function<void(hid_t creation)>& set)
    {
        H5Ldelete(file, path.c_str(), H5P_DEFAULT);
        const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
        set(creation);
        const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
        const hid_t dataset = H5Dcreate2(file, path.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
        EXPECT_GE(dataset, 0) << path;
        H5Dclose(dataset);
        H5Sclose(space);
        H5Pclose(creation);
    }

    static std::function<void(hid_t)> chunked(std::vector<hsize_t> chunk)
    {
        return [chunk](hid_t creation) {
            H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
            H5Pset_fletcher32(creation);
        };
    }

    TemporaryFolder m_folder;
    fs::path m_path;
};

TEST_F(HostileRecording, ReadsWhenNothingIsWrong)
{
    EXPECT_EQ(refusal(m_path), "nothing was refused");
    EXPECT_THAT(afterChange([](hid_t) {}), "nothing was refused");
}

TEST_F(HostileRecording, NamesFileAndCauseIfItIsNoRecordingAtAll)
{
    EXPECT_THAT(refusal(m_folder.path() / "none.h5"), AllOf(HasSubstr("none.h5"), HasSubstr("No such file")));
    EXPECT_THAT(refusal(m_folder.write("text.h5", "hello")),
        AllOf(HasSubstr("text.h5"), HasSubstr("not a readable HDF5 file")));
    fs::create_directory(m_folder.path() / "empty.parts");
    EXPECT_THAT(refusal(m_folder.path() / "empty.parts"), HasSubstr("no sample is complete yet"));
    const hid_t file = H5Fcreate((m_folder.path() / "other.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    EXPECT_THAT(refusal(m_folder.path() / "other.h5"), HasSubstr("attribute format is missing"));
}

TEST_F(HostileRecording, RefusesAttributesOutOfRange)
{
    struct Case {
        const char* object;
        const char* name;
        std::int64_t value;
        const char* expected;
    };
    for (const Case& test : std::initializer_list<Case>{
             {"/", "format_version", 2, "made by a newer KVLoupe"},
             {"/", "format_version", 0, "format_version is 0"},
             {"/", "format", 1, "attribute format has the wrong type, expected a string"},
             {"/model", "num_heads", 0, "num_heads is 0, expected 1 to 4096"},
             {"/model", "num_heads", std::int64_t{1} << 40, "num_heads is 1099511627776"},
             {"/model", "num_kv_heads", 3, "num_kv_heads is 3, expected a divisor of num_heads, 4"},
             {"/model", "num_kv_heads", -1, "num_kv_heads is -1"},
             {"/model", "head_dim", std::numeric_limits<std::int64_t>::max(), "head_dim is 9223372036854775807"},
             {"/model", "head_dim", 16,
                 "/samples/000000/layers/00/queries has shape [4, 310, 8], expected [4, 310, 16]"},
             {"/model", "num_layers", 1, "expected at most 1"},
             {"/model", "vocab_size", 0, "vocab_size is 0"},
             {"/samples/000000", "prompt_tokens", 0, "prompt_tokens is 0"},
             {"/samples/000000", "prompt_tokens", 311, "total_tokens is 310, expected 311"},
             {"/samples/000000", "prompt_tokens", 299, "expected [1, 299, 299]"},
             {"/samples/000000", "total_tokens", 309, "expected [309]"},
             {"/samples/000000", "total_tokens", std::int64_t{1} << 60, "total_tokens is"},
             {"/samples/000000", "softmax_scale", 1,
                 "softmax_scale has the wrong type, expected a floating-point number"},
             {layerPath, "window", -1, "window is -1"},
             {layerPath, "rope_variant", 1, "rope_variant is 1, expected 0 to 0"},
             {layerPath, "map_heads", 2, "map_heads has 0 dimensions, expected 1"},
         }) {
        EXPECT_THAT(afterChange([&](hid_t file) { setInteger(file, test.object, test.name, test.value); }),
            AllOf(HasSubstr("r.h5: /"), HasSubstr(test.expected)))
            << test.name << " = " << test.value;
    }
    const double nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_THAT(afterChange([&](hid_t file) {
        setAttribute(file, "/samples/000000", "softmax_scale", H5T_NATIVE_DOUBLE, &nan);
    }),
        HasSubstr("softmax_scale is nan, expected a finite number"));
    EXPECT_THAT(afterChange([](hid_t file) { H5Adelete(file, "uuid"); }), HasSubstr("attribute uuid is missing"));
}

TEST_F(HostileRecording, RefusesDatasetsOfAnotherTypeShapeOrLayout)
{
    const std::string layer = layerPath;
    const auto afterReplacing
        = [&](const std::string& name, hid_t type, std::vector<hsize_t> dims, const std::function<void(hid_t)>& set) {
              return afterChange([&](hid_t file) { replace(file, name, type, dims, set); });
          };
    EXPECT_THAT(afterReplacing(layer + "/queries", H5T_STD_I32LE, {4, 310, 8}, chunked({1, 310, 8})),
        HasSubstr("layers/00/queries has the wrong element type, expected float32"));
    EXPECT_THAT(afterReplacing(layer + "/queries", H5T_IEEE_F32BE, {4, 310, 8}, chunked({1, 310, 8})),
        HasSubstr("expected float32 little endian"));
    EXPECT_THAT(afterReplacing(layer + "/queries", H5T_IEEE_F32LE, {4, 2480}, chunked({1, 310})),
        HasSubstr("queries has 2 dimensions, expected 3"));
    EXPECT_THAT(afterReplacing(layer + "/queries", H5T_IEEE_F32LE, {4, 311, 8}, chunked({1, 311, 8})),
        HasSubstr("queries has shape [4, 311, 8], expected [4, 310, 8]"));
    EXPECT_THAT(afterReplacing(layer + "/queries", H5T_IEEE_F32LE, {4, 310, 8}, [](hid_t) {}),
        HasSubstr("queries is stored contiguously, expected a chunked dataset"));
    EXPECT_THAT(afterReplacing(layer + "/queries", H5T_IEEE_F32LE, {4, 310, 8},
                    [](hid_t creation) {
                        const hsize_t chunk[] = {1, 310, 8};
                        H5Pset_chunk(creation, 3, chunk);
                        H5Pset_deflate(creation, 1);
                    }),
        HasSubstr("queries has HDF5 filters [1], expected"));
    EXPECT_THAT(afterReplacing(layer + "/attention", H5T_IEEE_F32LE, {1, 300, 300}, chunked({1, 256, 256})),
        HasSubstr("attention has the wrong element type, expected float16"));
    EXPECT_THAT(afterReplacing(layer + "/row_logsumexp", H5T_IEEE_F32LE, {2, 310}, chunked({2, 310})),
        HasSubstr("row_logsumexp has shape [2, 310], expected [4, 310]"));
    EXPECT_THAT(afterReplacing("/samples/000000/tokens/ids", H5T_STD_I64LE, {310}, chunked({310})),
        HasSubstr("tokens/ids has the wrong element type"));
    EXPECT_THAT(afterReplacing("/samples/000000/tokens/pieces", H5T_STD_I64LE, {310}, chunked({310})),
        HasSubstr("tokens/pieces has the wrong type, expected strings of variable length"));
    EXPECT_THAT(afterReplacing("/samples/000000/text", H5T_STD_I64LE, {310}, chunked({310})), HasSubstr("text has"));
    EXPECT_THAT(afterReplacing("/samples/000000/spans", H5T_STD_I64LE, {310}, chunked({310})),
        HasSubstr("spans has the wrong type, expected a compound"));
    EXPECT_THAT(afterChange([&](hid_t file) { H5Ldelete(file, (layer + "/keys").c_str(), H5P_DEFAULT); }),
        HasSubstr("layers/00/keys is missing"));
    EXPECT_THAT(afterChange([&](hid_t file) {
        H5Ldelete(file, (layer + "/keys").c_str(), H5P_DEFAULT);
        H5Gclose(H5Gcreate2(file, (layer + "/keys").c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    }),
        HasSubstr("layers/00/keys is not a dataset"));
}

TEST_F(HostileRecording, TakesNoMemoryForWhatTheFileCannotHold)
{
    constexpr hsize_t tokens = hsize_t{1} << 24;
    const std::string layer = layerPath;
    EXPECT_THAT(afterChange([&](hid_t file) {
        setInteger(file, "/samples/000000", "total_tokens", static_cast<std::int64_t>(tokens));
        replace(file, "/samples/000000/tokens/ids", H5T_STD_I32LE, {tokens}, chunked({1024}));
        replace(file, "/samples/000000/tokens/offsets", H5T_STD_I64LE, {tokens, 2}, chunked({1024, 2}));
    }),
        testing::AnyOf(HasSubstr("can hold"), HasSubstr("pieces has shape [310]")));
    EXPECT_THAT(afterChange([&](hid_t file) {
        replace(file, layer + "/tail", H5T_IEEE_F32LE, {4, 300, 310}, chunked({4, 300, 310}));
        setInteger(file, "/model", "num_heads", 4096);
        setInteger(file, "/model", "num_kv_heads", 2);
        replace(file, layer + "/row_logsumexp", H5T_IEEE_F32LE, {4096, 310}, chunked({1024, 310}));
    }),
        HasSubstr("tail has shape"));
}

TEST_F(HostileRecording, FollowsNoLinkOutOfTheFile)
{
    const std::string keys = std::string(layerPath) + "/keys";
    const fs::path other = m_folder.path() / "other.h5";
    writeSmallRecording(other, 1, RecordingWriter::Existing::Overwrite);
    EXPECT_THAT(afterChange([&](hid_t file) {
        H5Ldelete(file, keys.c_str(), H5P_DEFAULT);
        H5Lcreate_external(other.c_str(), keys.c_str(), file, keys.c_str(), H5P_DEFAULT, H5P_DEFAULT);
    }),
        HasSubstr("layers/00/keys is a external link, which recordings do not have"));
    EXPECT_THAT(afterChange([&](hid_t file) {
        H5Ldelete(file, keys.c_str(), H5P_DEFAULT);
        H5Lcreate_soft("/samples/000000/layers/01/keys", file, keys.c_str(), H5P_DEFAULT, H5P_DEFAULT);
    }),
        HasSubstr("layers/00/keys is a soft link"));
    EXPECT_THAT(afterChange([&](hid_t file) {
        replace(file, keys, H5T_IEEE_F32LE, {2, 310, 8},
            [](hid_t creation) { H5Pset_external(creation, "/etc/passwd", 0, H5F_UNLIMITED); });
    }),
        HasSubstr("layers/00/keys lies in another file"));
    EXPECT_THAT(afterChange([&](hid_t file) {
        const hsize_t dims[] = {2, 310, 8};
        const hid_t space = H5Screate_simple(3, dims, nullptr);
        replace(file, keys, H5T_IEEE_F32LE, {2, 310, 8},
            [&](hid_t creation) { H5Pset_virtual(creation, space, other.c_str(), keys.c_str(), space); });
        H5Sclose(space);
    }),
        HasSubstr("layers/00/keys is a virtual dataset"));
}

TEST_F(HostileRecording, RefusesTextThatDoesNotFitItsTokens)
{
    const auto writeInto = [&](const char* path, hid_t type, const std::vector<hsize_t>& at, const void* value) {
        return afterChange([&](hid_t file) {
            const hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);
            const hid_t space = H5Dget_space(dataset);
            const hsize_t one[] = {1, 1};
            H5Sselect_hyperslab(space, H5S_SELECT_SET, at.data(), nullptr, one, nullptr);
            const hid_t memory = H5Screate_simple(1, one, nullptr);
            EXPECT_GE(H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, value), 0);
            H5Sclose(memory);
            H5Sclose(space);
            H5Dclose(dataset);
        });
    };
    const std::int32_t negative = -5;
    EXPECT_THAT(writeInto("/samples/000000/tokens/ids", H5T_NATIVE_INT32, {17}, &negative),
        HasSubstr("tokens/ids: token 17 has the id -5"));
    const std::int64_t far = 1000000;
    EXPECT_THAT(writeInto("/samples/000000/tokens/offsets", H5T_NATIVE_INT64, {3, 1}, &far),
        AllOf(HasSubstr("tokens/offsets: token 3"), HasSubstr("1000000")));
    const std::int64_t backwards = -1;
    EXPECT_THAT(
        writeInto("/samples/000000/tokens/offsets", H5T_NATIVE_INT64, {3, 0}, &backwards), HasSubstr("token 3"));
    const auto writeSpan = [&](const char* member, hid_t type, std::int64_t value) {
        const hid_t partial = H5Tcreate(H5T_COMPOUND, H5Tget_size(type));
        H5Tinsert(partial, member, 0, type);
        const std::string message = writeInto("/samples/000000/spans", partial, {1}, &value);
        H5Tclose(partial);
        return message;
    };
    EXPECT_THAT(writeSpan("end", H5T_NATIVE_INT64, 311),
        HasSubstr("spans: span 1 covers tokens 100 to 311, expected a range within 0 to 310"));
    EXPECT_THAT(writeSpan("begin", H5T_NATIVE_INT64, -1), HasSubstr("span 1 covers tokens -1"));
    EXPECT_THAT(writeSpan("begin", H5T_NATIVE_INT64, 301), HasSubstr("span 1 covers tokens 301 to 300"));
    EXPECT_THAT(writeSpan("shot", H5T_NATIVE_INT32, -2), HasSubstr("span 1 has shot -2"));
}

TEST_F(HostileRecording, RefusesNamesThatAreNoNumbers)
{
    EXPECT_THAT(afterChange([](hid_t file) {
        H5Lmove(file, "/samples/000000", file, "/samples/first", H5P_DEFAULT, H5P_DEFAULT);
    }),
        HasSubstr("/samples/first: expected a name of six digits"));
    EXPECT_THAT(afterChange([](hid_t file) {
        H5Lmove(file, layerPath, file, "/samples/000000/layers/x0", H5P_DEFAULT, H5P_DEFAULT);
    }),
        HasSubstr("layer x0 is not among the 2 of the model"));
    EXPECT_THAT(afterChange([](hid_t file) {
        const hid_t group
            = H5Gcreate2(file, "/samples/000000/layers/00/pyramid", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Gclose(H5Gcreate2(group, "6", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        H5Gclose(group);
    }),
        HasSubstr("pyramid: level 6 is not a power of two"));
}

std::string readBytes(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// Reads and verifies; any exception but RecordingError, and any crash, is a failure of the test.
void mustSurvive(const fs::path& path)
{
    try {
        const Recording recording = Recording::open(path);
        verifyRecording(recording, {});
        readEverything(path);
    } catch (const RecordingError& error) {
        EXPECT_NE(std::string(error.what()).find(path.filename().string()), std::string::npos) << error.what();
    }
}

TEST_F(HostileRecording, SurvivesTruncationAtTwoHundredLengths)
{
    const std::string whole = readBytes(m_path);
    std::mt19937 generator(1);
    for (int i = 0; i < 200; ++i) {
        const std::size_t length = generator() % whole.size();
        const auto cut = m_folder.write("cut.h5", std::string_view(whole).substr(0, length));
        ASSERT_NE(refusal(cut), "nothing was refused") << length << " of " << whole.size();
        mustSurvive(cut);
    }
}

TEST_F(HostileRecording, SurvivesFlippedBytesAndFindsThoseInChunks)
{
    const std::string whole = readBytes(m_path);
    std::mt19937 generator(2);
    for (int i = 0; i < 400; ++i) {
        std::string damaged = whole;
        for (auto flips = 1 + generator() % 3; flips > 0; --flips) {
            damaged[generator() % damaged.size()] ^= static_cast<char>(1U << (generator() % 8));
        }
        mustSurvive(m_folder.write("damaged.h5", damaged));
    }
}

TEST_F(HostileRecording, NamesTheChunkThatIsDamaged)
{
    const hid_t file = H5Fopen(m_path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t dataset = H5Dopen2(file, (std::string(layerPath) + "/attention").c_str(), H5P_DEFAULT);
    const hsize_t offset[] = {0, 256, 0};
    haddr_t address = 0;
    hsize_t bytes = 0;
    unsigned mask = 0;
    ASSERT_GE(H5Dget_chunk_info_by_coord(dataset, offset, &mask, &address, &bytes), 0);
    H5Dclose(dataset);
    H5Fclose(file);
    std::string damaged = readBytes(m_path);
    damaged[address + bytes / 2] ^= 4;
    const auto path = m_folder.write("damaged.h5", damaged);

    const Recording recording = Recording::open(path);
    std::vector<std::string> problems;
    recording.verifyChunks(0, [&](const std::string& problem) { problems.push_back(problem); }, {});
    EXPECT_THAT(problems,
        testing::ElementsAre(AllOf(HasSubstr("damaged.h5: /samples/000000/layers/00/attention: chunk [0, 256, 0]: "),
            HasSubstr("checksum is"))));
    std::vector<Half> tile(tileSize * tileSize);
    EXPECT_NO_THROW(recording.readMapTile(0, 0, 2, 0, 0, tile));
    EXPECT_THROW(recording.readMapTile(0, 0, 2, 1, 0, tile), RecordingError);
}

} // namespace
} // namespace kvloupe
