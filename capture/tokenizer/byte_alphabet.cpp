// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/byte_alphabet.h"

#include <utf8proc.h>

#include <array>

namespace kvloupe {

namespace {

constexpr int firstSubstitute = 0x100;

constexpr bool standsForItself(int byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

struct Alphabet {
    std::array<int, 256> symbolOf{};
    std::array<int, firstSubstitute + 68> byteOf{}; // 68 bytes have a substitute; -1 elsewhere

    constexpr Alphabet()
    {
        byteOf.fill(-1);
        int next = firstSubstitute;
        for (int byte = 0; byte < 256; ++byte) {
            const int symbol = standsForItself(byte) ? byte : next++;
            symbolOf.at(static_cast<std::size_t>(byte)) = symbol;
            byteOf.at(static_cast<std::size_t>(symbol)) = byte;
        }
    }
};

constexpr Alphabet alphabet;

} // namespace

std::string byteToSymbol(unsigned char byte)
{
    std::array<utf8proc_uint8_t, 4> encoded{};
    const auto length = utf8proc_encode_char(alphabet.symbolOf.at(byte), encoded.data());
    return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(length)};
}

std::optional<std::string> symbolsToBytes(std::string_view symbols)
{
    std::string bytes;
    while (!symbols.empty()) {
        utf8proc_int32_t symbol = 0;
        const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(symbols.data()),
            static_cast<utf8proc_ssize_t>(symbols.size()), &symbol);
        if (length <= 0 || symbol >= static_cast<int>(alphabet.byteOf.size()))
            return std::nullopt;
        const int byte = alphabet.byteOf.at(static_cast<std::size_t>(symbol));
        if (byte < 0)
            return std::nullopt;
        bytes += static_cast<char>(byte);
        symbols.remove_prefix(static_cast<std::size_t>(length));
    }
    return bytes;
}

} // namespace kvloupe
