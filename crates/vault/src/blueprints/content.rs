//! What a version may hold: every default filled in, every name known, every bound kept.

use std::collections::BTreeSet;

use strongroom_model::{
    BlueprintBackend, BlueprintClass, BlueprintCollection, BlueprintContent, BlueprintField,
    BlueprintPurpose, ClassName, ClassTerms, CollectionName, FieldName, FieldNumber, FieldType,
    Label, Purpose, Rule, SUBJECTS_PER_HOUR_DEFAULT, SUBJECTS_PER_HOUR_MAX, SubjectRule,
};

use crate::classes::{Template, check_terms};
use crate::collections::{FIELDS_MAX, references};
use crate::files::{TOO_MANY_FILES, too_many_files};
use crate::{Flaw, VaultError};

/// A blueprint has at most so many collections.
const COLLECTIONS_MAX: usize = 200;
/// A blueprint has at most so many classes.
const CLASSES_MAX: usize = 100;
/// A blueprint declares at most so many purposes.
const PURPOSES_MAX: usize = 200;
/// A blueprint has at most so many backends.
const BACKENDS_MAX: usize = 20;
/// The highest number that a field of a blueprint can have.
const NUMBER_MAX: u32 = 1_000_000;
/// At most so many flaws are looked for.
const FLAWS_MAX: usize = 100;
/// The name of the class that every tenant has of the server.
const OWNER: &str = "owner";

/// Flaws as they are found.
#[derive(Default)]
pub(crate) struct Flaws(Vec<Flaw>);

impl Flaws {
    pub(crate) fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.0.len() < FLAWS_MAX {
            self.0.push(Flaw { pointer: pointer.into(), detail: detail.into() });
        }
    }

    /// Nothing, if there are none.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] with all of them.
    pub(crate) fn check(self) -> Result<(), VaultError> {
        if self.0.is_empty() { Ok(()) } else { Err(VaultError::Invalid(self.0)) }
    }
}

/// The same content with every default filled in and every template replaced by its terms.
///
/// # Errors
/// [`VaultError::Invalid`] for a class that cannot be made.
pub(crate) fn filled(content: &BlueprintContent) -> Result<BlueprintContent, VaultError> {
    let mut flaws = Flaws::default();
    let mut filled = content.clone();
    for purpose in &mut filled.purposes {
        purpose.label = Some(label_or(purpose.label.take(), purpose.name.as_str())?);
    }
    for collection in &mut filled.collections {
        for field in &mut collection.fields {
            field.label = Some(label_or(field.label.take(), field.name.as_str())?);
            field.mask = Some(field.mask.unwrap_or_else(|| field.kind.default_mask()));
        }
    }
    for (place, class) in filled.classes.iter_mut().enumerate() {
        fill_class(class, &format!("/classes/{place}"), &mut flaws)?;
    }
    for backend in &mut filled.backends {
        let subjects = backend.subjects_per_hour.unwrap_or(SUBJECTS_PER_HOUR_DEFAULT);
        backend.subjects_per_hour = Some(subjects);
    }
    flaws.check().map(|()| filled)
}

fn label_or(label: Option<Label>, name: &str) -> Result<Label, VaultError> {
    Ok(label.map_or_else(|| name.parse(), Ok)?)
}

fn fill_class(class: &mut BlueprintClass, at: &str, flaws: &mut Flaws) -> Result<(), VaultError> {
    match (class.template.take(), class.terms.is_some()) {
        (Some(template), false) => match Template::named(template.as_str()) {
            Some(template) if template.name != OWNER => {
                class.label = Some(label_or(class.label.take(), template.label)?);
                class.terms = Some((template.terms)());
            }
            Some(_) | None => {
                flaws.add(format!("{at}/template"), "no template of this name that can be given");
            }
        },
        (None, true) => {
            class.label = Some(label_or(class.label.take(), class.name.as_str())?);
        }
        (Some(_), true) | (None, false) => {
            flaws.add(at, "a class is made of either `template` or `terms`");
        }
    }
    Ok(())
}

/// The same content in the order in which it is kept, whatever file and place each part came from.
pub(crate) fn ordered(mut content: BlueprintContent) -> BlueprintContent {
    content.purposes.sort_by(|one, other| one.name.cmp(&other.name));
    content.collections.sort_by(|one, other| one.name.cmp(&other.name));
    for collection in &mut content.collections {
        collection.fields.sort_by_key(|field| field.number);
    }
    content.classes.sort_by(|one, other| one.name.cmp(&other.name));
    content.backends.sort_by_key(|backend| backend.backend);
    content
}

