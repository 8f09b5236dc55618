// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/sha256.h"

#include "capture/checkpoint/checkpoint_error.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <iterator>

namespace kvloupe {

std::string sha256Hex(std::span<const std::byte> bytes)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
        throw CheckpointError("OpenSSL cannot compute SHA-256");
    std::string text;
    for (unsigned int i = 0; i < length; ++i)
        fmt::format_to(std::back_inserter(text), "{:02x}", digest.at(i));
    return text;
}

std::string sha256Hex(std::string_view text)
{
    return sha256Hex(std::as_bytes(std::span(text.data(), text.size())));
}

} // namespace kvloupe
