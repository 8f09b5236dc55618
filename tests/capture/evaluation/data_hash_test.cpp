// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/evaluation/data_hash.h"

#include "capture/checkpoint/sha256.h"
#include "core/error.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

namespace kvloupe {
namespace {

TEST(DataHash, OfAFolderIsTheHashOfWhatSha256sumPrints)
{
    const TemporaryFolder folder;
    folder.write("data/b.txt", "second");
    folder.write("data/a/z.txt", "first");
    folder.write("data/empty", "");
    const std::string listing = sha256Hex("first") + "  a/z.txt\n" + sha256Hex("second") + "  b.txt\n"
        + sha256Hex(std::string_view()) + "  empty\n";
    EXPECT_EQ(dataSha256(folder.path() / "data"), sha256Hex(listing));
    EXPECT_EQ(dataSha256(folder.path() / "data" / "b.txt"), sha256Hex("second"));
}

TEST(DataHash, NamesAFileThatIsNotThere)
{
    const TemporaryFolder folder;
    try {
        dataSha256(folder.path() / "nothing.jsonl");
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("nothing.jsonl"), std::string::npos);
    }
}

} // namespace
} // namespace kvloupe
