// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer.h"
#include "tests/capture/tokenizer/tokenizer_reference.h"
#include "tests/support/test_model.h"

#include <gtest/gtest.h>
#include <hdf5.h>

namespace kvloupe {
namespace {

/// One prompt of smollm2_reference.h5: text, ids and offsets in characters as transformers gives them.
class ReferencePrompt {
public:
    explicit ReferencePrompt(const std::string& name)
    {
        const hid_t file = H5Fopen(KVLOUPE_TEST_DATA "/smollm2_reference.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
        const hid_t group = H5Gopen2(file, name.c_str(), H5P_DEFAULT);
        text = readText(group);
        ids = readIntegers(group, "ids");
        offsets = readIntegers(group, "offsets");
        H5Gclose(group);
        H5Fclose(file);
    }

    std::string text;
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> offsets; // begin, end, begin, end, ...

private:
    static std::string readText(hid_t group)
    {
        const hid_t attribute = H5Aopen(group, "text", H5P_DEFAULT);
        const hid_t type = H5Aget_type(attribute);
        char* value = nullptr;
        H5Aread(attribute, type, static_cast<void*>(&value));
        std::string result = value == nullptr ? "" : value;
        H5free_memory(value);
        H5Tclose(type);
        H5Aclose(attribute);
        return result;
    }

    static std::vector<std::int32_t> readIntegers(hid_t group, const char* name)
    {
        const hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
        const hid_t space = H5Dget_space(dataset);
        std::vector<std::int32_t> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
        H5Dread(dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
        H5Sclose(space);
        H5Dclose(dataset);
        return values;
    }
};

class ReferencePrompts : public testing::TestWithParam<const char*> { };

TEST_P(ReferencePrompts, HaveTheIdsAndOffsetsOfTransformers)
{
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    const ReferencePrompt prompt(GetParam());
    ASSERT_FALSE(prompt.ids.empty());
    const auto tokenizer = Tokenizer::open(testModelPath());
    const Encoding encoding = tokenizer->encode(prompt.text);
    EXPECT_EQ(encoding.ids, prompt.ids);
    std::vector<std::int32_t> offsets;
    for (const auto& [begin, end] : inCharacters(prompt.text, encoding)) {
        offsets.push_back(static_cast<std::int32_t>(begin));
        offsets.push_back(static_cast<std::int32_t>(end));
    }
    EXPECT_EQ(offsets, prompt.offsets);
    EXPECT_EQ(tokenizer->decode(encoding.ids), prompt.text);
}

INSTANTIATE_TEST_SUITE_P(All, ReferencePrompts, testing::Values("short", "chat", "fewshot", "needle"),
    [](const auto& instance) { return std::string(instance.param); });

} // namespace
} // namespace kvloupe
