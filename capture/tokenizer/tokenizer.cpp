// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer.h"

#include "capture/checkpoint/gguf_file.h"
#include "capture/tokenizer/tokenizer_definition.h"
#include "capture/tokenizer/utf8_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <unordered_map>

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

/// What normalisation makes of the content of tokens that are looked for in normalised text.
std::vector<AddedToken> normalised(std::vector<AddedToken> tokens, const Normalizers& normalizers)
{
    for (AddedToken& token : tokens) {
        NormalizedText text(token.content);
        for (const auto& normalizer : normalizers)
            normalizer->apply(text);
        token.content = std::string(text.text());
    }
    std::erase_if(tokens, [](const AddedToken& token) { return token.content.empty(); });
    return tokens;
}

} // namespace

struct Tokenizer::Impl {
    explicit Impl(TokenizerDefinition from)
        : definition(std::move(from))
        , rawAdded(select(definition.addedTokens, false))
        , normalizedAdded(normalised(select(definition.addedTokens, true), definition.normalizers))
        , kinds(definition.entries.size(), Kind::Ordinary)
        , bytesOf(definition.entries.size())
    {
        const TokenDecoder& decoder = definition.decoder;
        for (std::size_t id = 0; id < bytesOf.size(); ++id) {
            bytesOf[id] = decoder.bytesOf(definition.entries[id]);
            if (definition.entries[id].empty())
                kinds[id] = Kind::Unused;
        }
        for (const AddedToken& token : definition.addedTokens) {
            const auto id = static_cast<std::size_t>(token.id);
            kinds[id] = token.special ? Kind::Special : Kind::Added;
            bytesOf[id] = token.special ? token.content : decoder.bytesOfAdded(token.content);
        }
        // An entry that is written out comes before the byte token with the same bytes.
        for (const bool isWritten : {true, false})
            for (std::size_t id = 0; id < bytesOf.size(); ++id)
                if (kinds[id] != Kind::Unused
                    && isWritten == (definition.entries[id].size() != 6 || bytesOf[id].size() != 1))
                    idOfBytes.emplace(bytesOf[id], static_cast<std::int32_t>(id));
        for (const AddedToken& token : definition.addedTokens)
            idOfBytes[token.content] = token.id;
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
    AddedTokenMatcher rawAdded;
    AddedTokenMatcher normalizedAdded;
    std::vector<Kind> kinds;
    std::vector<std::string> bytesOf;
    std::unordered_map<std::string, std::int32_t> idOfBytes;
};

namespace {

/// What a folder holds in place of a tokenizer that is read; "" if nothing we know.
std::string otherTokenizer(const std::filesystem::path& folder)
{
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kinds
        = {{{"tekken.json", "Mistral's Tekken"}, {"vocab.json", "a tokenizer of transformers that is not a fast one"},
            {"vocab.txt", "BERT's WordPiece"}, {"tokenizer.tiktoken", "tiktoken"}}};
    for (const auto& [file, kind] : kinds)
        if (std::filesystem::exists(folder / file))
            return fmt::format("; found {}, {}, which is not read; AutoTokenizer.from_pretrained(FOLDER)"
                               ".save_pretrained(OUT) writes a tokenizer.json where it can",
                file, kind);
    return "";
}

/// The tokens of parts that occurred before, which are views of a text that outlives them.
class PartCache {
public:
    explicit PartCache(std::size_t textBytes)
        : m_slots(std::clamp(std::bit_ceil(textBytes / 8), std::size_t{64}, std::size_t{1} << 15))
    {
    }

    /// The tokens of `part`, which `encode(part, tokens)` appends if they are not known.
    std::span<const PieceToken> find(std::string_view part, const auto& encode)
    {
        if (m_tokens.size() > most)
            forget();
        Slot& slot = m_slots[std::hash<std::string_view>()(part) & (m_slots.size() - 1)];
        if (slot.generation != m_generation || slot.part != part) {
            const std::size_t begin = m_tokens.size();
            encode(part, m_tokens);
            slot = {part, m_generation, begin, m_tokens.size()};
        }
        return std::span(m_tokens).subspan(slot.begin, slot.end - slot.begin);
    }

