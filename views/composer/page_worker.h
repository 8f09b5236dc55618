// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/composer/page_figure.h"

#include <QImage>
#include <QObject>
#include <QThreadPool>
#include <QTimer>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace kvloupe {

/// Makes pages in the background, for the screen and for files, with the same code. Of pages for the screen only the
/// last that was asked for arrives; numbers that were read once are kept while they are shown.
class PageWorker final : public QObject {
    Q_OBJECT

public:
    explicit PageWorker(QObject* parent = nullptr);
    /// Waits for what was begun; a file is finished.
    ~PageWorker() override;

    /// `previewReady` or `previewFailed` follows once nothing has been asked for a moment. `pixels`: width of the
    /// picture.
    void preview(const PageSpec& page, int pixels);
    void cancelPreview();
    /// Inputs are read again: they may have changed.
    void refresh();
    bool isBusy() const { return m_settle.isActive() || m_isWorking; }
    /// `saved` or `failed` follows.
    void save(const PageSpec& page, const std::filesystem::path& path);

signals:
    void previewReady(const QImage& picture);
    void previewFailed(const QString& problem);
    void saved(const QString& path);
    void failed(const QString& problem);

private:
    void start();
    void take(std::uint64_t generation, const QImage& picture, const QString& problem);

    PageSpec m_page;
    int m_pixels = 0;
    bool m_isWorking = false;
    bool m_mustForget = false;
    QTimer m_settle;
    std::shared_ptr<PanelCache> m_cache; ///< of the worker's thread
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
    QThreadPool m_worker;
};

} // namespace kvloupe
