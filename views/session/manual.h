// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QDialog>
#include <QString>

#include <vector>

class QLineEdit;
class QTextBrowser;
class QTreeWidget;
class QTreeWidgetItem;

namespace kvloupe {

/// One section of a document, as Markdown.
struct ManualSection {
    QString file; ///< "window.md"
    QString title; ///< its heading without markup
    int level = 1; ///< 1 = the page itself
    QString markdown;
};

/// Cuts a document at its headings. What stands before the first one is left out, and so are pictures; headings inside
/// fenced code are text.
std::vector<ManualSection> manualSections(const QString& file, const QString& markdown);

/// The documents of docs/, built into the program: sections at the left, the text of one with links that lead to
/// others, and a line that finds words in all of them. Needs no network.
class Manual final : public QDialog {
    Q_OBJECT

public:
    explicit Manual(QWidget* parent = nullptr);

    QTreeWidget* contents() const { return m_contents; }
    QTextBrowser* text() const { return m_text; }
    QLineEdit* findLine() const { return m_find; }
    const std::vector<ManualSection>& sections() const { return m_sections; }
    int current() const { return m_current; } ///< index of the section on show

private:
    void show(int section);
    void follow(const QUrl& link);
    /// The next place from the cursor on, in later sections too, and from the beginning after the last.
    void findNext();

    std::vector<ManualSection> m_sections;
    std::vector<QTreeWidgetItem*> m_items; ///< by section
    int m_current = -1;
    QTreeWidget* m_contents;
    QTextBrowser* m_text;
    QLineEdit* m_find;
};

} // namespace kvloupe