/// Refuses content that could not be given to a tenant. Pointers lead into the content as it came.
pub(crate) fn check(content: &BlueprintContent, flaws: &mut Flaws) {
    let bounds = [
        ("/purposes", content.purposes.len(), PURPOSES_MAX, "200 purposes"),
        ("/collections", content.collections.len(), COLLECTIONS_MAX, "200 collections"),
        ("/classes", content.classes.len(), CLASSES_MAX, "100 classes"),
        ("/backends", content.backends.len(), BACKENDS_MAX, "20 backends"),
    ];
    let mut whole = true;
    for (pointer, count, most, words) in bounds {
        if count > most {
            flaws.add(pointer, format!("a blueprint has at most {words}"));
            whole = false;
        }
    }
    if !whole {
        return;
    }
    let known = Known::of(content);
    twice(&content.purposes, |purpose| &purpose.name, "/purposes", flaws);
    twice(&content.collections, |collection| &collection.name, "/collections", flaws);
    twice(&content.classes, |class| &class.name, "/classes", flaws);
    twice(&content.backends, |backend| &backend.backend, "/backends", flaws);
    for (place, collection) in content.collections.iter().enumerate() {
        check_collection(collection, &format!("/collections/{place}"), &known, flaws);
    }
    for (place, class) in content.classes.iter().enumerate() {
        check_class(class, &format!("/classes/{place}"), &known, flaws);
    }
    for (place, backend) in content.backends.iter().enumerate() {
        check_backend(backend, &format!("/backends/{place}"), &known, flaws);
    }
}

fn twice<T, K: Ord>(items: &[T], key: impl Fn(&T) -> &K, at: &str, flaws: &mut Flaws) {
    let mut seen = BTreeSet::new();
    for (place, item) in items.iter().enumerate() {
        if !seen.insert(key(item)) {
            flaws.add(format!("{at}/{place}"), "stands twice");
        }
    }
}

/// What parts of a blueprint may name.
struct Known<'c> {
    purposes: BTreeSet<&'c Purpose>,
    /// Collections that are given.
    collections: Vec<&'c BlueprintCollection>,
    classes: BTreeSet<&'c ClassName>,
}

impl<'c> Known<'c> {
    fn of(content: &'c BlueprintContent) -> Self {
        let name = |purpose: &'c BlueprintPurpose| &purpose.name;
        Self {
            purposes: content.purposes.iter().map(name).collect(),
            collections: content.collections.iter().filter(|it| !it.retired).collect(),
            classes: content.classes.iter().map(|class| &class.name).collect(),
        }
    }

    fn collection(&self, name: &CollectionName) -> Option<&'c BlueprintCollection> {
        self.collections.iter().copied().find(|collection| collection.name == *name)
    }

    fn check_purposes(&self, purposes: &[Purpose], at: &str, flaws: &mut Flaws) {
        for (place, purpose) in purposes.iter().enumerate() {
            if !self.purposes.contains(purpose) {
                flaws.add(
                    format!("{at}/{place}"),
                    format!("`{purpose}` is not among the blueprint's purposes"),
                );
            }
        }
    }
}

fn check_collection(
    collection: &BlueprintCollection,
    at: &str,
    known: &Known<'_>,
    flaws: &mut Flaws,
) {
    known.check_purposes(&collection.purposes, &format!("{at}/purposes"), flaws);
    if collection.fields.len() > FIELDS_MAX {
        let detail = "a collection has at most 500 fields, retired ones included";
        return flaws.add(format!("{at}/fields"), detail);
    }
    if too_many_files(collection.fields.iter().map(|field| &field.kind)) {
        flaws.add(format!("{at}/fields"), TOO_MANY_FILES);
    }
    let mut numbers: BTreeSet<FieldNumber> = BTreeSet::new();
    let mut names: BTreeSet<&FieldName> = BTreeSet::new();
    for (place, field) in collection.fields.iter().enumerate() {
        let at = format!("{at}/fields/{place}");
        if field.number.0 == 0 || field.number.0 > NUMBER_MAX {
            flaws.add(format!("{at}/number"), "a number is 1 to 1000000");
        }
        if !numbers.insert(field.number) {
            flaws.add(format!("{at}/number"), "another field has this number");
        }
        if !names.insert(&field.name) {
            flaws.add(format!("{at}/name"), "another field has this name");
        }
        let given = !collection.retired && !field.retired;
        check_field(field, &at, given, known, flaws);
    }
    if let SubjectRule::Through(name) = &collection.subject {
        let leads = collection.fields.iter().any(|field| {
            field.name == *name && !field.retired && matches!(field.kind, FieldType::Reference(_))
        });
        if !leads {
            flaws.add(format!("{at}/subject"), "not a field of type `reference` that is given");
        }
    }
}

