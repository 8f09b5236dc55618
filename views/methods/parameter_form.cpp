// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/parameter_form.h"

#include "core/methods/method_spec.h"
#include "views/methods/method_model.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QTimer>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvloupe {

namespace {

QString toText(const std::string& text)
{
    return QString::fromStdString(text);
}

void addParameters(std::vector<FormParameter>& all, const MethodInfo& info, const std::string& prefix,
    const Method& method, const SpecParts& parts)
{
    for (const ParameterInfo& parameter : info.parameters) {
        FormParameter shown{parameter, parameter.defaultValue, false};
        shown.info.name = prefix + parameter.name;
        if (const auto value = method.parameters.find(shown.info.name); value != method.parameters.end())
            shown.value = value->second;
        // A word like "auto" is shown as it was written, not as what it came to.
        if (const auto written = parts.values.find(shown.info.name); written != parts.values.end()) {
            shown.value = written->second;
            shown.isChanged = true;
        }
        all.push_back(std::move(shown));
    }
}

QString rangeText(const ParameterInfo& info)
{
    const auto number = [](double value) { return QString::number(value, 'g', 10); };
    switch (info.type) {
    case ParameterInfo::Type::Integer:
    case ParameterInfo::Type::Real: {
        QString range = std::isinf(info.maximum) || info.maximum >= 1e15
            ? ParameterForm::tr("at least %1").arg(number(info.minimum))
            : ParameterForm::tr("%1 to %2").arg(number(info.minimum), number(info.maximum));
        for (const std::string& word : info.choices)
            range += ParameterForm::tr(", or %1").arg(toText(word));
        return range;
    }
    case ParameterInfo::Type::Boolean:
        return ParameterForm::tr("yes or no");
    case ParameterInfo::Type::Choice: {
        QStringList words;
        for (const std::string& word : info.choices)
            words << toText(word);
        return words.join(QStringLiteral(", "));
    }
    case ParameterInfo::Type::Text:
        break;
    }
    return ParameterForm::tr("text");
}

} // namespace

QString FormParameter::toolTip() const
{
    return ParameterForm::tr("%1\nTakes: %2\nDefault: %3")
        .arg(toText(info.description), rangeText(info), toText(info.defaultValue));
}

std::vector<FormParameter> formParameters(const Method& method)
{
    const MethodInfo& info = findMethod(method.name);
    if (info.takesPath)
        return {};
    const SpecParts parts = splitSpec(method.spec);
    std::vector<FormParameter> all;
    addParameters(all, info, "", method, parts);
    if (info.wrap)
        addParameters(all, findMethod(splitSpec(method.parameters.at("scorer")).name), "scorer.", method, parts);
    return all;
}

std::string withParameter(const Method& method, const std::string& name, const std::string& value)
{
    SpecParts parts = splitSpec(method.spec);
    const std::vector<FormParameter> known = formParameters(method);
    const auto parameter
        = std::ranges::find_if(known, [&](const FormParameter& each) { return each.info.name == name; });
    const bool isDefault = parameter != known.end() && parameter->info.defaultValue == value && parts.preset.empty()
        && !name.starts_with("scorer.");
    if (isDefault)
        parts.values.erase(name);
    else
        parts.values[name] = value;
    // Another scorer has other parameters.
    if (name == "scorer")
        std::erase_if(parts.values, [](const auto& entry) { return entry.first.starts_with("scorer."); });
    return joinSpec(parts);
}

std::string withPreset(const Method& method, const std::string& preset)
{
    return joinSpec({method.name, preset, {}});
}

ParameterForm::ParameterForm(MethodModel* methods, QWidget* parent)
    : QWidget(parent)
    , m_methods(methods)
    , m_presets(new QComboBox)
    , m_fields(nullptr)
    , m_form(nullptr)
    , m_problem(new QLabel)
{
    m_presets->setAccessibleName(tr("Preset of the method in front"));
    m_presets->setObjectName(QStringLiteral("presets"));
    m_problem->setWordWrap(true);
    m_problem->setTextFormat(Qt::PlainText);
    m_problem->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_problem->setObjectName(QStringLiteral("parameterProblem"));
    m_problem->setAccessibleName(tr("What is wrong with the parameter"));
    m_problem->hide();
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(8, 4, 8, 4);
    column->addWidget(m_presets);
    column->addWidget(m_problem);
    column->addStretch(1);
    connect(m_presets, &QComboBox::activated, this, [this](int index) {
        const int row = m_methods->current();
        if (row >= 0)
            apply(withPreset(m_methods->entries()[static_cast<std::size_t>(row)].method,
                m_presets->itemData(index).toString().toStdString()));
    });
    connect(m_methods, &MethodModel::currentChanged, this, [this] {
        m_problem->hide();
        rebuild();
    });
    connect(m_methods, &MethodModel::methodsChanged, this, &ParameterForm::rebuild);
    rebuild();
}

QWidget* ParameterForm::field(const std::string& name) const
{
    return m_fields ? m_fields->findChild<QWidget*>(QStringLiteral("parameter.") + toText(name)) : nullptr;
}

void ParameterForm::apply(const std::string& spec)
{
    const QString problem = m_methods->setSpec(m_methods->current(), toText(spec));
    m_problem->setText(problem);
    m_problem->setVisible(!problem.isEmpty());
    showValues();
}

