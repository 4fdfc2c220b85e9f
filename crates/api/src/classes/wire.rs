//! Permission classes as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{ClassId, ClassName, ClassTerms, Label, PermissionClass};
use strongroom_vault::classes::{CreateClass, ReplaceClass, Template};
use strongroom_vault::{Expected, Idempotency, Versioned};
use utoipa::ToSchema;

use crate::extract::FromBody;
use crate::problem::Problem;

/// A permission class that is to be made: from a template, or from a label and terms.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewClass {
    /// Its name within the tenant.
    #[schema(example = "night_clerk")]
    name: ClassName,
    /// What people call it; that of the template, where there is one and this is absent.
    #[serde(default)]
    label: Option<Label>,
    /// The template that it is made of.
    #[serde(default)]
    #[schema(example = "clerk")]
    template: Option<ClassName>,
    /// What it allows, where it is not made of a template.
    #[serde(default, deserialize_with = "terms")]
    #[schema(nullable = false)]
    terms: Option<ClassTerms>,
}

impl FromBody for NewClass {}

fn terms<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<ClassTerms>, D::Error> {
    crate::json::strict(from).map(Some)
}

impl NewClass {
    /// As the vault takes it.
    ///
    /// # Errors
    /// 422 if it has both a template and terms, or neither, or names no template.
    pub(crate) fn wanted(self, idempotency: Option<Idempotency>) -> Result<CreateClass, Problem> {
        let Self { name, label, template, terms } = self;
        let (label, terms) = match (template, terms) {
            (Some(template), None) => {
                let template = Template::named(template.as_str())
                    .ok_or_else(|| Problem::invalid_at("/template", "no template of this name"))?;
                let own = template.label.parse().map_err(|error| Problem::internal(&error))?;
                (label.unwrap_or(own), (template.terms)())
            }
            (None, Some(terms)) => {
                let label = label.ok_or_else(|| {
                    Problem::invalid_at("/label", "a class with terms of its own needs a label")
                })?;
                (label, terms)
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(Problem::invalid_at(
                    "",
                    "a class is made of either `template` or `terms`",
                ));
            }
        };
        Ok(CreateClass { name, label, terms, idempotency })
    }
}

/// What a permission class is to be called and to allow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassReplacement {
    /// What people call it.
    label: Label,
    /// What it allows.
    #[serde(deserialize_with = "crate::json::strict")]
    terms: ClassTerms,
}

impl FromBody for ClassReplacement {}

impl ClassReplacement {
    /// As the vault takes it.
    pub(crate) fn of(self, name: ClassName, expected: Expected) -> ReplaceClass {
        ReplaceClass { name, expected, label: self.label, terms: self.terms }
    }
}

/// A permission class.
#[derive(Serialize, ToSchema)]
pub(crate) struct Class {
    #[schema(value_type = String)]
    id: ClassId,
    /// Its name within the tenant.
    name: ClassName,
    /// What people call it.
    label: Label,
    /// Its version, as the ETag has it.
    version: u64,
    /// What it allows.
    terms: ClassTerms,
}

impl From<&Versioned<PermissionClass>> for Class {
    fn from(found: &Versioned<PermissionClass>) -> Self {
        let class = found.value.clone();
        Self {
            id: class.id,
            name: class.name,
            label: class.label,
            version: found.version,
            terms: class.terms,
        }
    }
}

/// A class as it begins.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClassTemplate {
    /// Its name.
    name: &'static str,
    /// What people call it.
    label: &'static str,
    /// What it is for.
    about: &'static str,
    /// What it allows.
    terms: ClassTerms,
}

impl From<&Template> for ClassTemplate {
    fn from(template: &Template) -> Self {
        let Template { name, label, about, terms } = template;
        Self { name, label, about, terms: terms() }
    }
}
