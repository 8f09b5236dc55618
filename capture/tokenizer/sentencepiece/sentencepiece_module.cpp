// SPDX-License-Identifier: GPL-3.0-or-later

// The module that links the library; nothing else does.

#include "capture/tokenizer/sentencepiece/sentencepiece_encoder.h"

#include <sentencepiece_processor.h>

#include <exception>

namespace kvloupe {

namespace {

class LibraryEncoder final : public SentencePieceEncoder {
public:
    bool load(std::string_view model, std::string& problem)
    {
        try {
            const auto status = m_processor.LoadFromSerializedProto({model.data(), model.size()});
            if (!status.ok())
                problem = status.ToString();
            return status.ok();
        } catch (const std::exception& error) { // of the library's trie, for a piece that begins with a NUL
            problem = error.what();
            return false;
        }
    }

    std::int32_t size() const override { return m_processor.GetPieceSize(); }
    std::string piece(std::int32_t id) const override { return m_processor.IdToPiece(id); }
    bool isControl(std::int32_t id) const override { return m_processor.IsControl(id); }
    bool isUnknown(std::int32_t id) const override { return m_processor.IsUnknown(id); }
    bool isByte(std::int32_t id) const override { return m_processor.IsByte(id); }
    std::int32_t bosId() const override { return m_processor.bos_id(); }
    std::int32_t eosId() const override { return m_processor.eos_id(); }

    std::vector<SentencePieceToken> encode(std::string_view text) const override
    {
        const auto encoded = m_processor.EncodeAsImmutableProto({text.data(), text.size()});
        std::vector<SentencePieceToken> tokens;
        tokens.reserve(encoded.pieces_size());
        for (const auto& token : encoded.pieces())
            tokens.push_back({static_cast<std::int32_t>(token.id()), token.begin(), token.end()});
        return tokens;
    }

private:
    sentencepiece::SentencePieceProcessor m_processor;
};

} // namespace

} // namespace kvloupe

extern "C" __attribute__((visibility("default"))) kvloupe::SentencePieceEncoder* kvloupe_open_sentencepiece(
    const char* bytes, std::size_t size, std::string* problem)
{
    auto encoder = std::make_unique<kvloupe::LibraryEncoder>();
    return encoder->load({bytes, size}, *problem) ? encoder.release() : nullptr;
}
