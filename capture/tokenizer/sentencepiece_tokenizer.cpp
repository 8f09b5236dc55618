// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/sha256.h"
#include "capture/tokenizer/sentencepiece/sentencepiece_encoder.h"
#include "capture/tokenizer/tokenizer_definition.h"
#include "capture/tokenizer/tokenizer_error.h"
#include "capture/tokenizer/vocabulary.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace kvloupe {

namespace {

constexpr std::size_t largestModel = std::size_t{64} << 20;

/// SentencePiece's own encoder over whole stretches of text: it normalises, cuts and encodes.
class SentencePieceModel final : public TokenModel {
public:
    explicit SentencePieceModel(std::unique_ptr<const SentencePieceEncoder> encoder)
        : m_encoder(std::move(encoder))
    {
    }

    void encode(std::string_view piece, std::vector<PieceToken>& out) const override
    {
        const std::size_t first = out.size();
        for (const SentencePieceToken& token : m_encoder->encode(piece))
            out.push_back({token.id, token.begin, token.end});
        for (std::size_t i = first; i < out.size(); ++i)
            if (m_encoder->isByte(out[i].id))
                i = spreadBytes(out, i);
    }

private:
    /// All bytes of a character but the last have no text of their own; gives each its byte of the character.
    std::size_t spreadBytes(std::vector<PieceToken>& tokens, std::size_t first) const
    {
        std::size_t last = first;
        while (last + 1 < tokens.size() && tokens[last].begin == tokens[last].end
            && m_encoder->isByte(tokens[last + 1].id))
            ++last;
        const std::size_t begin = tokens[last].begin;
        if (tokens[last].end - begin == last - first + 1)
            for (std::size_t i = first; i <= last; ++i) {
                tokens[i].begin = begin + (i - first);
                tokens[i].end = tokens[i].begin + 1;
            }
        return last;
    }

    std::unique_ptr<const SentencePieceEncoder> m_encoder;
};

/// Lines of a token in base64, a space and its rank, the first of rank 0.
bool isTiktoken(std::string_view text)
{
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::size_t token
        = line.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");
    return token != 0 && token != std::string_view::npos && line.substr(token) == " 0";
}

/// Whether the model puts a space before every text.
bool addsSpace(const SentencePieceEncoder& encoder)
{
    const auto encoded = encoder.encode("a");
    return !encoded.empty() && encoder.piece(encoded.front().id).starts_with(spaceMark);
}

void readTokens(const SentencePieceEncoder& encoder, TokenizerDefinition& definition)
{
    for (int id = 0; id < encoder.size(); ++id) {
        const std::string piece = encoder.piece(id);
        if (piece.empty() || piece.size() > longestToken)
            throw TokenizerError(fmt::format(
                "{}: token {} has {} bytes, expected 1 to {}", definition.where, id, piece.size(), longestToken));
        definition.entries.push_back(piece);
        if (encoder.isControl(id) || encoder.isUnknown(id))
            definition.addedTokens.push_back({.content = piece, .id = id, .special = true});
    }
    if (definition.entries.empty())
        throw TokenizerError(fmt::format("{}: the model holds no tokens", definition.where));
}

/// "add_bos_token" and "add_eos_token", as the tokenizer classes of transformers read them.
void readEnds(const std::filesystem::path& folder, const SentencePieceEncoder& encoder, TokenizerDefinition& definition)
{
    if (definition.bosId < 0)
        definition.bosId = encoder.bosId();
    if (definition.eosIds.empty() && encoder.eosId() >= 0)
        definition.eosIds = {encoder.eosId()};
    const std::filesystem::path path = folder / "tokenizer_config.json";
    const auto config = std::filesystem::exists(path) ? readJsonObject(path) : nlohmann::json::object();
    if (config.value("add_bos_token", nlohmann::json()) != false && definition.bosId >= 0)
        definition.templatePrefix = {definition.bosId};
    if (config.value("add_eos_token", nlohmann::json()) == true && !definition.eosIds.empty())
        definition.templateSuffix = {definition.eosIds.front()};
}

} // namespace

TokenizerDefinition definitionFromSentencePiece(const std::filesystem::path& path)
{
    TokenizerDefinition definition;
    definition.where = path.string();
    definition.kind = "sentencepiece (tokenizer.model)";
    const std::string text = readSmallFile(path, largestModel);
    if (isTiktoken(text))
        throw TokenizerError(fmt::format("{}: is a tiktoken file, as Meta ships it beside Llama 3, expected a "
                                         "SentencePiece model; the tokenizer.json of the Hugging Face folder is read",
            definition.where));
    std::unique_ptr<const SentencePieceEncoder> encoder = openSentencePiece(text, definition.where);
    readTokens(*encoder, definition);
    definition.decoder.fallsBackToBytes = true;
    definition.decoder.replacements = {{std::string(spaceMark), " "}};
    definition.decoder.dropsFirstSpace = addsSpace(*encoder);
    readTokenizerConfig(path.parent_path(), definition);
    readEnds(path.parent_path(), *encoder, definition);
    definition.model = std::make_unique<SentencePieceModel>(std::move(encoder));
    definition.sha256 = sha256Hex(text);
    return definition;
}

} // namespace kvloupe
