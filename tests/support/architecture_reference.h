// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "tests/support/temporary_folder.h"

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kvloupe {

/// architectures.h5: small random models of every architecture, with what Hugging Face transformers computes for them;
/// make_architecture_reference.py beside it explains the fields.
class ArchitectureFile {
public:
    ArchitectureFile()
        : m_file(H5Fopen(KVLOUPE_TEST_DATA "/architectures.h5", H5F_ACC_RDONLY, H5P_DEFAULT))
    {
    }
    ArchitectureFile(const ArchitectureFile&) = delete;
    ArchitectureFile& operator=(const ArchitectureFile&) = delete;
    ~ArchitectureFile() { H5Fclose(m_file); }

    std::string text(const std::string& object, const char* attribute) const
    {
        const hid_t id = H5Aopen_by_name(m_file, object.c_str(), attribute, H5P_DEFAULT, H5P_DEFAULT);
        const hid_t type = H5Aget_type(id);
        char* characters = nullptr;
        H5Aread(id, type, &characters);
        std::string result = characters;
        H5free_memory(characters);
        H5Tclose(type);
        H5Aclose(id);
        return result;
    }

    double number(const std::string& object, const char* attribute) const
    {
        const hid_t id = H5Aopen_by_name(m_file, object.c_str(), attribute, H5P_DEFAULT, H5P_DEFAULT);
        double result = 0;
        H5Aread(id, H5T_NATIVE_DOUBLE, &result);
        H5Aclose(id);
        return result;
    }

    bool has(const std::string& object) const { return H5Lexists(m_file, object.c_str(), H5P_DEFAULT) > 0; }

    std::vector<float> floats(const std::string& name) const { return read<float>(name, H5T_NATIVE_FLOAT); }
    std::vector<std::int32_t> integers(const std::string& name) const
    {
        return read<std::int32_t>(name, H5T_NATIVE_INT32);
    }
    std::string bytes(const std::string& name) const
    {
        const auto values = read<unsigned char>(name, H5T_NATIVE_UCHAR);
        return {values.begin(), values.end()};
    }

    /// Names of the members of a group, in order.
    std::vector<std::string> members(const char* group) const
    {
        const hid_t id = H5Gopen2(m_file, group, H5P_DEFAULT);
        H5G_info_t info;
        H5Gget_info(id, &info);
        std::vector<std::string> names;
        for (hsize_t i = 0; i < info.nlinks; ++i) {
            char name[128];
            H5Lget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof(name), H5P_DEFAULT);
            names.emplace_back(name);
        }
        H5Gclose(id);
        return names;
    }

private:
    template <typename Number> std::vector<Number> read(const std::string& name, hid_t type) const
    {
        const hid_t dataset = H5Dopen2(m_file, name.c_str(), H5P_DEFAULT);
        const hid_t space = H5Dget_space(dataset);
        std::vector<Number> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
        H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
        H5Sclose(space);
        H5Dclose(dataset);
        return values;
    }

    hid_t m_file;
};

/// One prompt of one model.
struct ArchitectureCase {
    explicit ArchitectureCase(const std::string& name)
    {
        const ArchitectureFile file;
        const std::string group = "cases/" + name;
        config = file.text(group, "config");
        configOlder = file.text(group, "config_older");
        weights = file.bytes("weights/" + file.text(group, "weights"));
        const std::string ggufName = file.text(group, "gguf");
        gguf = ggufName.empty() ? "" : file.bytes("gguf/" + ggufName);
        ids = file.integers(group + "/ids");
        rows = file.integers(group + "/rows");
        logits = file.floats(group + "/logits");
        attentionRows = file.integers(group + "/attention_rows");
        attention = file.floats(group + "/attention");
        greedy = file.integers(group + "/greedy");
    }

    /// A Hugging Face folder, with the configuration as this or as older versions of transformers write it.
    std::filesystem::path writeFolder(const TemporaryFolder& folder, bool older = false) const
    {
        const std::filesystem::path name = older ? "older" : "model";
        folder.write(name / "config.json", older ? configOlder : config);
        folder.write(name / "model.safetensors", weights);
        return folder.path() / name;
    }
    std::filesystem::path writeGguf(const TemporaryFolder& folder) const { return folder.write("model.gguf", gguf); }

    std::string config; // JSON
    std::string configOlder;
    std::string weights; // a safetensors file
    std::string gguf; // a GGUF file, or empty
    std::vector<std::int32_t> ids; // [n]
    std::vector<std::int32_t> rows; // tokens whose logits were kept
    std::vector<float> logits; // [rows, vocab]
    std::vector<std::int32_t> attentionRows; // queries whose attention was kept
    std::vector<float> attention; // [layers, heads, attention rows, n]
    std::vector<std::int32_t> greedy;
};

} // namespace kvloupe
