// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer.h"

#include "capture/checkpoint/gguf_file.h"
#include "capture/tokenizer/byte_alphabet.h"
#include "capture/tokenizer/tokenizer_definition.h"
#include "capture/tokenizer/utf8_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace kvloupe {

namespace {

constexpr std::size_t longestText = std::size_t{1} << 30;

std::vector<AddedToken> select(const std::vector<AddedToken>& tokens, bool normalized)
{
    std::vector<AddedToken> selected;
    std::ranges::copy_if(
        tokens, std::back_inserter(selected), [&](const AddedToken& token) { return token.normalized == normalized; });
    return selected;
}

std::array<std::int32_t, 256> byteTokensOf(const VocabularyIndex& index)
{
    std::array<std::int32_t, 256> tokens{};
    for (int byte = 0; byte < 256; ++byte)
        tokens.at(static_cast<std::size_t>(byte)) = index.find(byteToSymbol(static_cast<unsigned char>(byte)));
    return tokens;
}

/// What normalisation makes of the content of tokens that are looked for in normalised text.
std::vector<AddedToken> composed(std::vector<AddedToken> tokens, bool composes)
{
    if (composes)
        for (AddedToken& token : tokens)
            token.content = std::string(ComposedText(token.content).text());
    return tokens;
}

} // namespace

struct Tokenizer::Impl {
    explicit Impl(TokenizerDefinition from)
        : definition(std::move(from))
        , index(definition.vocabulary, definition.where)
        , byteTokens(byteTokensOf(index))
        , merger(definition.merges, byteTokens)
        , preTokenizer(definition.splitSteps, definition.where + ": pre-tokenizer")
        , rawAdded(select(definition.addedTokens, false))
        , normalizedAdded(composed(select(definition.addedTokens, true), definition.composes))
        , kinds(definition.vocabulary.size(), Kind::Ordinary)
        , bytesOf(definition.vocabulary.size())
    {
        for (std::size_t id = 0; id < bytesOf.size(); ++id) {
            const std::string& entry = definition.vocabulary[id];
            bytesOf[id] = symbolsToBytes(entry).value_or(entry);
            if (entry.empty())
                kinds[id] = Kind::Unused;
            else
                idOfBytes.emplace(bytesOf[id], static_cast<std::int32_t>(id));
        }
        for (const AddedToken& token : definition.addedTokens) {
            const auto id = static_cast<std::size_t>(token.id);
            kinds[id] = token.special ? Kind::Special : Kind::Added;
            bytesOf[id] = token.content;
            idOfBytes[token.content] = token.id;
        }
    }

    enum class Kind : std::uint8_t { Unused, Ordinary, Added, Special };

    std::size_t checked(std::int32_t id) const
    {
        const auto position = static_cast<std::size_t>(id);
        if (id < 0 || position >= kinds.size() || kinds[position] == Kind::Unused)
            throw TokenizerError(
                fmt::format("{}: there is no token {} (the vocabulary has {})", definition.where, id, kinds.size()));
        return position;
    }

    TokenizerDefinition definition;
    VocabularyIndex index;
    std::array<std::int32_t, 256> byteTokens;
    BytePairMerger merger;
    PreTokenizer preTokenizer;
    AddedTokenMatcher rawAdded;
    AddedTokenMatcher normalizedAdded;
    std::vector<Kind> kinds;
    std::vector<std::string> bytesOf;
    std::unordered_map<std::string, std::int32_t> idOfBytes;
};

namespace {

/// Collects the tokens of one text.
class Encoder {
public:
    Encoder(const TokenizerDefinition& definition, const VocabularyIndex& index, const BytePairMerger& merger,
        const PreTokenizer& preTokenizer, const AddedTokenMatcher& normalizedAdded, bool parseSpecial)
        : m_definition(definition)
        , m_index(index)
        , m_merger(merger)
        , m_preTokenizer(preTokenizer)
        , m_normalizedAdded(normalizedAdded)
        , m_parseSpecial(parseSpecial)
    {
    }

