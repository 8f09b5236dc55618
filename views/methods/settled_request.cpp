// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/settled_request.h"

#include "views/methods/method_model.h"
#include "views/methods/replay_model.h"

#include <utility>

namespace kvloupe {

SettledRequest::SettledRequest(const ViewModels& models, std::chrono::milliseconds rest, std::function<void()> request)
    : m_request(std::move(request))
{
    m_rest.setSingleShot(true);
    m_rest.setInterval(rest);
    QObject::connect(&m_rest, &QTimer::timeout, &m_rest, [this] { m_request(); });
    const auto later = [this] {
        if (m_isWanted)
            m_rest.start();
    };
    QObject::connect(models.replay, &ReplayModel::changed, &m_rest, later);
    QObject::connect(models.replay, &ReplayModel::chosen, &m_rest, later);
    QObject::connect(models.methods, &MethodModel::currentChanged, &m_rest, later);
}

void SettledRequest::setWanted(bool wanted)
{
    if (std::exchange(m_isWanted, wanted) != wanted && wanted)
        m_request();
}

} // namespace kvloupe
