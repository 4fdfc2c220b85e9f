//! Three ways at once: what the blueprint gave last, what the tenant has, what the blueprint gives now.
//! What the tenant has edited stays as it is, and is named.

use strongroom_model::{
    BlueprintClass, BlueprintCollection, BlueprintField, ClassTerms, Collection, CollectionName,
    Field, FieldNumber, PermissionClass,
};

use crate::VaultError;
use crate::collections::{FIELDS_MAX, references};

/// What becomes of something of a tenant's.
pub(crate) struct Merged<T> {
    /// What it is from now on.
    pub(crate) value: T,
    /// Whether that is something else than before.
    pub(crate) changed: bool,
    /// What stays as the tenant has edited it.
    pub(crate) kept: Vec<String>,
}

/// What to do with one property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The blueprint wants nothing, or it is so already.
    Leave,
    /// The blueprint's.
    Take,
    /// The tenant's.
    Keep,
}

fn way<T: PartialEq>(base: &T, present: &T, next: &T) -> Way {
    if present == next || base == next {
        Way::Leave
    } else if present == base {
        Way::Take
    } else {
        Way::Keep
    }
}

impl<T> Merged<T> {
    fn of(value: T) -> Self {
        Self { value, changed: false, kept: Vec::new() }
    }

    /// Takes over one property of the value, or names it as kept.
    fn property<P: PartialEq + Clone>(
        &mut self,
        place: impl FnOnce() -> String,
        part: impl Fn(&mut T) -> Option<&mut P>,
        base: &P,
        next: &P,
    ) {
        let Some(present) = part(&mut self.value) else { return };
        match way(base, present, next) {
            Way::Leave => {}
            Way::Take => {
                present.clone_from(next);
                self.changed = true;
            }
            Way::Keep => self.kept.push(place()),
        }
    }
}

/// What becomes of a collection that the blueprint gave. `has` says which collections the tenant has,
/// or is about to get.
///
/// # Errors
/// `too_many_fields`.
pub(crate) fn collection(
    present: &Collection,
    base: &BlueprintCollection,
    next: &BlueprintCollection,
    has: impl Fn(&CollectionName) -> bool,
) -> Result<Merged<Collection>, VaultError> {
    let at = format!("/collections/{}", next.name);
    let mut merged = Merged::of(present.clone());
    merged.property(
        || format!("{at}/label"),
        |collection| Some(&mut collection.label),
        &base.label,
        &next.label,
    );
    merged.property(
        || format!("{at}/purposes"),
        |collection| Some(&mut collection.purposes),
        &base.purposes,
        &next.purposes,
    );
    merged.property(
        || format!("{at}/forgets_old_versions"),
        |collection| Some(&mut collection.forgets_old_versions),
        &base.forgets_old_versions,
        &next.forgets_old_versions,
    );
    for field in &next.fields {
        let at = format!("{at}/fields/{}", field.name);
        let old = base.fields.iter().find(|old| old.number == field.number);
        let known = present.fields.iter().find(|known| known.name == field.name);
        match (known, old) {
            (Some(known), Some(old)) if known.kind == field.kind => {
                merge_field(&mut merged, &at, old, field)?;
            }
            // A field that the tenant has made itself, before the blueprint had one of this name.
            (Some(known), old) => {
                let wanted = old.is_none_or(|old| old != field);
                if wanted && !same_field(known, field) {
                    merged.kept.push(at);
                }
            }
            (None, _) if field.retired => {}
            (None, _) if references(&field.kind).is_some_and(|target| !has(target)) => {
                merged.kept.push(at);
            }
            (None, _) => add(&mut merged, field)?,
        }
    }
    Ok(merged)
}

fn merge_field(
    merged: &mut Merged<Collection>,
    at: &str,
    old: &BlueprintField,
    field: &BlueprintField,
) -> Result<(), VaultError> {
    let place = merged.value.fields.iter().position(|known| known.name == field.name);
    let Some(place) = place else { return Ok(()) };
    // What is stored has every label and mask filled in.
    let (base, next) = (field_of(old, old.number)?, field_of(field, field.number)?);
    merged.property(
        || format!("{at}/label"),
        |collection| collection.fields.get_mut(place).map(|known| &mut known.label),
        &base.label,
        &next.label,
    );
    merged.property(
        || format!("{at}/mask"),
        |collection| collection.fields.get_mut(place).map(|known| &mut known.mask),
        &base.mask,
        &next.mask,
    );
    let retires = field.retired && !old.retired;
    if let Some(known) = merged.value.fields.get_mut(place).filter(|known| !known.retired)
        && retires
    {
        known.retired = true;
        merged.changed = true;
    }
    Ok(())
}

