//! From version to version: fields are added, relabelled, retired, masked otherwise; a type never
//! changes and a number is never reused.

use strongroom_model::{BlueprintCollection, BlueprintContent, BlueprintField};

use crate::blueprints::content::Flaws;

/// Refuses content that cannot follow what was stored before. Pointers lead into the content as it
/// came; what is missing is named at the list that lacks it.
pub(crate) fn check(before: &BlueprintContent, content: &BlueprintContent, flaws: &mut Flaws) {
    for old in &before.collections {
        let found = content.collections.iter().enumerate().find(|(_, it)| it.name == old.name);
        match found {
            None => flaws.add(
                "/collections",
                format!("`{}` is missing: leave it and say `retired = true`", old.name),
            ),
            Some((place, new)) => {
                check_collection(old, new, &format!("/collections/{place}"), flaws);
            }
        }
    }
}

fn check_collection(
    old: &BlueprintCollection,
    new: &BlueprintCollection,
    at: &str,
    flaws: &mut Flaws,
) {
    if old.retired && !new.retired {
        flaws.add(format!("{at}/retired"), "what is retired stays retired");
    }
    if old.subject != new.subject {
        flaws.add(format!("{at}/subject"), "whom records are about never changes");
    }
    let highest = old.fields.iter().map(|field| field.number).max();
    for field in &old.fields {
        if !new.fields.iter().any(|it| it.number == field.number) {
            flaws.add(
                format!("{at}/fields"),
                format!(
                    "`{}` with the number {} is missing: leave it and say `retired = true`",
                    field.name, field.number.0
                ),
            );
        }
    }
    for (place, field) in new.fields.iter().enumerate() {
        let at = format!("{at}/fields/{place}");
        if let Some(known) = old.fields.iter().find(|it| it.number == field.number) {
            check_field(known, field, &at, flaws);
            continue;
        }
        if let Some(known) = old.fields.iter().find(|it| it.name == field.name) {
            let detail = format!("`{}` has the number {}", field.name, known.number.0);
            flaws.add(format!("{at}/number"), detail);
        } else if let Some(highest) = highest.filter(|highest| field.number < *highest) {
            let detail = format!("a new field's number is above {}", highest.0);
            flaws.add(format!("{at}/number"), detail);
        }
        if field.required {
            let detail = "a field that is added later cannot be required";
            flaws.add(format!("{at}/required"), detail);
        }
    }
}

fn check_field(old: &BlueprintField, new: &BlueprintField, at: &str, flaws: &mut Flaws) {
    if old.name != new.name {
        let detail = format!("{} is the number of `{}` for good", old.number.0, old.name);
        return flaws.add(format!("{at}/number"), detail);
    }
    if old.kind != new.kind {
        flaws.add(format!("{at}/type"), "a type never changes; add another field");
    }
    if old.category != new.category {
        flaws.add(format!("{at}/category"), "a field's category does not change");
    }
    if old.required != new.required {
        flaws.add(format!("{at}/required"), "whether a field is required does not change");
    }
    if old.scope != new.scope {
        let detail = "whether row scopes may filter by a field does not change";
        flaws.add(format!("{at}/scope"), detail);
    }
    if old.retired && !new.retired {
        flaws.add(format!("{at}/retired"), "what is retired stays retired");
    }
}
