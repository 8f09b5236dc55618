// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"

#include <QObject>
#include <QString>

namespace kvloupe {

struct ChosenSample;

/// Leads from a sample of results to its recording: the prompt, the method in front and the budget that were measured.
class SampleFinder final : public QObject {
    Q_OBJECT

public:
    explicit SampleFinder(const ViewModels& models, QObject* parent = nullptr);

    /// Looks for the sample's prompt in the open recording; `found` or `notFound` follows at once.
    void find(const ChosenSample& sample);

signals:
    void found();
    /// Says what is missing, and the command that would record it.
    void notFound(const QString& message);

private:
    ViewModels m_models;
};

/// The `kvloupe capture` command that records a sample of results.
QString captureCommand(const ChosenSample& sample);

} // namespace kvloupe
