// SPDX-License-Identifier: GPL-3.0-or-later

// Kept indices of kvpress 0.5.5 itself, from tests/data/make_kvpress_reference.py.

#include "core/methods/method_registry.h"
#include "core/replay/replay.h"
#include "tests/core/methods/evidence_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <string>
#include <vector>

namespace kvloupe {
namespace {

/// The few things this test reads, without core's reader.
class ReferenceFile {
public:
    explicit ReferenceFile(const std::string& path)
        : m_file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT))
    {
    }
    ReferenceFile(const ReferenceFile&) = delete;
    ReferenceFile& operator=(const ReferenceFile&) = delete;
    ~ReferenceFile() { H5Fclose(m_file); }

    std::int64_t integer(const std::string& object, const std::string& name) const
    {
        std::int64_t value = -1;
        const hid_t attribute = H5Aopen_by_name(m_file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        H5Aread(attribute, H5T_NATIVE_INT64, &value);
        H5Aclose(attribute);
        return value;
    }

    std::string text(const std::string& object, const std::string& name) const
    {
        const hid_t attribute = H5Aopen_by_name(m_file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        const hid_t type = H5Aget_type(attribute);
        char* value = nullptr;
        H5Aread(attribute, type, static_cast<void*>(&value));
        const std::string result = value == nullptr ? "" : value;
        H5free_memory(value);
        H5Tclose(type);
        H5Aclose(attribute);
        return result;
    }

    template <typename Number> std::vector<Number> array(const std::string& name, hid_t type) const
    {
        const hid_t data = H5Dopen2(m_file, name.c_str(), H5P_DEFAULT);
        const hid_t space = H5Dget_space(data);
        std::vector<Number> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
        H5Dread(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
        H5Sclose(space);
        H5Dclose(data);
        return values;
    }

private:
    hid_t m_file;
};

TEST(KvpressReference, KeepsTheSameIndicesAsKvpress)
{
    const ReferenceFile file(std::string(KVLOUPE_TEST_DATA) + "/kvpress_reference.h5");
    const auto layers = static_cast<int>(file.integer("/", "layers"));
    const auto heads = static_cast<int>(file.integer("/", "heads"));
    const auto kvHeads = static_cast<int>(file.integer("/", "kv_heads"));
    const std::int64_t cases = file.integer("/", "cases");
    ASSERT_EQ(cases, 48);
    int equalSets = 0;
    for (std::int64_t number = 0; number < cases; ++number) {
        const std::string group = fmt::format("case{}", number);
        const std::int64_t tokens = file.integer(group, "tokens");
        const std::int64_t window = file.integer(group, "window");
        const std::string spec = file.text(group, "spec");
        const std::string ratio = file.text(group, "compression_ratio");
        const auto rows = file.array<float>(fmt::format("rows_{}_{}", tokens, window), H5T_NATIVE_FLOAT);
        const auto kept = file.array<std::int32_t>(group + "/kept", H5T_NATIVE_INT32);
        const std::size_t perSet = kept.size() / static_cast<std::size_t>(layers * kvHeads);

        for (int layer = 0; layer < layers; ++layer) {
            EvidenceTable table(heads, kvHeads, tokens, layer, layers);
            const auto perLayer = static_cast<std::size_t>(heads * window * tokens);
            table.lastRows.assign(
                rows.begin() + static_cast<std::ptrdiff_t>(perLayer * static_cast<std::size_t>(layer)),
                rows.begin() + static_cast<std::ptrdiff_t>(perLayer * static_cast<std::size_t>(layer + 1)));
            table.view.lastRowCount = window;
            table.bind();
            const ScoredSample scored(parseMethod(spec), PromptLayout(tokens), std::span(&table.view, 1));
            const KeepSet ours = scored.choose(Budget::compressionRatio(ratio)).kept.at(layer);
            ASSERT_EQ(ours.sets.size(), static_cast<std::size_t>(kvHeads));
            for (int head = 0; head < kvHeads; ++head) {
                const auto begin = kept.begin()
                    + static_cast<std::ptrdiff_t>(perSet * static_cast<std::size_t>(layer * kvHeads + head));
                const std::vector<std::int32_t> theirs(begin, begin + static_cast<std::ptrdiff_t>(perSet));
                EXPECT_EQ(ours.sets[static_cast<std::size_t>(head)], theirs)
                    << spec << " at " << ratio << ", " << tokens << " tokens, layer " << layer << ", head " << head;
                equalSets += ours.sets[static_cast<std::size_t>(head)] == theirs ? 1 : 0;
            }
        }
    }
    EXPECT_EQ(equalSets, 48 * layers * kvHeads);
}

} // namespace
} // namespace kvloupe
