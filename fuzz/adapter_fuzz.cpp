// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"
#include "capture/adapter/adapter_files.h"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// A folder in memory whose files are replaced by each input.
class ScratchFolder {
public:
    ScratchFolder()
    {
        std::string pattern = "/dev/shm/kvloupe-fuzz-XXXXXX";
        m_path = ::mkdtemp(pattern.data()) == nullptr ? std::filesystem::path() : std::filesystem::path(pattern);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    ~ScratchFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(m_path, ignored);
    }

    const std::filesystem::path& path() const { return m_path; }
    void write(std::string_view name, std::string_view bytes) const
    {
        std::ofstream(m_path / name, std::ios::binary) << bytes;
    }

private:
    std::filesystem::path m_path;
};

} // namespace

/// Two bytes for each of two lengths, the configuration, the facts (none if empty), and the weights.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    static const ScratchFolder folder;
    if (size < 4 || folder.path().empty())
        return 0;
    std::string_view rest(reinterpret_cast<const char*>(data) + 4, size - 4);
    const auto take = [&](std::size_t wanted) {
        const std::string_view part = rest.substr(0, wanted);
        rest.remove_prefix(part.size());
        return part;
    };
    folder.write(adapterConfigFile, take(data[0] + 256U * data[1]));
    const std::string_view facts = take(data[2] + 256U * data[3]);
    std::filesystem::remove(folder.path() / adapterFactsFile);
    if (!facts.empty())
        folder.write(adapterFactsFile, facts);
    folder.write(adapterWeightsFile, rest);
    ModelConfig config;
    config.numLayers = 2;
    config.numHeads = 4;
    config.numKvHeads = 2;
    config.headDim = 8;
    config.hiddenSize = 32;
    config.intermediateSize = 48;
    config.vocabSize = 64;
    try {
        const auto adapter = Adapter::read(folder.path());
        adapter->check(config);
        std::vector<float> values(32 * 48);
        for (const char* name : {"self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"})
            adapter->addTo(std::string("model.layers.1.") + name + ".weight", 0, 32, values);
    } catch (const AdapterError&) {
        // A refusal is what most inputs deserve.
    }
    return 0;
}
