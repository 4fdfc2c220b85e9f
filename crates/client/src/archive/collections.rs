//! The collections of an archive, made anew where they are missing.

use std::collections::BTreeSet;

use strongroom_model::{CollectionName, SubjectRule};

use crate::archive::Manifest;
use crate::export::target;
use crate::{
    ClientError, Collection, CollectionChange, Field, IfMatch, NewCollection, NewField,
    ProblemCode, Scoped,
};

/// The collections that the fields of one refer to, retired fields left out.
pub(super) fn targets(collection: &Collection) -> impl Iterator<Item = CollectionName> {
    let living = collection.fields.iter().filter(|field| !field.retired);
    living.filter_map(|field| target(&field.kind))
}

/// Makes those of these collections that are not there, and gives the names of those that were made.
/// What refers to a collection that comes later gets its field when that one has been made.
///
/// # Errors
/// [`ClientError`].
pub(super) async fn create(
    scoped: Scoped<'_>,
    manifest: &Manifest,
    wanted: impl Fn(&CollectionName) -> bool,
) -> Result<Vec<CollectionName>, ClientError> {
    let mut made = Vec::new();
    let mut known = BTreeSet::new();
    let mut later: Vec<(CollectionName, NewField)> = Vec::new();
    for collection in manifest.collections.iter().filter(|collection| wanted(&collection.name)) {
        known.insert(collection.name.clone());
        if is_there(scoped, &collection.name).await? {
            continue;
        }
        let mut fields = Vec::new();
        for field in collection.fields.iter().filter(|field| !field.retired) {
            let target = target(&field.kind);
            let is_known = target.is_none_or(|target| known.contains(&target));
            // Whoever records are about is found through a field that has to be there at once.
            let is_needed = collection.subject == SubjectRule::Through(field.name.clone());
            if is_known || is_needed {
                fields.push(declared(field)?);
            } else {
                later.push((collection.name.clone(), declared(field)?));
            }
        }
        let new = NewCollection {
            name: collection.name.clone(),
            label: collection.label.parse().map_err(malformed)?,
            purposes: parsed(&collection.purposes)?,
            subject: collection.subject.clone(),
            forgets_old_versions: collection.forgets_old_versions,
            fields,
        };
        scoped.create_collection(&new).await?;
        made.push(collection.name.clone());
    }
    for (name, field) in later {
        let change = CollectionChange { add_fields: vec![field], ..CollectionChange::default() };
        scoped.change_collection(&name, &change, IfMatch::Any).await?;
    }
    Ok(made)
}

async fn is_there(scoped: Scoped<'_>, name: &CollectionName) -> Result<bool, ClientError> {
    match scoped.collection(name).await {
        Ok(_) => Ok(true),
        Err(error) => match error.problem().map(|problem| &problem.code) {
            Some(ProblemCode::NotFound) => Ok(false),
            Some(_) | None => Err(error),
        },
    }
}

fn declared(field: &Field) -> Result<NewField, ClientError> {
    Ok(NewField {
        name: field.name.clone(),
        label: Some(field.label.parse().map_err(malformed)?),
        kind: field.kind.clone(),
        category: field
            .category
            .as_ref()
            .map(|term| term.parse())
            .transpose()
            .map_err(malformed)?,
        mask: Some(field.mask),
        required: field.required,
        scope: field.scope,
    })
}

fn parsed<T>(texts: &[String]) -> Result<Vec<T>, ClientError>
where
    T: std::str::FromStr<Err = strongroom_model::Malformed>,
{
    texts.iter().map(|text| text.parse().map_err(malformed)).collect()
}

fn malformed(_: strongroom_model::Malformed) -> ClientError {
    ClientError::Unintelligible { status: 200, reason: "the manifest has what no server writes" }
}
