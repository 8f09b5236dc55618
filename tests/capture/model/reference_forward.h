// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kvloupe {

/// One prompt of smollm2_reference.h5 with what Hugging Face transformers computes for it (float32, eager attention);
/// make_smollm2_reference.py beside the file explains the fields.
class ReferenceForward {
public:
    explicit ReferenceForward(const std::string& prompt)
    {
        const hid_t file = H5Fopen(KVLOUPE_TEST_DATA "/smollm2_reference.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
        const hid_t group = H5Gopen2(file, prompt.c_str(), H5P_DEFAULT);
        text = readText(group);
        ids = read<std::int32_t>(group, "ids", H5T_NATIVE_INT32);
        rows = read<std::int32_t>(group, "rows", H5T_NATIVE_INT32);
        greedy = read<std::int32_t>(group, "greedy", H5T_NATIVE_INT32);
        nll = read<float>(group, "nll", H5T_NATIVE_FLOAT);
        lastLogits = read<float>(group, "last_logits", H5T_NATIVE_FLOAT);
        attention = read<float>(group, "attention", H5T_NATIVE_FLOAT);
        H5Gclose(group);
        H5Fclose(file);
    }

    std::string text; // UTF-8
    std::vector<std::int32_t> ids; // [n]
    std::vector<std::int32_t> rows; // queries whose attention was kept
    std::vector<std::int32_t> greedy;
    std::vector<float> nll; // [n - 1]
    std::vector<float> lastLogits; // [vocab]
    std::vector<float> attention; // [layers, heads, rows, n]

private:
    static std::string readText(hid_t group)
    {
        const hid_t attribute = H5Aopen(group, "text", H5P_DEFAULT);
        const hid_t type = H5Aget_type(attribute);
        char* characters = nullptr;
        H5Aread(attribute, type, &characters);
        std::string result = characters;
        H5free_memory(characters);
        H5Tclose(type);
        H5Aclose(attribute);
        return result;
    }

    template <typename Number> static std::vector<Number> read(hid_t group, const char* name, hid_t type)
    {
        const hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
        const hid_t space = H5Dget_space(dataset);
        std::vector<Number> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
        H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
        H5Sclose(space);
        H5Dclose(dataset);
        return values;
    }
};

} // namespace kvloupe
