// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/csv_table.h"
#include "core/results/results_error.h"
#include "core/results/summary_table.h"
#include "fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    const ScratchFile input({data, size});
    try {
        const ResultFile file = readResults(input.path());
        SummaryBuilder builder(defaultSummaryFields());
        for (const ResultRun& run : file.runs)
            builder.add(run);
        const Summary summary = builder.build();
        summaryCsv(summary);
        summaryJson(summary);
        summaryLatex(summaryTable(summary));
    } catch (const ResultsError&) {
    }
    try {
        parseCsv({reinterpret_cast<const char*>(data), size}, "input");
    } catch (const ResultsError&) {
    }
    return 0;
}
