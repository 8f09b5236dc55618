// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "tests/support/make_recording.h"
#include "tests/views/widget_test.h"
#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"
#include "views/session/view_models.h"

namespace kvloupe {

/// The models of a window without the window, over a made recording that fixtures may replace before openAndWait.
class WindowModelsTest : public WidgetTest {
protected:
    explicit WindowModelsTest(SyntheticRecording options = small())
    {
        makeRecording(path(), options);
        QObject::connect(&m_recording, &OpenRecording::sampleChanged, &m_replay, [this] { adoptSample(); });
        QObject::connect(&m_recording, &OpenRecording::layoutChanged, &m_replay, [this] { adoptSample(); });
    }

    void TearDown() override
    {
        m_recording.close();
        WidgetTest::TearDown();
    }

    static SyntheticRecording small()
    {
        SyntheticRecording options;
        options.headDim = 16;
        options.promptTokens = 200;
        options.generatedTokens = 8;
        options.kind = RecordKind::QueriesKeys;
        return options;
    }

    std::filesystem::path path() const { return temporaryPath(QStringLiteral("r.h5")).toStdString(); }

    void openAndWait(StartView start = {})
    {
        m_recording.open(path(), std::move(start));
        ASSERT_TRUE(waitFor([this] { return m_recording.sample() && m_replay.isSettled(); }));
    }

    Selection m_selection;
    OpenRecording m_recording{&m_selection};
    MethodModel m_methods{&m_selection};
    ReplayModel m_replay{&m_methods, &m_selection};
    ViewModels m_models{&m_selection, &m_recording, &m_methods, &m_replay};

private:
    void adoptSample() { m_replay.setSample(m_recording.source(), m_recording.sample()); }
};

} // namespace kvloupe
