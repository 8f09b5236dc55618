// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/jobs/capture_arguments.h"

namespace kvloupe {

struct ChosenSample;

/// The recording that a sample of results asks for, to be written to `out`.
///
/// A results file is hostile: its values become values of options, never options or files to write, and what is no
/// plain name or number is a problem of `checkProposal`.
CaptureArguments proposedRecording(const ChosenSample& sample, const QString& out);
FieldProblems checkProposal(const CaptureArguments& arguments);

/// A name for the file of a proposed recording: of the task, with nothing in it but letters, digits, - and _.
QString proposedFileName(const ChosenSample& sample);

/// `folder`/`name`, or the first of `name`-2, -3, ... that is neither there nor unfinished.
QString unusedFile(const QString& folder, const QString& name);

} // namespace kvloupe