    /// Calls `plain(range)` for what lies between added tokens and puts the tokens themselves.
    template <typename Plain>
    void around(std::string_view text, const std::vector<AddedTokenMatcher::Match>& matches, Plain plain, auto origin)
    {
        std::size_t at = 0;
        for (const AddedTokenMatcher::Match& match : matches) {
            if (match.range.begin > at)
                plain(ByteRange{at, match.range.begin});
            put(match.id, origin(match.range));
            at = match.range.end;
        }
        if (at < text.size())
            plain(ByteRange{at, text.size()});
    }

    void encodeRaw(std::string_view text, const AddedTokenMatcher& rawAdded)
    {
        around(
            text, rawAdded.find(text, m_parseSpecial),
            [&](ByteRange range) {
                encodeStretch(
                    text.substr(range.begin, range.end - range.begin), static_cast<std::int64_t>(range.begin));
            },
            [](ByteRange range) {
                return std::array{static_cast<std::int64_t>(range.begin), static_cast<std::int64_t>(range.end)};
            });
    }

    void put(std::int32_t id, std::array<std::int64_t, 2> offsets)
    {
        m_encoding.ids.push_back(id);
        m_encoding.offsets.push_back(offsets);
    }

    Encoding take() { return std::move(m_encoding); }

private:
    /// Text without raw added tokens that begins at byte `base` of the whole.
    void encodeStretch(std::string_view original, std::int64_t base)
    {
        const std::optional<ComposedText> composed
            = m_definition.composes ? std::optional<ComposedText>(original) : std::nullopt;
        const std::string_view text = composed ? composed->text() : original;
        const auto origin = [&](ByteRange range) {
            const auto own = composed
                ? composed->origin(range.begin, range.end)
                : std::array{static_cast<std::int64_t>(range.begin), static_cast<std::int64_t>(range.end)};
            return std::array{base + own[0], base + own[1]};
        };
        around(
            text, m_normalizedAdded.find(text, m_parseSpecial),
            [&](ByteRange range) {
                const std::string_view part = text.substr(range.begin, range.end - range.begin);
                for (const ByteRange& piece : m_preTokenizer.split(part))
                    encodePiece(part.substr(piece.begin, piece.end - piece.begin), range.begin + piece.begin, origin);
            },
            origin);
    }

    void encodePiece(std::string_view piece, std::size_t base, const auto& origin)
    {
        m_tokens.clear();
        if (const std::int32_t whole = m_definition.ignoresMerges ? wholeEntry(piece) : -1; whole >= 0)
            m_tokens.push_back({whole, 0, piece.size()});
        else
            m_merger.encode(piece, m_tokens);
        for (const PieceToken& token : m_tokens) {
            const auto offsets = origin(ByteRange{base + token.begin, base + token.end});
            if (token.id >= 0)
                put(token.id, offsets);
            else if (m_definition.unknownId >= 0)
                put(m_definition.unknownId, offsets);
            else
                m_encoding.droppedBytes.push_back(offsets[0]);
        }
    }

    std::int32_t wholeEntry(std::string_view piece) const
    {
        if (piece.size() > longestToken)
            return -1;
        std::string symbols;
        for (const char c : piece)
            symbols += byteToSymbol(static_cast<unsigned char>(c));
        return m_index.find(symbols);
    }

    const TokenizerDefinition& m_definition;
    const VocabularyIndex& m_index;
    const BytePairMerger& m_merger;
    const PreTokenizer& m_preTokenizer;
    const AddedTokenMatcher& m_normalizedAdded;
    bool m_parseSpecial;
    std::vector<PieceToken> m_tokens;
    Encoding m_encoding;
};

/// Hugging Face's process_offsets (pre_tokenizers/byte_level.rs): the spaces at both ends of a token do not count as
/// its own, but for a single one at the beginning of the text where a prefix space is its own.
void trimOffsets(std::string_view text, bool keepsFirstSpace, Encoding& encoding)
{
    for (std::size_t i = 0; i < encoding.offsets.size(); ++i) {
        auto& [begin, end] = encoding.offsets[i];
        std::int64_t front = begin;
        while (front < end && text[static_cast<std::size_t>(front)] == ' ')
            ++front;
        const bool isFirst = i == 0 || begin == 0;
        if (!(isFirst && keepsFirstSpace && front == begin + 1))
            begin = front;
        while (begin < end && text[static_cast<std::size_t>(end - 1)] == ' ')
            --end;
    }
}

} // namespace

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl)
    : m_impl(std::move(impl))
{
}