/// Adds a field under its own number, or the next one if the tenant has fields of its own.
fn add(merged: &mut Merged<Collection>, field: &BlueprintField) -> Result<(), VaultError> {
    let fields = &mut merged.value.fields;
    if fields.len() >= FIELDS_MAX {
        // It is told among the items of the job, and is no answer of its own.
        return Err(VaultError::WrongState {
            code: "too_many_fields",
            detail: "a collection has at most 500 fields, retired ones included".to_owned(),
        });
    }
    let next = fields.last().map_or(1, |last| last.number.0.saturating_add(1));
    fields.push(field_of(field, FieldNumber(field.number.0.max(next)))?);
    merged.changed = true;
    Ok(())
}

/// A field as a tenant gets it.
pub(crate) fn field_of(field: &BlueprintField, number: FieldNumber) -> Result<Field, VaultError> {
    Ok(Field {
        number,
        name: field.name.clone(),
        label: field.label.clone().map_or_else(|| field.name.as_str().parse(), Ok)?,
        kind: field.kind.clone(),
        category: field.category.clone(),
        mask: field.mask.unwrap_or_else(|| field.kind.default_mask()),
        required: field.required,
        scope: field.scope,
        retired: field.retired,
    })
}

fn same_field(known: &Field, field: &BlueprintField) -> bool {
    field_of(field, known.number).is_ok_and(|field| field == *known)
}

/// Whether a collection that the tenant has made itself is the blueprint's in all but the number.
pub(crate) fn same_collection(present: &Collection, next: &BlueprintCollection) -> bool {
    present.label == next.label
        && present.purposes == next.purposes
        && present.subject == next.subject
        && present.forgets_old_versions == next.forgets_old_versions
        && next.fields.iter().filter(|field| !field.retired).all(|field| {
            present.fields.iter().any(|known| known.name == field.name && same_field(known, field))
        })
}

/// What becomes of a class that the blueprint gave.
pub(crate) fn class(
    present: &PermissionClass,
    base: &BlueprintClass,
    next: &BlueprintClass,
) -> Merged<PermissionClass> {
    let at = format!("/classes/{}", next.name);
    let mut merged = Merged::of(present.clone());
    if let (Some(base), Some(next)) = (&base.label, &next.label) {
        merged.property(|| format!("{at}/label"), |class| Some(&mut class.label), base, next);
    }
    merged.property(
        || format!("{at}/terms"),
        |class| Some(&mut class.terms),
        &terms_of(base),
        &terms_of(next),
    );
    merged
}

