// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/figure_fonts.h"

#include <QFontDatabase>

/// The function that the macro declares is outside of any namespace.
static void initFontResource()
{
    Q_INIT_RESOURCE(figure_fonts);
}

namespace kvloupe {

const QStringList& figureFontFamilies()
{
    static const QStringList families = [] {
        initFontResource();
        QStringList loaded;
        for (const char* file :
            {":/fonts/figure_text.ttf", ":/fonts/figure_text_bold.ttf", ":/fonts/figure_signs.ttf"}) {
            for (const QString& family :
                QFontDatabase::applicationFontFamilies(QFontDatabase::addApplicationFont(QString::fromUtf8(file))))
                if (!loaded.contains(family))
                    loaded << family;
        }
        return loaded;
    }();
    return families;
}

} // namespace kvloupe