void ParameterForm::rebuild()
{
    const int row = m_methods->current();
    const Method* method = row < 0 ? nullptr : &m_methods->entries()[static_cast<std::size_t>(row)].method;
    const std::vector<FormParameter> parameters = method ? formParameters(*method) : std::vector<FormParameter>();
    std::string shape = method ? method->name : std::string();
    for (const FormParameter& parameter : parameters)
        shape += ' ' + parameter.info.name;
    if (shape != m_shape || !m_fields) {
        m_shape = std::move(shape);
        // A field may be what called: it is deleted once it has returned.
        if (m_fields) {
            m_fields->hide();
            m_fields->deleteLater();
        }
        m_fields = new QWidget;
        m_form = new QFormLayout(m_fields);
        m_form->setContentsMargins(0, 0, 0, 0);
        m_form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
        m_setters.clear();
        for (const FormParameter& parameter : parameters) {
            QWidget* widget = makeField(parameter);
            widget->setObjectName(QStringLiteral("parameter.") + toText(parameter.info.name));
            widget->setAccessibleName(toText(parameter.info.name));
            widget->setToolTip(parameter.toolTip());
            auto* label = new QLabel(toText(parameter.info.name));
            label->setToolTip(parameter.toolTip());
            label->setBuddy(widget);
            m_form->addRow(label, widget);
        }
        static_cast<QVBoxLayout*>(layout())->insertWidget(1, m_fields);
        QWidget* before = m_presets;
        for (int line = 0; line < m_form->rowCount(); ++line) {
            QWidget* widget = m_form->itemAt(line, QFormLayout::FieldRole)->widget();
            setTabOrder(before, widget);
            before = widget;
        }
    }
    showValues();
}

void ParameterForm::showValues()
{
    const int row = m_methods->current();
    const Method* method = row < 0 ? nullptr : &m_methods->entries()[static_cast<std::size_t>(row)].method;
    const MethodInfo* info = method ? &findMethod(method->name) : nullptr;
    const QSignalBlocker blocker(m_presets);
    m_presets->clear();
    m_presets->setVisible(info && !info->takesPath);
    if (!info || info->takesPath)
        return;
    const SpecParts parts = splitSpec(method->spec);
    const QString title = m_methods->entries()[static_cast<std::size_t>(row)].title;
    m_presets->addItem(tr("%1 with its defaults").arg(title), QString());
    m_presets->setItemData(0, toText(info->summary), Qt::ToolTipRole);
    for (const PresetInfo& preset : info->presets) {
        m_presets->addItem(tr("%1 as in %2").arg(title, toText(preset.name)), toText(preset.name));
        m_presets->setItemData(m_presets->count() - 1, toText(preset.description), Qt::ToolTipRole);
    }
    m_presets->setCurrentIndex(std::max(0, m_presets->findData(toText(parts.preset))));
    m_presets->setToolTip(m_presets->itemData(m_presets->currentIndex(), Qt::ToolTipRole).toString());
    const std::vector<FormParameter> parameters = formParameters(*method);
    for (std::size_t index = 0; index < std::min(parameters.size(), m_setters.size()); ++index)
        m_setters[index](parameters[index]);
    for (int line = 0; line < m_form->rowCount() && line < static_cast<int>(parameters.size()); ++line) {
        QWidget* label = m_form->itemAt(line, QFormLayout::LabelRole)->widget();
        QFont font = label->font();
        font.setBold(parameters[static_cast<std::size_t>(line)].isChanged);
        label->setFont(font);
    }
}

QWidget* ParameterForm::makeField(const FormParameter& parameter)
{
    const std::string name = parameter.info.name;
    const auto change = [this, name](const std::string& value) {
        const int row = m_methods->current();
        if (row >= 0)
            apply(withParameter(m_methods->entries()[static_cast<std::size_t>(row)].method, name, value));
    };
    const ParameterInfo& info = parameter.info;
    if (info.type == ParameterInfo::Type::Boolean) {
        auto* box = new QCheckBox;
        connect(box, &QCheckBox::toggled, this, [change](bool on) { change(on ? "true" : "false"); });
        m_setters.emplace_back([box](const FormParameter& now) {
            const QSignalBlocker blocker(box);
            box->setChecked(now.value == "true");
        });
        return box;
    }
    if (!info.choices.empty()) {
        auto* box = new QComboBox;
        for (const std::string& choice : info.choices)
            box->addItem(toText(choice));
        box->setEditable(info.type != ParameterInfo::Type::Choice);
        box->setInsertPolicy(QComboBox::NoInsert);
        connect(box, &QComboBox::activated, this, [box, change] { change(box->currentText().toStdString()); });
        if (box->isEditable())
            connect(box->lineEdit(), &QLineEdit::editingFinished, this, [box, change] {
                if (box->lineEdit()->isModified())
                    change(box->currentText().trimmed().toStdString());
            });
        m_setters.emplace_back([box](const FormParameter& now) {
            const QSignalBlocker blocker(box);
            if (box->isEditable())
                box->setEditText(toText(now.value));
            else
                box->setCurrentText(toText(now.value));
        });
        return box;
    }
    if (info.type == ParameterInfo::Type::Integer) {
        auto* box = new QSpinBox;
        constexpr double most = std::numeric_limits<int>::max();
        box->setRange(static_cast<int>(std::clamp(info.minimum, -most, most)),
            static_cast<int>(std::clamp(info.maximum, -most, most)));
        box->setKeyboardTracking(false);
        connect(box, &QSpinBox::valueChanged, this, [change](int value) { change(std::to_string(value)); });
        m_setters.emplace_back([box](const FormParameter& now) {
            const QSignalBlocker blocker(box);
            box->setValue(toText(now.value).toInt());
        });
        return box;
    }
    auto* line = new QLineEdit;
    connect(line, &QLineEdit::editingFinished, this, [line, change] {
        if (line->isModified())
            change(line->text().trimmed().toStdString());
    });
    m_setters.emplace_back([line](const FormParameter& now) { line->setText(toText(now.value)); });
    return line;
}

} // namespace kvloupe
