// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/shortcut_sheet.h"

#include <QCoreApplication>
#include <QDialogButtonBox>
#include <QSysInfo>
#include <QTextBrowser>
#include <QVBoxLayout>

#include <H5public.h>

namespace kvloupe {

std::vector<Gesture> gestures()
{
    const auto tr = [](const char* text) { return ShortcutSheet::tr(text); };
    const QString map = tr("Map");
    const QString methods = tr("Methods");
    const QString text = tr("Text");
    const QString shots = tr("Shots");
    const QString timeline = tr("Timeline");
    const QString window = tr("Window");
    return {
        {map, tr("Wheel, + and -"), tr("zoom at the mouse (Ctrl: fine), at the middle")},
        {map, tr("Drag, arrows, W A S D"), tr("move")},
        {map, tr("Shift + drag"), tr("zoom into a box")},
        {map, tr("Double click, Esc, Ctrl+0"), tr("show the whole map")},
        {map, tr("Alt + arrows"), tr("move the cell (Alt + Shift: by a tenth of the view)")},
        {map, tr("[ and ]"), tr("previous and next head")},
        {map, tr(", and ."), tr("previous and next layer")},
        {map, tr("Ctrl+1, Ctrl+2, Ctrl+4"), tr("one, two or four maps side by side")},
        {map, tr("Ctrl+B, Space"), tr("compare with the head in view; flip A, B and A \u2212 B")},
        {map, tr("P"), tr("maximum or mean of the cells one pixel covers")},
        {map, tr("Click, Enter"), tr("hold the cell; where a pixel covers many, that of their maximum (Esc lets go)")},
        {methods, tr("1 to 9"), tr("show or hide a method")},
        {methods, tr("M"), tr("next method in front: its dropped tokens are shaded and faded")},
        {methods, tr("Ctrl+Up, Ctrl+Down"), tr("keep 1 % more or less of the prompt")},
        {methods, tr("Ctrl+D"), tr("shade dropped columns on the map")},
        {methods, tr("Ctrl+L"), tr("show beside the map what each query loses")},
        {methods, tr("Ctrl+M"), tr("add a method")},
        {methods, tr("Delete"), tr("remove the method in front from the list")},
        {text, tr("Click, arrows"), tr("select a token; its column is the key in view")},
        {text, tr("Drag, Shift + arrows"), tr("select a stretch of text")},
        {text, tr("Ctrl+C"), tr("copy what survived (Ctrl+Shift+C: everything)")},
        {text, tr("Ctrl+F, F3, Shift+F3"), tr("find, next, previous")},
        {shots, tr("Drag a border, or arrows"), tr("correct where a shot begins and ends (Shift: ten tokens)")},
        {timeline, tr("Click, arrows, Home, End"), tr("choose token and step")},
        {timeline, tr("Wheel, drag, double click"), tr("zoom, move, show all tokens")},
        {window, tr("Ctrl+O, F5"), tr("open a recording, read it again")},
        {window, tr("Ctrl+E"), tr("export the figure as PDF, SVG, PNG or CSV")},
        {window, tr("Ctrl+Shift+E, Ctrl+Shift+G"),
            tr("add the view to the figure of several panels, show that figure")},
        {window, tr("Ctrl+R, Ctrl+Shift+R, Alt+J"), tr("record, evaluate, show or hide jobs")},
        {window, tr("Ctrl+,"), tr("preferences")},
        {window, tr("F6"), tr("next panel")},
        {window, tr("Ctrl+Z, Ctrl+Shift+Z"), tr("undo and redo an edit of shots or methods")},
        {window, tr("Alt+1 to Alt+9, Alt+0, Alt+L"),
            tr("show or hide samples, heads, methods, text, why, shots, timeline, results, sparsity, overlap, lost "
               "attention")},
        {window, tr("Ctrl+Shift+P"), tr("find a command by a part of its name")},
        {window, tr("Ctrl+N, Ctrl+Shift+O, Ctrl+W"), tr("new window, open in a new window, close the window")},
        {window, tr("Ctrl+Alt+Left, Ctrl+Alt+Right"), tr("back to where you were, and forward again")},
        {window, tr("F1, Shift+F1"), tr("this sheet, the manual")},
    };
}

ShortcutSheet::ShortcutSheet(QWidget* parent)
    : QDialog(parent)
{
    setWindowTitle(tr("Keyboard and Mouse"));
    QString html;
    QString heading;
    for (const Gesture& gesture : gestures()) {
        if (gesture.where != heading) {
            heading = gesture.where;
            html += QStringLiteral("<tr><td colspan=2><h3>%1</h3></td></tr>").arg(heading.toHtmlEscaped());
        }
        html += QStringLiteral("<tr><td style='padding-right:24px'><b>%1</b></td><td>%2</td></tr>")
                    .arg(gesture.keys.toHtmlEscaped(), gesture.effect.toHtmlEscaped());
    }
    auto* sheet = new QTextBrowser(this);
    sheet->setHtml(QStringLiteral("<table cellpadding=3>%1</table>").arg(html));
    sheet->setAccessibleName(windowTitle());
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close, this);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    auto* column = new QVBoxLayout(this);
    column->addWidget(sheet);
    column->addWidget(buttons);
    resize(640, 680);
}

QString aboutText()
{
    return QStringLiteral("KVLoupe %1\nQt %2 (built with %3)\nHDF5 %4.%5.%6\n%7\n%8")
        .arg(QCoreApplication::applicationVersion(), QString::fromUtf8(qVersion()), QStringLiteral(QT_VERSION_STR))
        .arg(H5_VERS_MAJOR)
        .arg(H5_VERS_MINOR)
        .arg(H5_VERS_RELEASE)
        .arg(QSysInfo::prettyProductName(), ShortcutSheet::tr("GPL-3.0-or-later; QCustomPlot is GPL-3.0-or-later"));
}

} // namespace kvloupe
