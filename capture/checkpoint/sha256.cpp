// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/sha256.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/mapped_file.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>

namespace kvloupe {

namespace {

/// One digest in the making.
class Sha256 {
public:
    Sha256()
        : m_context(EVP_MD_CTX_new())
    {
        require(m_context != nullptr && EVP_DigestInit_ex(m_context.get(), EVP_sha256(), nullptr) == 1);
    }

    void add(std::span<const std::byte> bytes)
    {
        require(EVP_DigestUpdate(m_context.get(), bytes.data(), bytes.size()) == 1);
    }

    std::string hex()
    {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned int length = 0;
        require(EVP_DigestFinal_ex(m_context.get(), digest.data(), &length) == 1);
        std::string text;
        for (unsigned int i = 0; i < length; ++i)
            fmt::format_to(std::back_inserter(text), "{:02x}", digest.at(i));
        return text;
    }

private:
    static void require(bool holds)
    {
        if (!holds)
            throw CheckpointError("OpenSSL cannot compute SHA-256");
    }

    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> m_context;
};

} // namespace

std::string sha256Hex(std::span<const std::byte> bytes)
{
    Sha256 hash;
    hash.add(bytes);
    return hash.hex();
}

std::string sha256Hex(std::string_view text)
{
    return sha256Hex(std::as_bytes(std::span(text.data(), text.size())));
}

std::string sha256OfMapping(std::span<const std::byte> mapped)
{
    constexpr std::size_t pieceBytes = std::size_t{8} << 20;
    Sha256 hash;
    for (std::size_t begin = 0; begin < mapped.size(); begin += pieceBytes) {
        const auto piece = mapped.subspan(begin, std::min(pieceBytes, mapped.size() - begin));
        hash.add(piece);
        releasePages(piece);
    }
    return hash.hex();
}

} // namespace kvloupe