fn check_field(
    field: &BlueprintField,
    at: &str,
    given: bool,
    known: &Known<'_>,
    flaws: &mut Flaws,
) {
    if let Err(malformed) = field.kind.check() {
        flaws.add(format!("{at}/type"), malformed.0);
    }
    if field.mask.is_some_and(|mask| !field.kind.takes(mask)) {
        let detail = "this mask cannot be applied to values of this type";
        flaws.add(format!("{at}/mask"), detail);
    }
    if field.required && !field.kind.can_be_required() {
        flaws.add(format!("{at}/required"), "a field of this type cannot be required");
    }
    if field.scope && !field.kind.can_scope() {
        let detail = "only text, boolean and choice can be used for row scopes";
        flaws.add(format!("{at}/scope"), detail);
    }
    if let Some(target) = references(&field.kind).filter(|_| given)
        && known.collection(target).is_none()
    {
        flaws.add(format!("{at}/type"), format!("the blueprint gives no collection `{target}`"));
    }
}

fn check_class(class: &BlueprintClass, at: &str, known: &Known<'_>, flaws: &mut Flaws) {
    if class.name.as_str() == OWNER {
        flaws.add(format!("{at}/name"), "the owner class is the server's own");
    }
    let Some(terms) = &class.terms else { return };
    if terms.owner {
        flaws.add(format!("{at}/terms/owner"), "the owner class is the server's own");
    }
    if let Err(VaultError::Invalid(found)) = check_terms(terms) {
        for flaw in found {
            flaws.add(format!("{at}{}", flaw.pointer), flaw.detail);
        }
    }
    check_names(terms, &format!("{at}/terms"), known, flaws);
}

fn check_names(terms: &ClassTerms, at: &str, known: &Known<'_>, flaws: &mut Flaws) {
    for (place, rule) in terms.rules.iter().enumerate() {
        check_rule(rule, &format!("{at}/rules/{place}"), known, flaws);
    }
    for (place, name) in terms.administers.iter().enumerate() {
        if !known.classes.contains(name) {
            flaws.add(
                format!("{at}/administers/{place}"),
                format!("the blueprint has no class `{name}`"),
            );
        }
    }
    known.check_purposes(&terms.conditions.purposes, &format!("{at}/conditions/purposes"), flaws);
}

fn check_rule(rule: &Rule, at: &str, known: &Known<'_>, flaws: &mut Flaws) {
    known.check_purposes(&rule.purposes, &format!("{at}/purposes"), flaws);
    let Some(name) = &rule.collection else { return };
    let Some(collection) = known.collection(name) else {
        let detail = format!("the blueprint gives no collection `{name}`");
        return flaws.add(format!("{at}/collection"), detail);
    };
    for (place, field) in rule.fields.iter().enumerate() {
        if !collection.fields.iter().any(|known| known.name == field.field) {
            flaws.add(
                format!("{at}/fields/{place}/field"),
                format!("`{name}` has no field `{}`", field.field),
            );
        }
    }
}

fn check_backend(backend: &BlueprintBackend, at: &str, known: &Known<'_>, flaws: &mut Flaws) {
    known.check_purposes(&backend.purposes, &format!("{at}/purposes"), flaws);
    if backend.classes.is_empty() {
        flaws.add(format!("{at}/classes"), "at least one class bounds a backend");
    }
    for (place, class) in backend.classes.iter().enumerate() {
        if !known.classes.contains(class) {
            flaws.add(
                format!("{at}/classes/{place}"),
                format!("the blueprint has no class `{class}`"),
            );
        }
    }
    let bounded = backend
        .subjects_per_hour
        .is_none_or(|subjects| (1..=SUBJECTS_PER_HOUR_MAX).contains(&subjects));
    if !bounded {
        let detail = "a backend reads about 1 to 1000000 persons in an hour";
        flaws.add(format!("{at}/subjects_per_hour"), detail);
    }
}
