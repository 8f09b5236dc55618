// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/latex.h"

#include "views/figure/figure_file.h"
#include "views/figure/point_painter.h"

namespace kvloupe {

namespace {

constexpr double widestColumnMm = 110.0;

QString labelOf(const std::filesystem::path& graphics)
{
    QString label;
    for (const QChar sign : QString::fromStdString(graphics.stem().string()))
        label += sign.unicode() < 128 && (sign.isLetterOrNumber() || sign == u'-') ? sign : QChar(u'-');
    return label;
}

} // namespace

QString latexText(const QString& text)
{
    QString escaped;
    for (const QChar sign : text) {
        switch (sign.unicode()) {
        case u'\\':
            escaped += QStringLiteral("\\textbackslash{}");
            break;
        case u'~':
            escaped += QStringLiteral("\\textasciitilde{}");
            break;
        case u'^':
            escaped += QStringLiteral("\\textasciicircum{}");
            break;
        case u'<':
            escaped += QStringLiteral("\\textless{}");
            break;
        case u'>':
            escaped += QStringLiteral("\\textgreater{}");
            break;
        case u'\u00D7':
            escaped += QStringLiteral("$\\times$");
            break;
        case u'\u2026':
            escaped += QStringLiteral("\\dots{}");
            break;
        case u'#':
        case u'$':
        case u'%':
        case u'&':
        case u'_':
        case u'{':
        case u'}':
            escaped += QLatin1Char('\\');
            escaped += sign;
            break;
        default:
            escaped += sign.unicode() < u' ' || sign.unicode() == 0x7F ? QChar(u' ') : sign;
        }
    }
    return escaped;
}

QByteArray latexOf(const FigurePage& page, const std::filesystem::path& graphics)
{
    const double millimetres = page.size.width() / pointsPerMillimetre;
    const QString environment = millimetres > widestColumnMm ? QStringLiteral("figure*") : QStringLiteral("figure");
    QString provenance = page.description;
    for (QChar& sign : provenance)
        if (sign.unicode() < u' ')
            sign = QLatin1Char(' ');
    // Braces and a detokenised name let LaTeX find files with dots, blanks and underscores in their names.
    return QStringLiteral("% Needs \\usepackage{graphicx}. Made by kvloupe figure from:\n"
                          "% %1\n"
                          "\\begin{%2}[tb]\n"
                          "  \\centering\n"
                          "  \\includegraphics[width=%3mm]{\\detokenize{%4}}\n"
                          "  \\caption{%5}\n"
                          "  \\label{fig:%6}\n"
                          "\\end{%2}\n")
        .arg(provenance, environment, QString::number(millimetres, 'f', 1), QString::fromStdString(graphics.string()),
            latexText(page.caption), labelOf(graphics))
        .toUtf8();
}

} // namespace kvloupe
