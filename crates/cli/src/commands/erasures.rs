//! `strongroom erasures`: destroying keys, so that nothing brings the data back.

use clap::{Args, Subcommand, ValueEnum};
use strongroom_client::{ErasureTarget, NewErasure, Place};
use strongroom_model::{CollectionName, ErasureGround, ErasureId, RecordId, SubjectId};

use crate::arguments::PageArguments;
use crate::confirm;
use crate::exit::Failure;
use crate::screen::say;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Erasures {
    /// Erase a record, a person, a collection or all of a tenant's data
    ///
    /// First it is said what would be erased; then the target has to be typed.
    Create {
        #[command(flatten)]
        target: TargetArguments,
        /// Why it is erased
        #[arg(long)]
        ground: Ground,
        /// Say what would be erased, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask; needs `--reason`
        #[arg(long)]
        yes: bool,
    },
    /// List the erasures
    List(PageArguments),
    /// Show an erasure and how far it has come
    Show {
        /// The erasure's id
        erasure: ErasureId,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TargetArguments {
    /// A record: its collection and its id
    #[arg(long, num_args = 2, value_names = ["COLLECTION", "RECORD"])]
    record: Option<Vec<String>>,
    /// A person, with all their records
    #[arg(long)]
    subject: Option<SubjectId>,
    /// A collection, with all its records
    #[arg(long)]
    collection: Option<CollectionName>,
    /// All data of the tenant
    #[arg(long)]
    whole_tenant: bool,
}

/// Why something is erased.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Ground {
    /// The person asked for it
    SubjectRequest,
    /// The tenant asked for it
    TenantRequest,
    /// Consent was withdrawn
    ConsentWithdrawn,
    /// Nothing justifies keeping it any longer
    NoLongerNeeded,
    /// It was collected unlawfully
    UnlawfullyCollected,
    /// The contract has ended
    ContractEnded,
}

impl From<Ground> for ErasureGround {
    fn from(ground: Ground) -> Self {
        match ground {
            Ground::SubjectRequest => Self::SubjectRequest,
            Ground::TenantRequest => Self::TenantRequest,
            Ground::ConsentWithdrawn => Self::ConsentWithdrawn,
            Ground::NoLongerNeeded => Self::NoLongerNeeded,
            Ground::UnlawfullyCollected => Self::UnlawfullyCollected,
            Ground::ContractEnded => Self::ContractEnded,
        }
    }
}

impl TargetArguments {
    /// The target, and what has to be typed for it.
    fn target(self, place: Place) -> Result<(ErasureTarget, String), Failure> {
        if let Some(record) = self.record {
            let [collection, id] = record.as_slice() else {
                return Err(Failure::usage("`--record` takes a collection and a record's id"));
            };
            let wrong = |error| Failure::usage(format!("`--record`: {error}"));
            let collection: CollectionName = collection.parse().map_err(wrong)?;
            let id: RecordId = id.parse().map_err(wrong)?;
            return Ok((ErasureTarget::Record { collection, id }, id.to_string()));
        }
        if let Some(subject) = self.subject {
            return Ok((ErasureTarget::Subject(subject), subject.to_string()));
        }
        if let Some(collection) = self.collection {
            let name = collection.to_string();
            return Ok((ErasureTarget::Collection(collection), name));
        }
        match place {
            Place::Tenant(tenant) => Ok((ErasureTarget::Tenant(tenant), tenant.to_string())),
            Place::Provider => Err(Failure::usage("name the tenant with `--tenant`")),
        }
    }
}

impl Erasures {
    pub(crate) async fn run(self, session: &Session, has_reason: bool) -> Result<(), Failure> {
        match self {
            Self::Create { target, ground, dry_run, yes } => {
                if yes && !has_reason {
                    return Err(Failure::usage("`--yes` needs `--reason`"));
                }
                let place = session.place().await?;
                let scoped = session.client.at(place);
                let (target, name) = target.target(place)?;
                let erasure = NewErasure { target, ground: ground.into() };
                let forecast = scoped.foresee_erasure(&erasure).await?;
                if dry_run {
                    return session.screen.one(&forecast);
                }
                for line in what_would_go(&forecast.value.would_erase) {
                    say(&line);
                }
                for retained in &forecast.value.retained {
                    say(&format!("would stay: {} ({})", retained.record, retained.ground));
                }
                if !yes {
                    confirm::typed(&name)?;
                }
                session.screen.one(&scoped.erase(&erasure).await?)
            }
            Self::List(page) => session.screen.list(
                &session.scoped().await?.erasures(&page.page()).await?,
                &[
                    ("ID", "/id"),
                    ("TARGET", "/target"),
                    ("STATE", "/state"),
                    ("REQUESTED", "/requested_at"),
                    ("RECEIPT", "/receipt"),
                ],
            ),
            Self::Show { erasure } => {
                session.screen.one(&session.scoped().await?.erasure(erasure).await?)
            }
        }
    }
}

/// What would be erased, in lines. The server does not count beyond a bound, and says so.
fn what_would_go(counts: &serde_json::Map<String, serde_json::Value>) -> Vec<String> {
    let more = if counts.get("or_more") == Some(&true.into()) { " or more" } else { "" };
    let counts = counts.iter().filter(|(what, _)| *what != "or_more");
    counts.map(|(what, count)| format!("would erase: {what} {count}{more}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_was_broken_off_says_so() {
        let check = |more: bool| {
            let counts = serde_json::json!({"or_more": more, "records": 2});
            what_would_go(counts.as_object().unwrap())
        };
        assert_eq!(check(false), ["would erase: records 2"]);
        assert_eq!(check(true), ["would erase: records 2 or more"]);
    }
}
