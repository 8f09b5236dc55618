// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/manual.h"

#include <QDesktopServices>
#include <QDialogButtonBox>
#include <QFile>
#include <QHeaderView>
#include <QLineEdit>
#include <QPushButton>
#include <QShortcut>
#include <QSplitter>
#include <QTextBrowser>
#include <QTreeWidget>
#include <QUrl>
#include <QVBoxLayout>

#include <algorithm>
#include <array>
#include <utility>

namespace kvloupe {

namespace {

constexpr std::array manualFiles{"window.md", "figures.md", "methods.md", "measures.md", "results.md", "tasks.md",
    "command-line.md", "recording-format.md", "live-caches.md", "adapters.md", "models.md"};
constexpr int deepestHeading = 3;

QString readPage(const QString& file)
{
    QFile page(QStringLiteral(":/manual/") + file);
    return page.open(QIODevice::ReadOnly) ? QString::fromUtf8(page.readAll()) : QString();
}

} // namespace

std::vector<ManualSection> manualSections(const QString& file, const QString& markdown)
{
    std::vector<ManualSection> sections;
    bool isCode = false;
    for (const QString& line : markdown.split(QLatin1Char('\n'))) {
        if (line.startsWith(QLatin1String("```")))
            isCode = !isCode;
        const auto level = static_cast<int>(
            std::ranges::find_if(line, [](QChar c) { return c != QLatin1Char('#'); }) - line.begin());
        if (!isCode && level > 0 && level <= deepestHeading && level < line.size() && line[level] == QLatin1Char(' ')) {
            QString title = line.mid(level + 1).trimmed();
            title.remove(QLatin1Char('`'));
            sections.push_back({file, title, level, {}});
        }
        if (!isCode && line.startsWith(QLatin1String("![")))
            continue; // pictures of the window, which one has before one's eyes
        if (!sections.empty())
            sections.back().markdown += line + QLatin1Char('\n');
    }
    return sections;
}

Manual::Manual(QWidget* parent)
    : QDialog(parent)
    , m_contents(new QTreeWidget)
    , m_text(new QTextBrowser)
    , m_find(new QLineEdit)
{
    setWindowTitle(tr("Manual"));
    m_contents->setHeaderHidden(true);
    m_contents->setAccessibleName(tr("Contents"));
    m_text->setAccessibleName(tr("Text"));
    m_text->setOpenLinks(false);
    m_find->setPlaceholderText(tr("Find everywhere"));
    m_find->setAccessibleName(tr("Find everywhere"));
    m_find->setClearButtonEnabled(true);

    for (const char* file : manualFiles) {
        std::array<QTreeWidgetItem*, deepestHeading> open{};
        const QString name = QString::fromLatin1(file);
        for (ManualSection& section : manualSections(name, readPage(name))) {
            auto* item = new QTreeWidgetItem(QStringList{section.title});
            QTreeWidgetItem* above = nullptr;
            for (int level = section.level - 1; level > 0 && !above; --level)
                above = open[static_cast<std::size_t>(level - 1)];
            if (above)
                above->addChild(item);
            else
                m_contents->addTopLevelItem(item);
            std::fill(open.begin() + section.level - 1, open.end(), nullptr);
            open[static_cast<std::size_t>(section.level - 1)] = item;
            item->setData(0, Qt::UserRole, static_cast<int>(m_sections.size()));
            m_items.push_back(item);
            m_sections.push_back(std::move(section));
        }
    }
    connect(m_contents, &QTreeWidget::currentItemChanged, this,
        [this](const QTreeWidgetItem* item) { show(item ? item->data(0, Qt::UserRole).toInt() : -1); });
    connect(m_text, &QTextBrowser::anchorClicked, this, &Manual::follow);
    connect(m_find, &QLineEdit::returnPressed, this, &Manual::findNext);
    auto* find = new QShortcut(QKeySequence::Find, this);
    connect(find, &QShortcut::activated, m_find, [this] { m_find->setFocus(Qt::ShortcutFocusReason); });

    auto* splitter = new QSplitter;
    splitter->addWidget(m_contents);
    splitter->addWidget(m_text);
    splitter->setStretchFactor(1, 1);
    splitter->setSizes({240, 760});
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    // Enter finds; it must not close the manual.
    buttons->button(QDialogButtonBox::Close)->setAutoDefault(false);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    auto* column = new QVBoxLayout(this);
    column->addWidget(m_find);
    column->addWidget(splitter, 1);
    column->addWidget(buttons);
    resize(1000, 760);
    if (!m_items.empty())
        m_contents->setCurrentItem(m_items.front());
}

void Manual::show(int section)
{
    if (section < 0 || section == m_current)
        return;
    m_current = section;
    // One section at a time: laying out a whole document would hold the window up.
    m_text->setMarkdown(m_sections[static_cast<std::size_t>(section)].markdown);
}

void Manual::follow(const QUrl& link)
{
    if (link.scheme().startsWith(QLatin1String("http"))) {
        QDesktopServices::openUrl(link);
        return;
    }
    const QString file
        = link.path().isEmpty() && m_current >= 0 ? m_sections[static_cast<std::size_t>(m_current)].file : link.path();
    // Headings are addressed as on the project's pages: lower case, hyphens for spaces, no punctuation.
    const auto anchorOf = [](const QString& title) {
        QString anchor;
        for (const QChar c : title.toLower()) {
            if (c == QLatin1Char(' '))
                anchor += QLatin1Char('-');
            else if (c.isLetterOrNumber() || c == QLatin1Char('-') || c == QLatin1Char('_'))
                anchor += c;
        }
        return anchor;
    };
    for (std::size_t index = 0; index < m_sections.size(); ++index) {
        const ManualSection& section = m_sections[index];
        if (section.file == file && (!link.hasFragment() || anchorOf(section.title) == link.fragment())) {
            m_contents->setCurrentItem(m_items[index]);
            return;
        }
    }
}

void Manual::findNext()
{
    const QString words = m_find->text();
    if (words.isEmpty() || m_text->find(words))
        return;
    const auto count = static_cast<int>(m_sections.size());
    const int start = std::max(0, m_current);
    for (int step = 1; step <= count; ++step) {
        const int section = (start + step) % count;
        if (!m_sections[static_cast<std::size_t>(section)].markdown.contains(words, Qt::CaseInsensitive))
            continue;
        m_contents->setCurrentItem(m_items[static_cast<std::size_t>(section)]);
        m_text->moveCursor(QTextCursor::Start);
        if (m_text->find(words))
            return;
    }
}

} // namespace kvloupe
