// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/safetensors_writer.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "tests/capture/checkpoint/tiny_llama.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace kvloupe {
namespace {

using ::testing::HasSubstr;

const std::vector<float> numbers{1.0F, 2.5F, -3.0F, 0.0F, 7.0F, 8.0F};

SafetensorsEntry entry(const char* name, std::vector<std::int64_t> shape, std::size_t values = 6)
{
    return {name, "F32", std::move(shape), std::as_bytes(std::span(numbers).first(values))};
}

std::string refusalOf(const std::filesystem::path& path, const std::vector<SafetensorsEntry>& entries)
{
    try {
        writeSafetensors(path, entries);
    } catch (const CheckpointError& error) {
        return error.what();
    }
    return "";
}

TEST(SafetensorsWriter, WhatIsWrittenIsReadBack)
{
    const TemporaryFolder folder;
    const auto path = folder.path() / "t.safetensors";
    const std::string text = "abc";
    const std::vector<SafetensorsEntry> entries{
        entry("b", {2, 3}), {"text", "U8", {3}, std::as_bytes(std::span(text))}, entry("a", {4}, 4)};
    writeSafetensors(path, entries, {{"format", "pt"}});
    const SafetensorsFile file(path);
    ASSERT_EQ(file.tensors().size(), 3U);
    for (const SafetensorsEntry& written : entries) {
        const auto read = std::ranges::find(file.tensors(), written.name, &SafetensorsEntry::name);
        ASSERT_NE(read, file.tensors().end());
        EXPECT_EQ(read->dtype, written.dtype);
        EXPECT_EQ(read->shape, written.shape);
        EXPECT_TRUE(std::ranges::equal(read->bytes, written.bytes));
    }
    EXPECT_THAT(readBytes(path), HasSubstr(R"("__metadata__":{"format":"pt"})"));
}

TEST(SafetensorsWriter, TensorsThatDoNotFitTheirShapeAreRefusedAndTheOldFileStays)
{
    const TemporaryFolder folder;
    const auto path = folder.path() / "t.safetensors";
    writeSafetensors(path, std::vector{entry("a", {6})});
    const std::string before = readBytes(path);
    EXPECT_THAT(refusalOf(path, {entry("a", {7})}), HasSubstr("found 24 bytes to write, its shape and type need 28"));
    EXPECT_THAT(refusalOf(path, {entry("a", {6}), entry("a", {6})}), HasSubstr("was given twice"));
    SafetensorsEntry unknown = entry("a", {6});
    unknown.dtype = "F31";
    EXPECT_NE(refusalOf(path, {unknown}), "");
    EXPECT_EQ(readBytes(path), before);
}

TEST(SafetensorsWriter, NothingIsLeftBehindWhereAFileCannotBePut)
{
    const TemporaryFolder folder;
    EXPECT_NE(refusalOf(folder.path() / "none" / "t.safetensors", {entry("a", {6})}), "");
    const auto taken = folder.path() / "taken";
    std::filesystem::create_directories(taken / "inside"); // a folder that holds something cannot be replaced
    EXPECT_THAT(refusalOf(taken, {entry("a", {6})}), HasSubstr("cannot be put into place"));
    const auto entries = std::filesystem::directory_iterator(folder.path());
    EXPECT_EQ(std::ranges::distance(begin(entries), end(entries)), 1);
}

} // namespace
} // namespace kvloupe
