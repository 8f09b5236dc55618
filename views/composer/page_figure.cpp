// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/page_figure.h"

#include "views/chart/chart_painter.h"
#include "views/figure/color_bar_painter.h"
#include "views/figure/figure_spec.h"
#include "views/figure/point_painter.h"
#include "views/figure/text_lines.h"

#include <QCoreApplication>

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kvloupe {

namespace {

constexpr double usualLineWidth = 0.5; ///< of axes, what painters ask for
constexpr double gapWidth = 1.5; ///< between columns and rows, in font heights
constexpr double highestBar = 24.0; ///< in font heights

QString translate(const char* text)
{
    return QCoreApplication::translate("PageFigure", text);
}

/// The colour bar of a range that several panels share.
struct SharedBar {
    PanelRange range;
    std::vector<std::size_t> panels;
    ColorKey colors;
    QRectF place;
};

ColorKey colorKeyOf(const PanelRange& range, double font)
{
    if (range.scale == ColorScale::Linear) {
        ChartMatrix matrix;
        matrix.low = range.low;
        matrix.high = range.high;
        matrix.diverging = range.isDiverging;
        matrix.map = range.map;
        matrix.valueName = range.quantity;
        return colorKeyOf(matrix, niceTicks(range.low, range.high, 6));
    }
    const auto entries = colorMapEntries(range.map);
    return {{entries.begin(), entries.end()},
        valueTicks(ColorTable(range.map, range.scale, {range.low, range.high}), highestBar * font, font),
        range.quantity};
}

/// Ranges that at least two panels can share, wide enough for all of them.
std::vector<SharedBar> sharedRanges(const std::vector<std::shared_ptr<const PanelData>>& panels)
{
    std::vector<SharedBar> groups;
    for (std::size_t index = 0; index < panels.size(); ++index) {
        for (const PanelRange& range : panels[index]->ranges()) {
            const auto group = std::ranges::find_if(
                groups, [&range](const SharedBar& known) { return known.range.canShareWith(range); });
            if (group == groups.end()) {
                groups.push_back({range, {index}, {}, {}});
                continue;
            }
            group->range.low = std::min(group->range.low, range.low);
            group->range.high = std::max(group->range.high, range.high);
            group->panels.push_back(index);
        }
    }
    std::erase_if(groups, [](const SharedBar& group) { return group.panels.size() < 2; });
    for (SharedBar& group : groups) {
        if (!group.range.isDiverging)
            continue;
        // The middle of diverging colours is 0.
        group.range.high = std::max(group.range.high, -group.range.low);
        group.range.low = -group.range.high;
    }
    return groups;
}

/// Letter and title above a panel.
struct PanelHeader {
    QString letter;
    QStringList title;
};

class PageMaker {
public:
    PageMaker(const PageSpec& spec, PanelCache& cache, const std::function<bool()>& goOn)
        : m_spec(spec)
        , m_cache(cache)
        , m_goOn(goOn)
        , m_font(spec.fontPoints)
        , m_width(spec.widthMm * pointsPerMillimetre)
        , m_places(placesOf(spec))
        , m_letters(lettersOf(spec, m_places))
    {
    }

    std::optional<MadePage> make()
    {
        if (!readAll())
            return std::nullopt;
        if (m_spec.shareRange)
            m_bars = sharedRanges(m_data);
        for (const SharedBar& bar : m_bars)
            m_shared.push_back(bar.range);
        std::erase_if(m_bars, [](const SharedBar& bar) { return !bar.range.isColor; });
        for (SharedBar& bar : m_bars) {
            bar.colors = colorKeyOf(bar.range, m_font);
            m_margin += 1.8 * m_font + colorBarMargin(bar.colors.ticks, m_font);
        }
        // What is read for a size is read again now that the size is known.
        if (!readAll())
            return std::nullopt;
        place();
        return finish();
    }

private:
    double columnWidth() const
    {
        const double gaps = gapWidth * m_font * (m_spec.columns - 1);
        return (m_width - m_margin - gaps) / m_spec.columns;
    }

    PanelFrame frameOf(std::size_t index) const
    {
        const PagePlace& at = m_places[index];
        PanelFrame frame = m_spec.panels[index].figure->frame();
        frame.width = columnWidth() * at.columnSpan + gapWidth * m_font * (at.columnSpan - 1);
        frame.font = m_font;
        frame.dpi = m_spec.dpi;
        frame.isAlone = false;
        frame.shared = m_shared;
        return frame;
    }

    bool readAll()
    {
        m_data.resize(m_spec.panels.size());
        for (std::size_t index = 0; index < m_data.size(); ++index) {
            if (!m_goOn())
                return false;
            forPanel(index, [&] { m_data[index] = m_cache.read(*m_spec.panels[index].figure, frameOf(index)); });
        }
        return true;
    }

    template <typename Work> void forPanel(std::size_t index, Work work) const
    {
        try {
            work();
        } catch (const Error& error) {
            throw FigureError(fmt::format("panels[{}]: {}", index, error.what()));
        }
    }

    PanelHeader headerOf(std::size_t index, double width) const
    {
        const PagePanel& panel = m_spec.panels[index];
        const QString title = panel.title ? QString::fromStdString(*panel.title) : m_data[index]->title();
        return {m_letters[index], wrappedText(title, width - letterRoom(m_letters[index]), m_font, 2)};
    }

    double letterRoom(const QString& letter) const
    {
        return letter.isEmpty() ? 0.0 : figureTextWidth(letter, m_font, true) + 0.5 * m_font;
    }

    double headerHeight(const PanelHeader& header) const
    {
        const auto lines = std::max<qsizetype>(header.letter.isEmpty() ? 0 : 1, header.title.size());
        return lines == 0 ? 0.0 : 1.3 * m_font * static_cast<double>(lines) + 0.3 * m_font;
    }

    void place()
    {
        const std::size_t count = m_spec.panels.size();
        m_made.panels.resize(count);
        m_headers.resize(count);
        m_painted.resize(count);
        std::set<int> rows;
        for (const PagePlace& at : m_places)
            rows.insert(at.row);
        double y = 0.0;
        for (const int row : rows) {
            double header = 0.0;
            double body = 0.0;
            for (std::size_t index = 0; index < count; ++index) {
                if (m_places[index].row != row)
                    continue;
                const PanelFrame frame = frameOf(index);
                m_headers[index] = headerOf(index, frame.width);
                forPanel(index, [&] { m_painted[index] = m_data[index]->layOut(frame); });
                header = std::max(header, headerHeight(m_headers[index]));
                body = std::max(body, m_painted[index].size.height());
            }
            for (std::size_t index = 0; index < count; ++index) {
                if (m_places[index].row != row)
                    continue;
                PanelFrame frame = frameOf(index);
                if (frame.height == 0.0 && m_data[index]->canStretch() && m_painted[index].size.height() < body - 0.5) {
                    frame.height = body;
                    forPanel(index, [&] { m_painted[index] = m_data[index]->layOut(frame); });
                }
                const double x = (columnWidth() + gapWidth * m_font) * m_places[index].column;
                m_made.panels[index]
                    = {QRectF(x, y, frame.width, header), QRectF(QPointF(x, y + header), m_painted[index].size)};
            }
            y += header + body + (row == *rows.rbegin() ? 0.0 : 0.5 * gapWidth * m_font);
        }
        m_made.size = QSizeF(m_width, y);
        double x = m_width - m_margin + m_font;
        for (SharedBar& bar : m_bars) {
            double top = y;
            double bottom = 0.0;
            for (const std::size_t panel : bar.panels) {
                top = std::min(top, m_made.panels[panel].body.top());
                bottom = std::max(bottom, m_made.panels[panel].body.bottom());
            }
            const double height = std::min(highestBar * m_font, bottom - top - 2.0 * m_font);
            bar.place = QRectF(x, 0.5 * (top + bottom - height), 0.8 * m_font, height);
            x += 1.8 * m_font + colorBarMargin(bar.colors.ticks, m_font);
        }
    }

    FigureTable table() const
    {
        struct Part {
            std::string letter;
            FigureTable table;
            std::vector<std::size_t> places; ///< of its columns among all
        };
        FigureTable all;
        all.columns = {"figure_panel"};
        std::vector<Part> parts;
        for (std::size_t index = 0; index < m_data.size(); ++index) {
            const QString name = m_letters[index].isEmpty() ? QString::number(index + 1) : m_letters[index];
            Part part{csvQuoted(name.toStdString()), m_data[index]->table(), {}};
            for (const std::string& column : part.table.columns) {
                const auto known = std::find(all.columns.begin() + 1, all.columns.end(), column);
                part.places.push_back(static_cast<std::size_t>(known - all.columns.begin()));
                if (known == all.columns.end())
                    all.columns.push_back(column);
            }
            parts.push_back(std::move(part));
        }
        all.rows = [parts = std::move(parts), count = all.columns.size()](const FigureTable::Row& give) {
            for (const Part& part : parts) {
                std::vector<std::string> fields(count);
                fields[0] = part.letter;
                part.table.rows([&](std::span<const std::string> own) {
                    for (std::size_t column = 0; column < own.size(); ++column)
                        fields[part.places[column]] = own[column];
                    give(fields);
                });
            }
        };
        return all;
    }

    MadePage finish()
    {
        FigurePage& page = m_made.page;
        page.size = m_made.size;
        page.dpi = m_spec.dpi;
        QStringList titles;
        QStringList captions;
        QStringList descriptions;
        for (std::size_t index = 0; index < m_data.size(); ++index) {
            const QString letter = m_letters[index].isEmpty() ? QString() : m_letters[index] + QLatin1Char(' ');
            titles << letter + m_headers[index].title.join(QLatin1Char(' '));
            captions << letter + m_data[index]->caption();
            descriptions << letter + m_data[index]->description();
        }
        for (const SharedBar& bar : m_bars)
            captions << translate("Colours of %1 have one range in all panels.").arg(bar.range.quantity);
        page.title = titles.join(QStringLiteral("; "));
        page.caption = captions.join(QLatin1Char(' '));
        page.description = descriptions.join(QStringLiteral("; "));
        page.table = table();
        page.paint
            = [size = m_made.size, panels = m_made.panels, painted = m_painted, headers = m_headers, bars = m_bars,
                  font = m_font, scale = m_spec.lineWidth / usualLineWidth](QPaintDevice& device) {
                  PointPainter painter(device, font, {}, scale);
                  painter.fill(QRectF(QPointF(), size), painter.colors().paper);
                  for (std::size_t index = 0; index < panels.size(); ++index) {
                      painter.within(panels[index].body.topLeft(), [&] { painted[index].paint(painter); });
                      const PanelHeader& header = headers[index];
                      double x = panels[index].header.left() + 0.5 * font;
                      const double baseline = panels[index].header.top() + 1.1 * font;
                      if (!header.letter.isEmpty()) {
                          painter.boldText(x, baseline, header.letter);
                          x += figureTextWidth(header.letter, font, true) + 0.5 * font;
                      }
                      for (qsizetype line = 0; line < header.title.size(); ++line)
                          painter.text(x, baseline + 1.3 * font * static_cast<double>(line), header.title[line], 0.0);
                  }
                  for (const SharedBar& bar : bars)
                      paintColorBar(painter, bar.place, bar.colors, font);
              };
        return std::move(m_made);
    }

    const PageSpec& m_spec;
    PanelCache& m_cache;
    const std::function<bool()>& m_goOn;
    double m_font;
    double m_width; ///< of the page, in points
    double m_margin = 0.0; ///< right of the panels, for colour bars
    std::vector<PagePlace> m_places;
    std::vector<QString> m_letters;
    std::vector<std::shared_ptr<const PanelData>> m_data;
    std::vector<PanelRange> m_shared;
    std::vector<SharedBar> m_bars;
    std::vector<PanelHeader> m_headers;
    std::vector<PaintedPanel> m_painted;
    MadePage m_made;
};

std::string keyOf(const PanelSpec& panel, const PanelFrame& frame)
{
    std::string key = panel.toJson().dump(-1, ' ', false, PanelSpec::Json::error_handler_t::replace);
    if (!panel.readsForSize())
        return key;
    key += fmt::format("|{}|{}|{}|{}|{}", frame.width, frame.height, frame.font, frame.dpi, frame.isAlone);
    for (const PanelRange& range : frame.shared)
        key += fmt::format("|{}|{}|{}", range.quantity.toStdString(), range.low, range.high);
    return key;
}

} // namespace

std::shared_ptr<const PanelData> PanelCache::read(const PanelSpec& panel, const PanelFrame& frame)
{
    const std::string key = keyOf(panel, frame);
    if (const auto known = m_entries.find(key); known != m_entries.end()) {
        known->second.isUsed = true;
        return known->second.data;
    }
    std::shared_ptr<const PanelData> data = panel.read(frame);
    m_entries[key] = {data, true};
    return data;
}

void PanelCache::sweep()
{
    for (auto entry = m_entries.begin(); entry != m_entries.end();)
        entry = std::exchange(entry->second.isUsed, false) ? std::next(entry) : m_entries.erase(entry);
}

void PanelCache::clear()
{
    m_entries.clear();
}

std::optional<MadePage> makePage(const PageSpec& page, PanelCache& cache, const std::function<bool()>& goOn)
{
    checkPage(page);
    return PageMaker(page, cache, goOn).make();
}

void writePageFigure(const PageSpec& page, const std::vector<std::filesystem::path>& outputs)
{
    for (const std::filesystem::path& output : outputs)
        figureFormat(output);
    PanelCache cache;
    writePage(makePage(page, cache, [] { return true; })->page, outputs);
}

} // namespace kvloupe