    void forget()
    {
        ++m_generation;
        m_tokens.clear();
    }

private:
    struct Slot {
        std::string_view part;
        std::uint64_t generation = 0;
        std::size_t begin = 0; ///< in m_tokens
        std::size_t end = 0;
    };
    static constexpr std::size_t most = std::size_t{1} << 20; ///< tokens that are kept
    std::vector<Slot> m_slots;
    std::uint64_t m_generation = 1;
    std::vector<PieceToken> m_tokens;
};

/// Collects the tokens of one text.
class Encoder {
public:
    Encoder(const TokenizerDefinition& definition, const AddedTokenMatcher& normalizedAdded, bool parseSpecial,
        std::size_t textBytes)
        : m_definition(definition)
        , m_normalizedAdded(normalizedAdded)
        , m_parseSpecial(parseSpecial)
        , m_cache(textBytes)
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
        NormalizedText normalized(original, base);
        for (const auto& normalizer : m_definition.normalizers)
            normalizer->apply(normalized);
        const std::string_view text = normalized.text();
        const auto matches = m_normalizedAdded.find(text, m_parseSpecial);
        around(
            text, matches,
            [&](ByteRange range) {
                Pieces pieces{normalized.slice(range.begin, range.end), {{0, range.end - range.begin}}};
                for (const auto& step : m_definition.preTokenizers)
                    step->apply(pieces);
                encodePieces(pieces);
            },
            [&](ByteRange range) { return normalized.origin(range.begin, range.end); });
    }

    void encodePieces(const Pieces& pieces)
    {
        const std::string_view text = pieces.text.text();
        std::vector<ByteRange> parts;
        for (const ByteRange& piece : pieces.ranges) {
            parts.clear();
            m_definition.model->cut(text, piece, parts);
            for (const ByteRange& part : parts)
                encodePart(pieces.text, part);
        }
        m_cache.forget(); // its views end with the pieces
    }

    void encodePart(const NormalizedText& text, ByteRange range)
    {
        const std::string_view part = text.text().substr(range.begin, range.end - range.begin);
        const auto encode
            = [&](std::string_view unknown, std::vector<PieceToken>& out) { m_definition.model->encode(unknown, out); };
        for (const PieceToken& token : m_cache.find(part, encode)) {
            const auto offsets = text.origin(range.begin + token.begin, range.begin + token.end);
            if (token.id >= 0)
                put(token.id, offsets);
            else
                for (std::int64_t byte = offsets[0]; byte < offsets[1]; ++byte)
                    m_encoding.droppedBytes.push_back(byte);
        }
    }

    const TokenizerDefinition& m_definition;
    const AddedTokenMatcher& m_normalizedAdded;
    bool m_parseSpecial;
    PartCache m_cache;
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
    std::filesystem::path file = isFolder ? path / "tokenizer.json" : path;
    if (isFolder && !std::filesystem::exists(file))
        file = path / "tokenizer.model";
    if (isFolder && !std::filesystem::exists(file))
        throw TokenizerError(fmt::format(
            "{}: the folder holds neither tokenizer.json nor tokenizer.model{}", path.string(), otherTokenizer(path)));
    const auto definition = [&] {
        if (GgufFile::recognise(file))
            return definitionFromGguf(file);
        return file.extension() == ".model" ? definitionFromSentencePiece(file) : definitionFromJson(file);
    };
    return std::unique_ptr<Tokenizer>(new Tokenizer(std::make_unique<const Impl>(definition())));
}

Encoding Tokenizer::encode(std::string_view text, EncodeOptions options) const
{
    if (text.size() > longestText)
        throw TokenizerError(fmt::format("a text of {} bytes, at most {} are encoded", text.size(), longestText));
    if (const std::size_t invalid = firstInvalidUtf8(text); invalid != text.size())
        throw TokenizerError(fmt::format(
            "the text is not UTF-8: byte 0x{:02x} at offset {}", static_cast<unsigned char>(text[invalid]), invalid));
    const TokenizerDefinition& definition = m_impl->definition;
    Encoder encoder(definition, m_impl->normalizedAdded, options.parseSpecial, text.size());
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
    if (!ids.empty())
        m_impl->definition.decoder.trimStart(text, m_impl->bytesOf[m_impl->checked(ids.front())].size());
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
