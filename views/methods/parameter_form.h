// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"

#include <QString>
#include <QWidget>

#include <functional>
#include <string>
#include <vector>

class QComboBox;
class QFormLayout;
class QLabel;

namespace kvloupe {

class MethodModel;

/// A parameter as the form shows it.
struct FormParameter {
    ParameterInfo info; ///< name dotted for those of a wrapped scorer
    std::string value; ///< effective
    bool isChanged = false; ///< written in the SPEC

    QString toolTip() const; ///< what it does, what it takes, its default
};

/// Parameters of a method and, for a wrapper, those of its scorer; empty for methods that take a path.
std::vector<FormParameter> formParameters(const Method& method);
/// SPEC of `method` with one parameter set; what equals the default of a SPEC without a preset is left out.
std::string withParameter(const Method& method, const std::string& name, const std::string& value);
/// SPEC of the method as a preset has it; an empty name = its defaults.
std::string withPreset(const Method& method, const std::string& preset);

/// The parameters of the method in front, edited in place, and its presets. Every change takes effect at once; one that
/// does not go together is said below the field and undone.
class ParameterForm final : public QWidget {
    Q_OBJECT

public:
    /// `methods` outlives the form.
    explicit ParameterForm(MethodModel* methods, QWidget* parent = nullptr);

    /// The field of a parameter, named "parameter.NAME"; null if the method in front has none of that name.
    QWidget* field(const std::string& name) const;

private:
    void rebuild();
    void showValues();
    void apply(const std::string& spec);
    QWidget* makeField(const FormParameter& parameter);

    MethodModel* m_methods;
    QComboBox* m_presets;
    QWidget* m_fields;
    QFormLayout* m_form;
    QLabel* m_problem;
    std::string m_shape; ///< name of the method and its scorer that the fields are for
    std::vector<std::function<void(const FormParameter&)>> m_setters; ///< by field
};

} // namespace kvloupe
