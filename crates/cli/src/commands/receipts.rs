//! `strongroom receipts`: signed statements of what was erased, shown and verified.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom_model::ReceiptId;

use crate::exit::{Exit, Failure};
use crate::files;
use crate::screen::{self, Screen, say};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Receipts {
    /// Show a receipt
    Show {
        /// The receipt's id
        receipt: ReceiptId,
        /// Only the signed text, which `receipts verify` takes
        #[arg(long)]
        armored: bool,
    },
    /// Show the public key that receipts are signed with
    Key {
        /// Only the key, as `receipts verify --public-key-file` takes it
        #[arg(long)]
        bare: bool,
    },
    /// Verify a receipt's signature, without any server
    Verify(Verify),
}

impl Receipts {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Show { receipt, armored } => {
                let answer = session.scoped().await?.receipt(receipt).await?;
                if armored {
                    return screen::data(answer.value.armored.trim_end());
                }
                session.screen.one(&answer)
            }
            Self::Key { bare } => {
                let answer = session.client.receipt_key().await?;
                if bare {
                    return screen::data(&answer.value.public_key);
                }
                session.screen.one(&answer)
            }
            Self::Verify(verify) => verify.run(session.screen),
        }
    }
}

/// Verifies a receipt that lies in a file.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The receipt's signed text, `-` for standard input
    file: PathBuf,
    /// The public key, base64, as the provider has published it
    #[arg(long, value_name = "KEY", required_unless_present = "public_key_file")]
    public_key: Option<String>,
    /// A file with the public key
    #[arg(long, value_name = "FILE", conflicts_with = "public_key")]
    public_key_file: Option<PathBuf>,
}

impl Verify {
    pub(crate) fn run(self, screen: Screen) -> Result<(), Failure> {
        let key = match (self.public_key, self.public_key_file) {
            (Some(key), _) => key,
            (None, Some(path)) => files::text(&path)?,
            (None, None) => return Err(Failure::usage("name the public key")),
        };
        let key = data_encoding::BASE64
            .decode(key.trim().as_bytes())
            .ok()
            .and_then(|key| <[u8; 32]>::try_from(key).ok())
            .ok_or_else(|| Failure::local("the public key is not 32 bytes of base64"))?;
        let text = files::text(&self.file)?;
        let failed = |error: strongroom_audit::Error| {
            Failure::new(Exit::CheckFailed, format!("`{}`: {error}", self.file.display()))
        };
        // Editors and terminals add and remove the last line's end; the signed bytes are inside.
        let bytes =
            strongroom_audit::receipt::unarmour(&format!("{}\n", text.trim())).map_err(failed)?;
        let receipt = strongroom_audit::receipt::verify(&key, &bytes).map_err(failed)?;
        screen.value(&shown(&receipt))?;
        say("the signature is good: this installation made this statement");
        Ok(())
    }
}

/// A receipt for people and scripts.
fn shown(receipt: &strongroom_audit::Receipt) -> serde_json::Value {
    use strongroom_audit::receipt::{Grade, ReceiptState, Scope};
    use strongroom_model::{RecordId, SubjectId};

    let scope = match receipt.scope {
        Scope::Record(collection, id) => serde_json::json!({
            "record": RecordId::from_bytes(id), "collection": collection.0
        }),
        Scope::Subject(id) => serde_json::json!({ "subject": SubjectId::from_bytes(id) }),
        Scope::Collection(collection) => serde_json::json!({ "collection": collection.0 }),
        Scope::Tenant => serde_json::json!({ "tenant": receipt.tenant }),
    };
    let holders: Vec<_> = receipt
        .holders
        .iter()
        .map(|holder| {
            let grade = match holder.grade {
                Grade::Logical => "logical".to_owned(),
                Grade::Overwritten => "overwritten".to_owned(),
                Grade::Hardware => "hardware".to_owned(),
                Grade::DelayedUntil(until) => format!("delayed until {until}"),
            };
            serde_json::json!({
                "class": holder.class, "grade": grade,
                "replicas": holder.replicas, "forgotten": holder.forgotten,
            })
        })
        .collect();
    let exclusions: Vec<_> =
        receipt.exclusions.iter().map(|exclusion| exclusion_name(*exclusion)).collect();
    serde_json::json!({
        "id": receipt.id,
        "state": match receipt.state {
            ReceiptState::Erased => "erased",
            ReceiptState::Partial => "partial",
        },
        "install": receipt.install,
        "tenant": receipt.tenant,
        "erasure": receipt.erasure,
        "scope": scope,
        "ground": receipt.ground,
        "requested_at": receipt.requested_at,
        "closed_at": receipt.fenced_at,
        "forgotten_at": receipt.forgotten_at,
        "number_before": receipt.number_before,
        "number_after": receipt.number_after,
        "holders": holders,
        "index_pages": receipt.index_pages,
        "index_residue_until": receipt.index_residue_until,
        "not_covered": exclusions,
    })
}

fn exclusion_name(exclusion: strongroom_audit::receipt::Exclusion) -> &'static str {
    use strongroom_audit::receipt::Exclusion;
    match exclusion {
        Exclusion::Exports => "exports",
        Exclusion::Recipients => "recipients",
        Exclusion::FreeText => "free_text",
        Exclusion::MachineImages => "machine_images",
        Exclusion::CopiedKeys => "copied_keys",
        Exclusion::IndexResidue => "index_residue",
        Exclusion::WeakIndexes => "weak_indexes",
        Exclusion::SentMail => "sent_mail",
        Exclusion::Metadata => "metadata",
        Exclusion::Retained => "retained",
    }
}
