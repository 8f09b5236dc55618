// SPDX-License-Identifier: GPL-3.0-or-later

// Kept indices of kvpress 0.5.5 itself, from tests/data/make_kvpress_reference.py.

#include "core/methods/method_registry.h"
#include "core/replay/replay.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvloupe {
namespace {

/// The few things this test reads, without core's reader.
class ReferenceFile {
public:
    ReferenceFile()
        : m_file(H5Fopen(KVLOUPE_TEST_DATA "/kvpress_reference.h5", H5F_ACC_RDONLY, H5P_DEFAULT))
    {
    }
    ReferenceFile(const ReferenceFile&) = delete;
    ReferenceFile& operator=(const ReferenceFile&) = delete;
    ~ReferenceFile() { H5Fclose(m_file); }

    std::vector<std::string> groups() const
    {
        std::vector<std::string> names;
        const auto append = [](hid_t, const char* name, const H5L_info_t*, void* list) -> herr_t {
            static_cast<std::vector<std::string>*>(list)->emplace_back(name);
            return 0;
        };
        H5Literate(m_file, H5_INDEX_NAME, H5_ITER_INC, nullptr, append, &names);
        return names;
    }

    std::int64_t integer(const std::string& group, const std::string& name) const
    {
        std::int64_t value = -1;
        const hid_t attribute = H5Aopen_by_name(m_file, group.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        H5Aread(attribute, H5T_NATIVE_INT64, &value);
        H5Aclose(attribute);
        return value;
    }

    /// Empty if there is none.
    template <typename Number> std::vector<Number> array(const std::string& name, hid_t type) const
    {
        std::vector<Number> values;
        if (H5Lexists(m_file, name.c_str(), H5P_DEFAULT) <= 0)
            return values;
        const hid_t data = H5Dopen2(m_file, name.c_str(), H5P_DEFAULT);
        const hid_t space = H5Dget_space(data);
        values.resize(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
        H5Dread(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
        H5Sclose(space);
        H5Dclose(data);
        return values;
    }
    std::vector<float> floats(const std::string& name) const { return array<float>(name, H5T_NATIVE_FLOAT); }

private:
    hid_t m_file;
};

struct Case {
    std::string press;
    std::string ratio; ///< empty = the press has none
    std::string mode; ///< "sdpa" or "eager"
};

/// A prompt of the file: its evidence, all layers one after another, and what each press kept.
struct Prompt {
    std::string name;
    int layers = 0;
    int heads = 0;
    int kvHeads = 0;
    int headDim = 0;
    std::int64_t tokens = 0;
    std::int64_t question = 0;
    std::vector<Case> cases;
    std::vector<std::uint8_t> kept;
    std::vector<std::uint8_t> arbitrary;
    std::map<std::int64_t, std::vector<float>> rows; ///< by their number
    std::vector<float> maps;
    std::vector<float> columnSums;
    std::vector<float> keys;
    std::vector<float> values;
    std::vector<float> keyNorms;
    std::vector<float> valueNorms;
    std::vector<float> outputValueNorms;
    std::vector<float> queryMeans;
    std::vector<float> queryCovariances;
    std::vector<double> inverseFrequencies;

    bool isArbitrary(std::size_t number, int layer, int head) const
    {
        return arbitrary[(number * static_cast<std::size_t>(layers) + static_cast<std::size_t>(layer))
                       * static_cast<std::size_t>(kvHeads)
                   + static_cast<std::size_t>(head)]
            != 0;
    }
    std::vector<std::int32_t> keptPositions(std::size_t number, int layer, int head) const
    {
        const std::size_t set = (number * static_cast<std::size_t>(layers) + static_cast<std::size_t>(layer))
                * static_cast<std::size_t>(kvHeads)
            + static_cast<std::size_t>(head);
        std::vector<std::int32_t> positions;
        for (std::int64_t token = 0; token < tokens; ++token)
            if (kept[set * static_cast<std::size_t>(tokens) + static_cast<std::size_t>(token)] != 0)
                positions.push_back(static_cast<std::int32_t>(token));
        return positions;
    }
};

std::vector<float> normsOf(const std::vector<float>& vectors, int headDim)
{
    std::vector<float> norms;
    for (auto at = vectors.begin(); at != vectors.end(); at += headDim) {
        double sum = 0.0;
        for (int channel = 0; channel < headDim; ++channel)
            sum += static_cast<double>(at[channel]) * static_cast<double>(at[channel]);
        norms.push_back(static_cast<float>(std::sqrt(sum)));
    }
    return norms;
}

std::vector<Prompt> readPrompts()
{
    const ReferenceFile file;
    std::vector<Prompt> prompts;
    for (const std::string& name : file.groups()) {
        const std::string at = name + "/";
        Prompt prompt;
        prompt.name = name;
        prompt.layers = static_cast<int>(file.integer(name, "layers"));
        prompt.heads = static_cast<int>(file.integer(name, "heads"));
        prompt.kvHeads = static_cast<int>(file.integer(name, "kv_heads"));
        prompt.headDim = static_cast<int>(file.integer(name, "head_dim"));
        prompt.tokens = file.integer(name, "tokens");
        prompt.question = file.integer(name, "question");
        const auto text = file.array<char>(at + "cases", H5T_NATIVE_CHAR);
        std::istringstream lines(std::string(text.begin(), text.end()));
        for (std::string line; std::getline(lines, line);) {
            const auto first = line.find('\t');
            const auto second = line.find('\t', first + 1);
            prompt.cases.push_back(
                {line.substr(0, first), line.substr(first + 1, second - first - 1), line.substr(second + 1)});
        }
        prompt.kept = file.array<std::uint8_t>(at + "kept", H5T_NATIVE_UINT8);
        prompt.arbitrary = file.array<std::uint8_t>(at + "arbitrary", H5T_NATIVE_UINT8);
        for (const std::int64_t rows : {1, 8, 64})
            prompt.rows[rows] = file.floats(fmt::format("{}rows_{}", at, rows));
        prompt.maps = file.floats(at + "maps");
        prompt.columnSums = file.floats(at + "column_sums");
        prompt.keys = file.floats(at + "keys");
        prompt.values = file.floats(at + "values");
        prompt.keyNorms = normsOf(prompt.keys, prompt.headDim);
        prompt.valueNorms = normsOf(prompt.values, prompt.headDim);
        prompt.outputValueNorms = file.floats(at + "output_value_norms");
        prompt.queryMeans = file.floats(at + "query_means");
        prompt.queryCovariances = file.floats(at + "query_covariances");
        prompt.inverseFrequencies = file.array<double>(at + "inverse_frequencies", H5T_NATIVE_DOUBLE);
        prompts.push_back(std::move(prompt));
    }
    return prompts;
}

const std::vector<Prompt>& allPrompts()
{
    static const std::vector<Prompt> prompts = readPrompts();
    return prompts;
}

/// What one method sees of all layers, with the rows that had to be cut out of maps.
struct PromptEvidence {
    std::vector<std::vector<float>> cutRows;
    std::vector<LayerEvidence> layers;
};

PromptEvidence evidenceOf(const Prompt& prompt, const std::string& mode, const EvidenceNeeds& needs)
{
    PromptEvidence evidence;
    evidence.cutRows.resize(static_cast<std::size_t>(prompt.layers));
    const auto ofLayer = [&](const std::vector<float>& all, int layer) {
        const std::size_t perLayer = all.size() / static_cast<std::size_t>(prompt.layers);
        return std::span(all).subspan(perLayer * static_cast<std::size_t>(layer), perLayer);
    };
    for (int layer = 0; layer < prompt.layers; ++layer) {
        LayerEvidence view;
        view.layer = layer;
        view.numLayers = prompt.layers;
        view.queryHeads = prompt.heads;
        view.kvHeads = prompt.kvHeads;
        view.headDim = prompt.headDim;
        view.tokens = prompt.tokens;
        view.softmaxScale = 1.0 / std::sqrt(static_cast<double>(prompt.headDim));
        view.lastRowCount = std::min(needs.lastRows, prompt.tokens);
        if (mode == "eager") {
            std::vector<float>& cut = evidence.cutRows[static_cast<std::size_t>(layer)];
            const auto whole = ofLayer(prompt.maps, layer);
            const auto perHead = static_cast<std::size_t>(prompt.tokens * prompt.tokens);
            const auto perCut = static_cast<std::size_t>(view.lastRowCount * prompt.tokens);
            for (std::size_t end = perHead; end <= whole.size(); end += perHead)
                cut.insert(cut.end(), whole.begin() + static_cast<std::ptrdiff_t>(end - perCut),
                    whole.begin() + static_cast<std::ptrdiff_t>(end));
            view.lastRows = cut;
            view.columnSums = ofLayer(prompt.columnSums, layer);
        } else {
            if (needs.lastRows > 0)
                view.lastRows = ofLayer(prompt.rows.at(needs.lastRows), layer);
            view.keyNorms = ofLayer(prompt.keyNorms, layer);
            view.valueNorms = ofLayer(prompt.valueNorms, layer);
            view.outputValueNorms = ofLayer(prompt.outputValueNorms, layer);
            view.keys = ofLayer(prompt.keys, layer);
            view.values = ofLayer(prompt.values, layer);
            view.queryMeans = ofLayer(prompt.queryMeans, layer);
            view.queryCovariances = ofLayer(prompt.queryCovariances, layer);
            view.inverseFrequencies = prompt.inverseFrequencies;
        }
        evidence.layers.push_back(view);
    }
    return evidence;
}

/// How many kept sets were compared. A set is arbitrary when in kvpress the order of equal scores decides: then only
/// the tokens kept in the layer are held against each other, and it is counted how often ours is what kvpress keeps if
/// it takes the earlier of equal scores. Those that are not have a budget below what we protect (docs/methods.md).
struct Compared {
    int sets = 0; ///< not arbitrary
    int equal = 0; ///< of these
    int arbitrary = 0;
    int arbitraryEqual = 0; ///< of these

    bool operator==(const Compared&) const = default;
};

void PrintTo(const Compared& compared, std::ostream* out)
{
    *out << fmt::format(
        "{{{}, {}, {}, {}}}", compared.sets, compared.equal, compared.arbitrary, compared.arbitraryEqual);
}

/// Runs `spec` wherever kvpress ran `press`.
Compared compare(std::string_view press, const std::string& spec)
{
    Compared compared;
    const Method method = parseMethod(spec);
    for (const Prompt& prompt : allPrompts()) {
        const PromptLayout layout(prompt.tokens, prompt.tokens,
            {{prompt.tokens - prompt.question, prompt.tokens, SpanKind::Question, -1, ""}});
        std::map<std::string, std::unique_ptr<ScoredSample>> scored; // by mode
        for (std::size_t number = 0; number < prompt.cases.size(); ++number) {
            const auto& [name, ratio, mode] = prompt.cases[number];
            if (name != press)
                continue;
            if (!scored[mode]) {
                const PromptEvidence evidence = evidenceOf(prompt, mode, method.needs(layout));
                scored[mode] = std::make_unique<ScoredSample>(method, layout, evidence.layers);
            }
            const ReplayResult ours
                = scored[mode]->choose(ratio.empty() ? Budget::keep("1") : Budget::compressionRatio(ratio));
            for (int layer = 0; layer < prompt.layers; ++layer) {
                std::size_t oursInLayer = 0;
                std::size_t theirsInLayer = 0;
                for (int head = 0; head < prompt.kvHeads; ++head) {
                    const auto& set = ours.kept.at(layer).sets.at(static_cast<std::size_t>(head));
                    const auto theirs = prompt.keptPositions(number, layer, head);
                    oursInLayer += set.size();
                    theirsInLayer += theirs.size();
                    if (prompt.isArbitrary(number, layer, head)) {
                        ++compared.arbitrary;
                        compared.arbitraryEqual += set == theirs ? 1 : 0;
                        continue;
                    }
                    ++compared.sets;
                    compared.equal += set == theirs ? 1 : 0;
                    EXPECT_EQ(set, theirs) << spec << " at " << ratio << ", " << prompt.name << " (" << mode
                                           << "), layer " << layer << ", head " << head;
                }
                EXPECT_EQ(oursInLayer, theirsInLayer)
                    << spec << " at " << ratio << ", " << prompt.name << " (" << mode << "), layer " << layer;
            }
        }
    }
    return compared;
}

TEST(KvpressReference, StreamingLlmKeepsWhatStreamingLLMPressKeeps)
{
    EXPECT_EQ(compare("StreamingLLMPress()", "streaming_llm@kvpress"), (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("StreamingLLMPress(n_sink=6)", "streaming_llm@kvpress:n_sink=6"), (Compared{150, 150, 6, 0}));
}

TEST(KvpressReference, SnapKvKeepsWhatSnapKVPressKeeps)
{
    EXPECT_EQ(compare("SnapKVPress()", "snapkv@kvpress"), (Compared{6, 6, 6, 0}));
    EXPECT_EQ(compare("SnapKVPress(window_size=8)", "snapkv@kvpress:window=8"), (Compared{196, 196, 20, 0}));
    EXPECT_EQ(compare("SnapKVPress(window_size=8, kernel_size=3)", "snapkv@kvpress:window=8,kernel=3"),
        (Compared{146, 146, 10, 0}));
}

TEST(KvpressReference, PyramidKvKeepsWhatPyramidKVPressKeeps)
{
    EXPECT_EQ(compare("PyramidKVPress()", "pyramidkv@kvpress"), (Compared{6, 6, 6, 0}));
    EXPECT_EQ(compare("PyramidKVPress(window_size=8)", "pyramidkv@kvpress:window=8"), (Compared{146, 146, 10, 0}));
    EXPECT_EQ(compare("PyramidKVPress(window_size=8, beta=3)", "pyramidkv@kvpress:window=8,beta=3"),
        (Compared{146, 146, 10, 0}));
}

TEST(KvpressReference, ObservedAttentionKeepsWhatObservedAttentionPressKeeps)
{
    EXPECT_EQ(compare("ObservedAttentionPress()", "observed_attention@kvpress"), (Compared{168, 168, 0, 0}));
}

TEST(KvpressReference, TovaKeepsWhatTOVAPressKeeps)
{
    EXPECT_EQ(compare("TOVAPress()", "tova@kvpress"), (Compared{228, 228, 0, 0}));
}

TEST(KvpressReference, FinchKeepsWhatFinchPressKeeps)
{
    EXPECT_EQ(compare("FinchPress()", "finch@kvpress"), (Compared{152, 152, 16, 0}));
    EXPECT_EQ(
        compare("FinchPress(normalize_scores=False)", "finch@kvpress:normalize=false"), (Compared{146, 146, 10, 0}));
    EXPECT_EQ(compare("FinchPress(chunk_length=90)", "finch@kvpress:chunk=90"), (Compared{90, 90, 66, 0}));
}

TEST(KvpressReference, SimLayerKvKeepsWhatSimLayerKVPressKeeps)
{
    for (const std::string recent : {"8", "24"})
        for (const std::string threshold : {"0.1", "0.2", "0.3", "0.5"})
            EXPECT_EQ(compare(fmt::format("SimLayerKVPress(lazy_threshold={}, n_recent={})", threshold, recent),
                          fmt::format("simlayerkv@kvpress:threshold={},n_recent={}", threshold, recent)),
                (Compared{26, 26, 0, 0}));
    EXPECT_EQ(compare("SimLayerKVPress(lazy_threshold=0.3, n_recent=24, n_last=8)",
                  "simlayerkv@kvpress:threshold=0.3,n_recent=24,n_last=8"),
        (Compared{26, 26, 0, 0}));
}

TEST(KvpressReference, ExpectedAttentionKeepsWhatExpectedAttentionPressKeeps)
{
    EXPECT_EQ(compare("ExpectedAttentionPress()", "expected_attention@kvpress"), (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("ExpectedAttentionPress(use_covariance=False)", "expected_attention@kvpress:covariance=false"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("ExpectedAttentionPress(use_vnorm=False)", "expected_attention@kvpress:vnorm=false"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("ExpectedAttentionPress(epsilon=1e-2)", "expected_attention@kvpress:epsilon=0.01"),
        (Compared{156, 156, 0, 0}));
}

TEST(KvpressReference, KnormKeepsWhatKnormPressKeeps)
{
    EXPECT_EQ(compare("KnormPress()", "knorm@kvpress"), (Compared{156, 156, 0, 0}));
}

TEST(KvpressReference, KeyDiffKeepsWhatKeyDiffPressKeeps)
{
    EXPECT_EQ(compare("KeyDiffPress()", "keydiff@kvpress"), (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("BlockPress(KeyDiffPress(), block_size=32)", "keydiff@kvpress-block:block_size=32"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("BlockPress(KeyDiffPress())", "keydiff@kvpress-block"), (Compared{24, 24, 0, 0}));
}

TEST(KvpressReference, LagKvKeepsWhatLagKVPressKeeps)
{
    EXPECT_EQ(compare("LagKVPress(lag_size=16)", "lagkv@kvpress:lag=16"), (Compared{18, 18, 138, 78}));
    EXPECT_EQ(
        compare("LagKVPress(n_sink=2, lag_size=8)", "lagkv@kvpress:n_sink=2,lag=8"), (Compared{18, 18, 138, 106}));
    EXPECT_EQ(compare("LagKVPress(lag_size=16, cross_scoring=True)", "lagkv@kvpress:lag=16,cross_scoring=true"),
        (Compared{96, 96, 60, 0}));
    EXPECT_EQ(compare("LagKVPress()", "lagkv@kvpress"), (Compared{8, 8, 16, 0}));
    EXPECT_EQ(compare("LagKVPress(cross_scoring=True)", "lagkv@kvpress:cross_scoring=true"), (Compared{8, 8, 16, 0}));
}

TEST(KvpressReference, ChunkKvKeepsWhatChunkKVPressKeeps)
{
    EXPECT_EQ(compare("ChunkKVPress(SnapKVPress())", "chunkkv@kvpress"), (Compared{6, 6, 6, 6}));
    EXPECT_EQ(compare("ChunkKVPress(SnapKVPress(window_size=8))", "chunkkv@kvpress:scorer.window=8"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(
        compare("ChunkKVPress(SnapKVPress(window_size=8), chunk_length=7)", "chunkkv@kvpress:chunk=7,scorer.window=8"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("ChunkKVPress(KnormPress(), chunk_length=10)", "chunkkv@kvpress:chunk=10,scorer=knorm@kvpress"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("ChunkKVPress(LagKVPress(lag_size=16), chunk_length=10)",
                  "chunkkv@kvpress:chunk=10,scorer=lagkv@kvpress,scorer.lag=16"),
        (Compared{98, 98, 58, 58}));
    EXPECT_EQ(compare("ChunkKVPress(LagKVPress(n_sink=2, lag_size=8), chunk_length=12)",
                  "chunkkv@kvpress:chunk=12,scorer=lagkv@kvpress,scorer.lag=8,scorer.n_sink=2"),
        (Compared{126, 126, 30, 30}));
    EXPECT_EQ(compare("ChunkKVPress(ExpectedAttentionPress())", "chunkkv@kvpress:scorer=expected_attention@kvpress"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("ChunkKVPress(TOVAPress())", "chunkkv@kvpress:scorer=tova@kvpress"), (Compared{156, 156, 0, 0}));
}

TEST(KvpressReference, AdaKvKeepsWhatAdaKVPressKeeps)
{
    EXPECT_EQ(compare("AdaKVPress(SnapKVPress())", "adakv@kvpress"), (Compared{6, 6, 6, 0}));
    EXPECT_EQ(compare("AdaKVPress(SnapKVPress(window_size=8))", "adakv@kvpress:scorer.window=8"),
        (Compared{146, 146, 10, 0}));
    EXPECT_EQ(compare("AdaKVPress(SnapKVPress(window_size=8), alpha_safeguard=0.95)",
                  "adakv@kvpress:scorer.window=8,alpha=0.95"),
        (Compared{146, 146, 10, 0}));
    EXPECT_EQ(compare("AdaKVPress(ExpectedAttentionPress(epsilon=1e-2))",
                  "adakv@kvpress:scorer=expected_attention@kvpress,scorer.epsilon=0.01"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("AdaKVPress(KnormPress(), alpha_safeguard=0.5)", "adakv@kvpress:scorer=knorm@kvpress,alpha=0.5"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("AdaKVPress(KeyDiffPress(), alpha_safeguard=0)", "adakv@kvpress:scorer=keydiff@kvpress,alpha=0"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("AdaKVPress(LagKVPress(lag_size=16, cross_scoring=True))",
                  "adakv@kvpress:scorer=lagkv@kvpress,scorer.lag=16,scorer.cross_scoring=true"),
        (Compared{96, 96, 60, 0}));
    EXPECT_EQ(compare("AdaKVPress(LagKVPress(cross_scoring=True))",
                  "adakv@kvpress:scorer=lagkv@kvpress,scorer.cross_scoring=true"),
        (Compared{8, 8, 16, 0}));
    EXPECT_EQ(compare("AdaKVPress(LagKVPress(lag_size=16))", "adakv@kvpress:scorer=lagkv@kvpress,scorer.lag=16"),
        (Compared{18, 18, 138, 78}));
}

TEST(KvpressReference, CriticalKvKeepsWhatCriticalKVPressKeeps)
{
    EXPECT_EQ(compare("CriticalKVPress(SnapKVPress())", "criticalkv@kvpress"), (Compared{6, 6, 6, 0}));
    EXPECT_EQ(compare("CriticalKVPress(SnapKVPress(window_size=8))", "criticalkv@kvpress:scorer.window=8"),
        (Compared{146, 146, 10, 0}));
    EXPECT_EQ(compare("CriticalKVPress(SnapKVPress(window_size=8), first_stage_ratio=0.25)",
                  "criticalkv@kvpress:scorer.window=8,first_share=0.25"),
        (Compared{146, 146, 10, 0}));
    EXPECT_EQ(compare("CriticalKVPress(ExpectedAttentionPress(use_vnorm=False))",
                  "criticalkv@kvpress:scorer=expected_attention@kvpress,scorer.vnorm=false"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("CriticalKVPress(KnormPress())", "criticalkv@kvpress:scorer=knorm@kvpress"),
        (Compared{156, 156, 0, 0}));
}

TEST(KvpressReference, CriticalKvWithSharedBudgetsKeepsWhatCriticalAdaKVPressKeeps)
{
    EXPECT_EQ(compare("CriticalAdaKVPress(SnapKVPress())", "criticalkv@kvpress-ada"), (Compared{6, 6, 6, 0}));
    EXPECT_EQ(compare("CriticalAdaKVPress(SnapKVPress(window_size=8))", "criticalkv@kvpress-ada:scorer.window=8"),
        (Compared{146, 146, 10, 0}));
    EXPECT_EQ(compare("CriticalAdaKVPress(ExpectedAttentionPress(use_vnorm=False))",
                  "criticalkv@kvpress-ada:scorer=expected_attention@kvpress,scorer.vnorm=false"),
        (Compared{156, 156, 0, 0}));
    EXPECT_EQ(compare("CriticalAdaKVPress(KnormPress())", "criticalkv@kvpress-ada:scorer=knorm@kvpress"),
        (Compared{156, 156, 0, 0}));
}

} // namespace
} // namespace kvloupe
