// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/error.h"
#include "views/composer/figure_kinds.h"
#include "views/composer/page_spec.h"
#include "views/figure/spec_fields.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

/// What was read once is read again as the same.
void checkPageIsStable(std::string_view text)
{
    using namespace kvloupe;
    std::string written;
    try {
        const PageSpec page = pageFromJson(text, "/figures/input.json");
        lettersOf(page, placesOf(page));
        written = pageToJson(page, "/figures");
    } catch (const Error&) {
        return;
    }
    if (pageToJson(pageFromJson(written, "/figures/input.json"), "/figures") != written)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    checkPageIsStable(text);
    try {
        SpecFields fields(text, "/figures/input.json");
        panelFromFields(fields)->toJson();
        fields.rejectUnknown();
    } catch (const Error&) {
    }
    return 0;
}
