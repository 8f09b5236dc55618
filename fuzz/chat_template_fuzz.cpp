// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/chat_template.h"
#include "capture/tokenizer/tokenizer_error.h"

#include <cstdint>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    try {
        const auto chat = ChatTemplate::recognise({reinterpret_cast<const char*>(data), size});
        const std::vector<ChatMessage> messages = {{"user", "Hi"}};
        chat.apply(messages, true);
    } catch (const TokenizerError&) {
        // Most templates are not known.
    }
    return 0;
}
