// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/capture_command.h"
#include "app/commands/evaluate_command.h"
#include "app/commands/train_adapter_command.h"
#include "app/program.h"

#include <CLI/CLI.hpp>

int main(int argc, char** argv)
{
    CLI::App program(
        "Runs models for kvloupe; type 'kvloupe capture' rather than calling it by this name.", "kvloupe-run");
    program.require_subcommand(1);
    kvloupe::addCaptureCommand(program);
    kvloupe::addEvaluateCommand(program);
    kvloupe::addTrainAdapterCommand(program);
    kvloupe::addProgramOptions(program);
    return kvloupe::runProgram(program, argc, argv);
}
