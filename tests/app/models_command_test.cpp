// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/app/program_run.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace kvloupe {
namespace {

using testing::HasSubstr;

const std::string tinyLlama = KVLOUPE_TEST_DATA "/tiny_llama";

TEST(ModelsCommand, ExplainsAFolderInWords)
{
    const ProgramRun run = runBuilt("kvloupe", {"models", "inspect", tinyLlama});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("safetensors"));
    EXPECT_THAT(run.out, HasSubstr("36.8 % BF16 (10 tensors), 36.8 % F16 (10 tensors), 26.3 % F32 (9 tensors)"));
    EXPECT_THAT(run.out,
        HasSubstr("79.2 kB for the weights in float32 (79.2 kB where they stay in their file), 256.0 kB of keys and "
                  "values per 1,000 tokens"));
    EXPECT_THAT(run.out, HasSubstr("context 256"));
    EXPECT_THAT(run.out, HasSubstr("holds neither tokenizer.json nor tokenizer.model"));
    EXPECT_THAT(run.out, HasSubstr("can be run yes"));
}

TEST(ModelsCommand, GivesTheSameAsJson)
{
    const ProgramRun run = runBuilt("kvloupe", {"models", "inspect", tinyLlama, "--json"});
    const auto result = nlohmann::json::parse(run.out);
    EXPECT_EQ(result["runnable"], true);
    EXPECT_EQ(result["parameters_by_type"]["BF16"].get<int>() + result["parameters_by_type"]["F16"].get<int>()
            + result["parameters_by_type"]["F32"].get<int>(),
        result["parameters"]);
    EXPECT_EQ(result["estimates"]["weight_bytes_float32"], 79232);
    EXPECT_EQ(result["estimates"]["cache_bytes_per_token"], 256);
    const double atPeak
        = result["estimates"]["prefill_flops"].get<double>() / result["estimates"]["peak_flops"].get<double>();
    EXPECT_GT(atPeak, 0);
    const auto seconds = result["estimates"]["prefill_seconds"].get<std::vector<double>>();
    ASSERT_EQ(seconds.size(), 2U);
    EXPECT_GT(seconds[0], atPeak); // no prefill runs at the peak
    EXPECT_GT(seconds[1], seconds[0]);
    EXPECT_EQ(result["chat_template"]["family"], "");
}

TEST(ModelsCommand, SaysWhyPicklesAreNotRead)
{
    const TemporaryFolder folder;
    const auto file = folder.write("pytorch_model.bin", "PK");
    const ProgramRun run = runBuilt("kvloupe", {"models", "inspect", file.string()});
    EXPECT_THAT(
        run.out, HasSubstr("can be run no: " + file.string() + ": PyTorch's .bin and .pt files are Python pickles"));
    EXPECT_THAT(run.out, HasSubstr("safe_serialization=True"));
}

TEST(TokenizeCommand, ReadsTokenizerModelFiles)
{
    ProgramRunOptions options;
    options.input = "Hello world\n";
    const ProgramRun run = runBuilt(
        "kvloupe", {"tokenize", KVLOUPE_TEST_DATA "/tokenizers/families/spm-bpe.model", "--template"}, options);
    EXPECT_EQ(run.status, 0) << run.err;
    const auto ids = nlohmann::json::parse(run.out);
    EXPECT_EQ(ids.front(), 1);
    EXPECT_GE(ids.size(), 3u);
}

} // namespace
} // namespace kvloupe
