// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/page_worker.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvloupe {

namespace {

constexpr int settleMilliseconds = 150;

} // namespace

PageWorker::PageWorker(QObject* parent)
    : QObject(parent)
    , m_cache(std::make_shared<PanelCache>())
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    m_worker.setMaxThreadCount(1);
    m_settle.setSingleShot(true);
    m_settle.setInterval(settleMilliseconds);
    connect(&m_settle, &QTimer::timeout, this, &PageWorker::start);
}

PageWorker::~PageWorker()
{
    ++*m_generation;
    m_worker.waitForDone();
}

void PageWorker::preview(const PageSpec& page, int pixels)
{
    m_page = page;
    m_pixels = pixels;
    ++*m_generation;
    m_settle.start();
}

void PageWorker::cancelPreview()
{
    ++*m_generation;
    m_settle.stop();
    m_isWorking = false;
}

void PageWorker::refresh()
{
    m_mustForget = true;
    preview(m_page, m_pixels);
}

void PageWorker::start()
{
    m_isWorking = true;
    PageSpec page = m_page;
    // The same layout at the density of the screen.
    page.dpi = std::clamp(static_cast<int>(std::lround(m_pixels / (page.widthMm / 25.4))), 30, 600);
    m_worker.start([this, page = std::move(page), generation = m_generation->load(), current = m_generation,
                       cache = m_cache, forget = std::exchange(m_mustForget, false)] {
        QImage picture;
        QString problem;
        try {
            if (forget)
                cache->clear();
            const auto goOn = [&] { return generation == *current; };
            const std::optional<MadePage> made = makePage(page, *cache, goOn);
            if (!made)
                return;
            cache->sweep();
            picture = QImage::fromData(renderPage(made->page, FigureFormat::Png), "PNG");
        } catch (const std::exception& error) {
            problem = QString::fromUtf8(error.what());
        }
        QMetaObject::invokeMethod(
            this, [this, generation, picture, problem] { take(generation, picture, problem); }, Qt::QueuedConnection);
    });
}

void PageWorker::take(std::uint64_t generation, const QImage& picture, const QString& problem)
{
    if (generation != *m_generation)
        return;
    m_isWorking = false;
    if (problem.isEmpty())
        emit previewReady(picture);
    else
        emit previewFailed(problem);
}

void PageWorker::save(const PageSpec& page, const std::filesystem::path& path)
{
    m_worker.start([this, page, path] {
        // Signals reach objects of the window's thread through its event loop.
        try {
            writePageFigure(page, {path});
            emit saved(QString::fromStdString(path.string()));
        } catch (const std::exception& error) {
            emit failed(QString::fromUtf8(error.what()));
        }
    });
}

} // namespace kvloupe