Tokenizer::~Tokenizer() = default;

std::unique_ptr<Tokenizer> Tokenizer::open(const std::filesystem::path& path)
{
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status))
        throw TokenizerError(fmt::format("{}: no such file or folder", path.string()));
    const bool isFolder = std::filesystem::is_directory(status);
    const std::filesystem::path file = isFolder ? path / "tokenizer.json" : path;
    if (isFolder && !std::filesystem::exists(file))
        throw TokenizerError(fmt::format("{}: the folder holds no tokenizer.json", path.string()));
    TokenizerDefinition definition = GgufFile::recognise(file) ? definitionFromGguf(file) : definitionFromJson(file);
    return std::unique_ptr<Tokenizer>(new Tokenizer(std::make_unique<const Impl>(std::move(definition))));
}

Encoding Tokenizer::encode(std::string_view text, EncodeOptions options) const
{
    if (text.size() > longestText)
        throw TokenizerError(fmt::format("a text of {} bytes, at most {} are encoded", text.size(), longestText));
    if (const std::size_t invalid = firstInvalidUtf8(text); invalid != text.size())
        throw TokenizerError(fmt::format(
            "the text is not UTF-8: byte 0x{:02x} at offset {}", static_cast<unsigned char>(text[invalid]), invalid));
    const TokenizerDefinition& definition = m_impl->definition;
    Encoder encoder(
        definition, m_impl->index, m_impl->merger, m_impl->preTokenizer, m_impl->normalizedAdded, options.parseSpecial);
    encoder.encodeRaw(text, m_impl->rawAdded);
    Encoding encoding = encoder.take();
    if (definition.trimsOffsets)
        trimOffsets(text, definition.keepsFirstSpace, encoding);
    if (options.addTemplate) {
        const auto& prefix = definition.templatePrefix;
        const auto& suffix = definition.templateSuffix;
        const auto end = static_cast<std::int64_t>(text.size());
        encoding.ids.insert(encoding.ids.begin(), prefix.begin(), prefix.end());
        encoding.offsets.insert(encoding.offsets.begin(), prefix.size(), {0, 0});
        encoding.ids.insert(encoding.ids.end(), suffix.begin(), suffix.end());
        encoding.offsets.insert(encoding.offsets.end(), suffix.size(), {end, end});
    }
    return encoding;
}

std::string Tokenizer::bytes(std::int32_t id) const
{
    return m_impl->bytesOf[m_impl->checked(id)];
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const
{
    std::string text;
    for (const std::int32_t id : ids)
        text += m_impl->bytesOf[m_impl->checked(id)];
    return text;
}

std::string Tokenizer::piece(std::int32_t id) const
{
    return displayText(bytes(id));
}

std::int64_t Tokenizer::vocabSize() const
{
    return static_cast<std::int64_t>(m_impl->kinds.size());
}

bool Tokenizer::isSpecial(std::int32_t id) const
{
    return m_impl->kinds[m_impl->checked(id)] == Impl::Kind::Special;
}

std::int32_t Tokenizer::idOf(std::string_view text) const
{
    const auto found = m_impl->idOfBytes.find(std::string(text));
    return found == m_impl->idOfBytes.end() ? -1 : found->second;
}

std::int32_t Tokenizer::bosId() const
{
    return m_impl->definition.bosId;
}
std::span<const std::int32_t> Tokenizer::eosIds() const
{
    return m_impl->definition.eosIds;
}
const std::string& Tokenizer::chatTemplate() const
{
    return m_impl->definition.chatTemplate;
}
const std::string& Tokenizer::kind() const
{
    return m_impl->definition.kind;
}
const std::string& Tokenizer::sha256() const
{
    return m_impl->definition.sha256;
}

} // namespace kvloupe
