// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/commonsense_qa.h"
#include "capture/tasks/essay_folder.h"
#include "capture/tasks/gsm8k.h"
#include "capture/tasks/hotpot_qa.h"
#include "capture/tasks/human_eval.h"
#include "capture/tasks/jailbreakv.h"
#include "capture/tasks/longgenbench.h"
#include "capture/tasks/mmlu.h"
#include "fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    if (size == 0)
        return 0;
    // The first byte chooses the reader, the rest is the file.
    const ScratchFile file({data + 1, size - 1});
    try {
        switch (data[0] % 8) {
        case 0:
            readGsm8k(file.path());
            break;
        case 1:
            readMmlu(file.path());
            break;
        case 2:
            readCommonsenseQa(file.path());
            break;
        case 3:
            readHumanEval(file.path());
            break;
        case 4:
            readJailbreakV(file.path());
            break;
        case 5:
            readLongGenBenchPrompt(file.path());
            break;
        case 6:
            readHotpotQa(file.path());
            break;
        default:
            readEssayFolder(file.path());
            break;
        }
    } catch (const Error&) {
        // A refusal is what most inputs deserve.
    }
    return 0;
}
