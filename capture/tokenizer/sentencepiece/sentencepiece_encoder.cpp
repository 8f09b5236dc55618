// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/sentencepiece/sentencepiece_encoder.h"

#include "capture/tokenizer/tokenizer_error.h"
#include "core/program/program_folder.h"

#include <dlfcn.h>
#include <filesystem>
#include <fmt/format.h>

namespace kvloupe {

namespace {

/// The module stays loaded until the program ends: models live as long as tokenizers do.
OpenSentencePiece loadModule(const std::string& where)
{
    const std::filesystem::path module = besideProgram(std::filesystem::path("lib/kvloupe") / sentencePieceModule);
    // Its own symbols before those of the program: there are two copies of Protocol Buffers (sentencepiece_encoder.h).
    // The sanitizers do not allow that; programs that they watch read no tokenizer.model beside LibTorch.
#ifdef KVLOUPE_SANITIZED
    constexpr int ownFirst = 0;
#else
    constexpr int ownFirst = RTLD_DEEPBIND;
#endif
    void* const library = ::dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL | ownFirst);
    void* const entry = library ? ::dlsym(library, sentencePieceEntry) : nullptr;
    if (!entry) {
        const char* const reason = ::dlerror();
        throw TokenizerError(fmt::format("{}: needs the module {} to be read, which cannot be loaded: {}", where,
            module.string(), reason ? reason : "no reason given"));
    }
    return reinterpret_cast<OpenSentencePiece>(entry);
}

} // namespace

std::unique_ptr<const SentencePieceEncoder> openSentencePiece(std::string_view model, const std::string& where)
{
    static const OpenSentencePiece open = loadModule(where);
    std::string problem;
    std::unique_ptr<const SentencePieceEncoder> encoder(open(model.data(), model.size(), &problem));
    if (!encoder)
        throw TokenizerError(fmt::format("{}: is no SentencePiece model: {}", where, problem));
    return encoder;
}

} // namespace kvloupe
