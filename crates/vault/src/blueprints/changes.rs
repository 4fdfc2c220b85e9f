//! What one version has that another has not, part by part.

use strongroom_model::{BlueprintCollection, BlueprintContent};

/// A difference between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where: the names of the parts, with slashes before them.
    pub place: String,
    /// What.
    pub what: What,
}

/// What is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// It is given no longer.
    Removed,
    /// It is called something else.
    Relabelled,
    /// It is no longer written or shown; a collection is given no longer.
    Retired,
    /// Its mask leaves something else.
    Masked,
    /// It is for other purposes.
    Purposes,
    /// Its records' old versions are erased with each change, or no longer.
    OldVersions,
    /// It allows something else.
    Terms,
}

impl What {
    /// Its word in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Relabelled => "relabelled",
            Self::Retired => "retired",
            Self::Masked => "masked",
            Self::Purposes => "purposes",
            Self::OldVersions => "old_versions",
            Self::Terms => "terms",
        }
    }
}

/// The differences, in the order of the parts.
pub(crate) fn between(before: &BlueprintContent, after: &BlueprintContent) -> Vec<Change> {
    let mut changes = Changes::default();
    changes.lists(
        "/purposes",
        &before.purposes,
        &after.purposes,
        |it| it.name.as_str().to_owned(),
        |changes, at, old, new| changes.when(old.label != new.label, at, What::Relabelled),
    );
    changes.lists(
        "/collections",
        &before.collections,
        &after.collections,
        |it| it.name.as_str().to_owned(),
        Changes::collection,
    );
    changes.lists(
        "/classes",
        &before.classes,
        &after.classes,
        |it| it.name.as_str().to_owned(),
        |changes, at, old, new| {
            changes.when(old.label != new.label, at, What::Relabelled);
            changes.when(old.terms != new.terms, at, What::Terms);
        },
    );
    changes.lists(
        "/backends",
        &before.backends,
        &after.backends,
        |it| it.backend.to_string(),
        |changes, at, old, new| changes.when(old != new, at, What::Terms),
    );
    changes.0
}

#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn when(&mut self, different: bool, place: &str, what: What) {
        if different {
            self.0.push(Change { place: place.to_owned(), what });
        }
    }

    fn collection(&mut self, at: &str, old: &BlueprintCollection, new: &BlueprintCollection) {
        self.when(old.label != new.label, at, What::Relabelled);
        self.when(old.purposes != new.purposes, at, What::Purposes);
        let forgets = old.forgets_old_versions != new.forgets_old_versions;
        self.when(forgets, at, What::OldVersions);
        self.when(!old.retired && new.retired, at, What::Retired);
        self.lists(
            &format!("{at}/fields"),
            &old.fields,
            &new.fields,
            |it| it.name.as_str().to_owned(),
            |changes, at, old, new| {
                changes.when(old.label != new.label, at, What::Relabelled);
                changes.when(old.mask != new.mask, at, What::Masked);
                changes.when(!old.retired && new.retired, at, What::Retired);
            },
        );
    }

    fn lists<T>(
        &mut self,
        at: &str,
        before: &[T],
        after: &[T],
        name: impl Fn(&T) -> String,
        mut both: impl FnMut(&mut Self, &str, &T, &T),
    ) {
        for old in before {
            let gone = !after.iter().any(|new| name(new) == name(old));
            self.when(gone, &format!("{at}/{}", name(old)), What::Removed);
        }
        for new in after {
            let place = format!("{at}/{}", name(new));
            match before.iter().find(|old| name(old) == name(new)) {
                Some(old) => both(self, &place, old, new),
                None => self.when(true, &place, What::Added),
            }
        }
    }
}
