// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/parameter_form.h"

#include "tests/views/widget_test.h"
#include "views/methods/method_model.h"

#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QSpinBox>
#include <QTest>

namespace kvloupe {
namespace {

TEST(FormParameters, AreThoseOfTheMethodAndOfTheScorerItWraps)
{
    const auto names = [](const char* spec) {
        QStringList all;
        for (const FormParameter& parameter : formParameters(parseMethod(spec)))
            all << QString::fromStdString(parameter.info.name + '=' + parameter.value);
        return all;
    };
    EXPECT_TRUE(names("snapkv:window=16").contains(QStringLiteral("window=16")));
    EXPECT_TRUE(names("snapkv").contains(QStringLiteral("window=32")));
    EXPECT_TRUE(names("adakv:scorer=snapkv,scorer.window=8").contains(QStringLiteral("scorer.window=8")));
    EXPECT_TRUE(names("adakv:scorer=snapkv").contains(QStringLiteral("scorer=snapkv")));
    for (const MethodInfo& info : methodRegistry()) {
        if (info.takesPath)
            continue;
        for (const FormParameter& parameter : formParameters(parseMethod(info.name)))
            EXPECT_TRUE(parameter.toolTip().contains(QStringLiteral("Default: "))) << info.name;
    }
}

TEST(FormParameters, SetOneByOneGiveASpec)
{
    EXPECT_EQ(withParameter(parseMethod("snapkv"), "window", "16"), "snapkv:window=16");
    EXPECT_EQ(withParameter(parseMethod("snapkv:kernel=5,window=16"), "window", "32"), "snapkv:kernel=5")
        << "a default need not be written";
    EXPECT_EQ(withParameter(parseMethod("snapkv@kvpress:window=16"), "window", "32"), "snapkv@kvpress:window=32")
        << "beside a preset it must be, for the preset may say otherwise";
    EXPECT_EQ(withParameter(parseMethod("adakv:scorer=snapkv,scorer.window=8"), "scorer", "h2o"), "adakv:scorer=h2o")
        << "another scorer has other parameters";
    EXPECT_EQ(withPreset(parseMethod("snapkv:window=16"), "kvpress"), "snapkv@kvpress");
    EXPECT_EQ(withPreset(parseMethod("snapkv@kvpress"), ""), "snapkv");
}

class ParameterFormTest : public WidgetTest {
protected:
    ParameterFormTest() { m_methods.fromSpecs({QStringLiteral("snapkv"), QStringLiteral("adakv:scorer=snapkv")}); }

    std::string spec() const { return m_methods.entries()[static_cast<std::size_t>(m_methods.current())].method.spec; }

    Selection m_selection;
    MethodModel m_methods{&m_selection};
};

TEST_F(ParameterFormTest, AFieldChangesTheMethodInPlace)
{
    ParameterForm form(&m_methods);
    showAndWait(form, 320, 400);
    auto* window = qobject_cast<QSpinBox*>(form.field("window"));
    ASSERT_TRUE(window);
    EXPECT_EQ(window->value(), 32);
    window->setFocus();
    QTest::keyClick(window, Qt::Key_Up);
    EXPECT_EQ(spec(), "snapkv:window=33");
    EXPECT_EQ(m_methods.entries()[0].parameters, QStringLiteral("window=33"));
    QTest::keyClick(window, Qt::Key_Down);
    EXPECT_EQ(spec(), "snapkv");
    EXPECT_EQ(m_selection.method(), "snapkv");
}

TEST_F(ParameterFormTest, APresetSetsThemAll)
{
    ParameterForm form(&m_methods);
    showAndWait(form, 320, 400);
    auto* presets = form.findChild<QComboBox*>(QStringLiteral("presets"));
    ASSERT_GT(presets->count(), 1);
    presets->setFocus();
    QTest::keyClick(presets, Qt::Key_Down);
    EXPECT_TRUE(spec().starts_with("snapkv@")) << spec();
    EXPECT_EQ(presets->currentIndex(), 1);
    QTest::keyClick(presets, Qt::Key_Up);
    EXPECT_EQ(spec(), "snapkv");
}

TEST_F(ParameterFormTest, SaysWhatDoesNotGoTogetherAndPutsTheOldValueBack)
{
    ParameterForm form(&m_methods);
    showAndWait(form, 320, 400);
    auto* problem = form.findChild<QLabel*>(QStringLiteral("parameterProblem"));
    ASSERT_EQ(m_methods.add(QStringLiteral("snapkv:window=33")), QString());
    m_methods.setCurrent(0);
    auto* window = qobject_cast<QSpinBox*>(form.field("window"));
    window->setFocus();
    QTest::keyClick(window, Qt::Key_Up);
    EXPECT_TRUE(problem->isVisible()) << "the same method is in the list already";
    EXPECT_EQ(window->value(), 32);
    EXPECT_EQ(spec(), "snapkv");
}

TEST_F(ParameterFormTest, FollowsTheMethodInFront)
{
    ParameterForm form(&m_methods);
    showAndWait(form, 320, 400);
    EXPECT_FALSE(form.field("scorer"));
    m_methods.setCurrent(1);
    QApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    ASSERT_TRUE(form.field("scorer"));
    auto* inner = qobject_cast<QSpinBox*>(form.field("scorer.window"));
    ASSERT_TRUE(inner);
    inner->setFocus();
    QTest::keyClick(inner, Qt::Key_Up);
    EXPECT_EQ(spec(), "adakv:scorer=snapkv,scorer.window=33");
}

TEST_F(ParameterFormTest, EveryMethodHasAForm)
{
    ParameterForm form(&m_methods);
    showAndWait(form, 320, 700);
    for (const MethodInfo& info : methodRegistry()) {
        if (info.takesPath || info.name == "snapkv")
            continue;
        m_methods.fromSpecs({QString::fromStdString(info.name)});
        ASSERT_EQ(m_methods.rowCount(), 1) << info.name;
        for (const ParameterInfo& parameter : info.parameters)
            EXPECT_TRUE(form.field(parameter.name)) << info.name << ' ' << parameter.name;
        EXPECT_EQ(spec(), info.name) << "looking changes nothing";
    }
}

} // namespace
} // namespace kvloupe