/// What a class of a stored version allows.
pub(crate) fn terms_of(class: &BlueprintClass) -> ClassTerms {
    class.terms.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use strongroom_model::{CollectionId, CollectionNumber, FieldType, Mask, SubjectRule};

    use super::*;

    fn field(number: u32, name: &str) -> BlueprintField {
        BlueprintField {
            number: FieldNumber(number),
            name: name.parse().unwrap(),
            label: Some(name.parse().unwrap()),
            kind: FieldType::Phone,
            category: None,
            mask: Some(Mask::LastFour),
            required: false,
            scope: false,
            retired: false,
        }
    }

    fn blueprint(fields: &[BlueprintField]) -> BlueprintCollection {
        BlueprintCollection {
            name: "people".parse().unwrap(),
            label: "People".parse().unwrap(),
            purposes: vec!["care".parse().unwrap()],
            subject: SubjectRule::Own,
            fields: fields.to_vec(),
            retired: false,
            forgets_old_versions: false,
        }
    }

    fn tenant(of: &BlueprintCollection) -> Collection {
        Collection {
            id: CollectionId::from_bytes([1; 16]),
            number: CollectionNumber(1),
            name: of.name.clone(),
            label: of.label.clone(),
            purposes: of.purposes.clone(),
            fields: of.fields.iter().map(|it| field_of(it, it.number).unwrap()).collect(),
            slot: 1,
            subject: of.subject.clone(),
            filler: None,
            erased: false,
            forgets_old_versions: of.forgets_old_versions,
        }
    }

    fn merge(
        present: &Collection,
        base: &BlueprintCollection,
        next: &BlueprintCollection,
    ) -> Merged<Collection> {
        collection(present, base, next, |_| true).unwrap()
    }

    #[test]
    fn one_property_goes_the_way_that_its_three_values_say() {
        for (base, present, next, expected) in [
            (1, 1, 1, Way::Leave),
            (1, 1, 2, Way::Take),
            (1, 2, 2, Way::Leave),
            (1, 3, 1, Way::Leave),
            (1, 3, 2, Way::Keep),
        ] {
            assert_eq!(way(&base, &present, &next), expected, "{base} {present} {next}");
        }
    }

    #[test]
    fn an_unedited_field_is_masked_otherwise_and_an_edited_one_is_kept_and_named() {
        let base = blueprint(&[field(1, "phone"), field(2, "mobile")]);
        let mut next = base.clone();
        for field in &mut next.fields {
            field.mask = Some(Mask::Hidden);
        }
        let mut present = tenant(&base);
        present.fields[1].label = "Cell".parse().unwrap();
        let merged = merge(&present, &base, &next);
        assert!(merged.changed && merged.kept.is_empty());
        assert_eq!(merged.value.fields[1].label.as_str(), "Cell");
        assert!(merged.value.fields.iter().all(|field| field.mask == Mask::Hidden));

        for field in &mut next.fields {
            field.label = Some("Line".parse().unwrap());
        }
        let merged = merge(&present, &base, &next);
        assert_eq!(merged.kept, ["/collections/people/fields/mobile/label"]);
        assert_eq!(merged.value.fields[0].label.as_str(), "Line");
        assert_eq!(merged.value.fields[1].label.as_str(), "Cell");
    }

    #[test]
    fn a_new_field_takes_its_number_or_the_next_one_that_the_tenant_never_used() {
        let base = blueprint(&[field(1, "phone")]);
        let next = blueprint(&[field(1, "phone"), field(2, "mobile")]);
        let merged = merge(&tenant(&base), &base, &next);
        assert_eq!(merged.value.fields[1].number, FieldNumber(2));

        let mut present = tenant(&base);
        present.fields.push(field_of(&field(2, "own"), FieldNumber(2)).unwrap());
        let merged = merge(&present, &base, &next);
        assert_eq!(merged.value.fields[2].number, FieldNumber(3));
        assert_eq!(merged.value.fields[2].name.as_str(), "mobile");
    }

    #[test]
    fn a_field_of_the_tenants_own_is_never_touched() {
        let base = blueprint(&[field(1, "phone")]);
        let mut present = tenant(&base);
        let mut own = field(2, "mobile");
        own.kind = FieldType::Text;
        present.fields.push(field_of(&own, FieldNumber(2)).unwrap());
        let mut second = blueprint(&[field(1, "phone"), field(2, "mobile")]);
        let merged = merge(&present, &base, &second);
        assert_eq!(merged.kept, ["/collections/people/fields/mobile"]);
        assert!(!merged.changed);
        // Nor later, when the blueprint retires its field of this name.
        let before = second.clone();
        second.fields[1].retired = true;
        let merged = merge(&present, &before, &second);
        assert_eq!(merged.kept, ["/collections/people/fields/mobile"]);
        assert!(!merged.value.fields[1].retired);
    }

    #[test]
    fn a_retired_field_is_retired_once_and_what_the_tenant_retired_stays_so() {
        let base = blueprint(&[field(1, "phone"), field(2, "mobile")]);
        let mut next = base.clone();
        next.fields[0].retired = true;
        let mut present = tenant(&base);
        present.fields[1].retired = true;
        let merged = merge(&present, &base, &next);
        assert!(merged.changed && merged.kept.is_empty());
        assert!(merged.value.fields.iter().all(|field| field.retired));
        let again = merge(&merged.value, &base, &next);
        assert!(!again.changed);
    }

    #[test]
    fn a_reference_to_what_the_tenant_has_erased_is_not_added() {
        let base = blueprint(&[field(1, "phone")]);
        let mut leads = field(2, "doctor");
        leads.kind = FieldType::Reference("doctors".parse().unwrap());
        leads.mask = None;
        let next = blueprint(&[field(1, "phone"), leads]);
        let merged = collection(&tenant(&base), &base, &next, |_| false).unwrap();
        assert_eq!(merged.kept, ["/collections/people/fields/doctor"]);
        assert!(!merged.changed);
    }
}
