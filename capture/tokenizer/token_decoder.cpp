// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/token_decoder.h"

#include "capture/tokenizer/byte_alphabet.h"

#include <algorithm>
#include <charconv>

namespace kvloupe {

std::string TokenDecoder::bytesOf(std::string_view entry) const
{
    if (usesByteAlphabet)
        return symbolsToBytes(entry).value_or(std::string(entry));
    if (fallsBackToBytes && entry.size() == 6 && entry.starts_with("<0x") && entry.ends_with('>')) {
        unsigned char byte = 0;
        const auto [end, error] = std::from_chars(entry.data() + 3, entry.data() + 5, byte, 16);
        if (error == std::errc() && end == entry.data() + 5)
            return {static_cast<char>(byte)};
    }
    return bytesOfAdded(entry);
}

std::string TokenDecoder::bytesOfAdded(std::string_view content) const
{
    std::string text(content);
    for (const auto& [from, to] : replacements)
        for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
            text.replace(at, from.size(), to);
    return text;
}

void TokenDecoder::trimStart(std::string& text, std::size_t firstBytes) const
{
    if (dropsFirstSpace && text.starts_with(' ')) {
        text.erase(0, 1);
    } else if (dropsSpacesOfFirstToken) {
        const auto end = text.begin() + static_cast<std::ptrdiff_t>(firstBytes);
        text.erase(std::remove(text.begin(), end, ' '), end);
    }
}

} // namespace kvloupe
