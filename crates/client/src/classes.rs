//! Permission classes: what their holders see and may do.

use serde::{Deserialize, Serialize};
use strongroom_model::{ClassId, ClassName, ClassTerms, Label};

use crate::call::Call;
use crate::{Answer, ClientError, IfMatch, Listed, Page, Scoped};

/// A named set of rules.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Class {
    /// Its id.
    pub id: ClassId,
    /// Its name.
    pub name: ClassName,
    /// What people call it.
    pub label: String,
    /// Its version.
    #[serde(default)]
    pub version: Option<u64>,
    /// What it allows.
    pub terms: ClassTerms,
}

/// A class that tenants may begin with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClassTemplate {
    /// Its name.
    pub name: ClassName,
    /// What people call it.
    pub label: String,
    /// What it allows.
    pub terms: ClassTerms,
}

/// A class to be made: from a template or from terms of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewClass {
    /// Its name.
    pub name: ClassName,
    /// What people are to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// The template it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<ClassName>,
    /// What it allows, if it is made from no template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<ClassTerms>,
}

/// What a class is to be from now on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassChange {
    /// What people are to call it.
    pub label: Label,
    /// What it allows.
    pub terms: ClassTerms,
}

impl Scoped<'_> {
    /// Makes a class.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_class(&self, class: &NewClass) -> Result<Answer<Class>, ClientError> {
        Call::post(self.client, self.path("classes"))?.json(class)?.read().await
    }

    /// The classes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn classes(&self, page: &Page) -> Result<Answer<Listed<Class>>, ClientError> {
        Call::get(self.client, self.path("classes")).query(page.query()).read().await
    }

    /// The classes that one may begin with.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn class_templates(&self) -> Result<Answer<Listed<ClassTemplate>>, ClientError> {
        Call::get(self.client, self.path("class-templates")).read().await
    }

    /// One class.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn class(&self, name: &ClassName) -> Result<Answer<Class>, ClientError> {
        Call::get(self.client, self.path(&format!("classes/{name}"))).read().await
    }

    /// Gives a class other terms.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn replace_class(
        &self,
        name: &ClassName,
        change: &ClassChange,
        version: IfMatch,
    ) -> Result<Answer<Class>, ClientError> {
        let path = self.path(&format!("classes/{name}"));
        Call::put(self.client, path).if_match(version).json(change)?.read().await
    }

    /// Deletes a class that nobody holds.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_class(
        &self,
        name: &ClassName,
        version: IfMatch,
    ) -> Result<Answer<()>, ClientError> {
        let path = self.path(&format!("classes/{name}"));
        Call::delete(self.client, path).if_match(version).done().await
    }
}
