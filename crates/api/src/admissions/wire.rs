//! Admissions as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{
    ActsAs, BackendId, ClassName, Label, Purpose, SUBJECTS_PER_HOUR_DEFAULT, Timestamp,
};
use strongroom_vault::{Versioned, admissions};
use utoipa::ToSchema;

use crate::extract::FromBody;

/// How far a backend may go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdmissionBounds {
    /// Only what these permission classes allow, by name or id; none wider than the caller's.
    #[schema(example = json!(["manager"]), min_items = 1, max_items = 100)]
    classes: Vec<ClassName>,
    /// Only for these purposes; empty: those of the classes.
    #[serde(default)]
    #[schema(max_items = 100, required = false)]
    purposes: Vec<Purpose>,
    /// In whose name it may act: `for_users`, which each request names, or `itself`.
    #[serde(default)]
    #[schema(required = false)]
    acts: ActsAs,
    /// About how many persons it may read in an hour.
    #[serde(default = "subjects_per_hour")]
    #[schema(minimum = 1, maximum = 1_000_000, default = 1000, required = false)]
    subjects_per_hour: u32,
    /// When the admission ends by itself.
    #[serde(default)]
    until: Option<Timestamp>,
}

const fn subjects_per_hour() -> u32 {
    SUBJECTS_PER_HOUR_DEFAULT
}

impl FromBody for AdmissionBounds {}

impl From<AdmissionBounds> for admissions::Bounds {
    fn from(bounds: AdmissionBounds) -> Self {
        let AdmissionBounds { classes, purposes, acts, subjects_per_hour, until } = bounds;
        let classes = classes.into_iter().map(admissions::ClassRef).collect();
        Self { classes, purposes, acts, subjects_per_hour, until }
    }
}

/// How far a tenant admits a backend.
#[derive(Serialize, ToSchema)]
pub(crate) struct Admission {
    #[schema(value_type = String)]
    backend: BackendId,
    /// What the provider calls it.
    name: Option<Label>,
    /// `admitted`, `revoked` by the tenant, `ended` by itself, or `backend_revoked` by the provider.
    state: &'static str,
    /// The permission classes that bound it, by name.
    classes: Vec<ClassName>,
    /// The purposes that bound it; empty: those of the classes.
    purposes: Vec<Purpose>,
    /// In whose name it may act.
    acts: ActsAs,
    /// About how many persons it may read in an hour.
    subjects_per_hour: u32,
    /// When the admission ends by itself.
    until: Option<Timestamp>,
    /// When it was first admitted.
    admitted_at: Timestamp,
    /// When the bounds were changed last.
    changed_at: Timestamp,
    /// When it last ran into the bound on persons; the log has a line `backend.limited` for each hour in
    /// which it did.
    last_limited_at: Option<Timestamp>,
}

const fn state(state: admissions::AdmissionState) -> &'static str {
    match state {
        admissions::AdmissionState::Admitted => "admitted",
        admissions::AdmissionState::Revoked => "revoked",
        admissions::AdmissionState::Ended => "ended",
        admissions::AdmissionState::BackendRevoked => "backend_revoked",
    }
}

impl From<&Versioned<admissions::AdmissionView>> for Admission {
    fn from(found: &Versioned<admissions::AdmissionView>) -> Self {
        let view = found.value.clone();
        Self {
            backend: view.backend,
            name: view.name,
            state: state(view.state),
            classes: view.classes,
            purposes: view.purposes,
            acts: view.acts,
            subjects_per_hour: view.subjects_per_hour,
            until: view.until,
            admitted_at: view.admitted_at,
            changed_at: view.changed_at,
            last_limited_at: view.last_limited_at,
        }
    }
}
