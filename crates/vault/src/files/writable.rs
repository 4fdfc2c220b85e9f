//! Whether somebody may write the file in a field of a record, asked before it is sent, and again when all
//! of it is there.

use strongroom_access_policy::{Granted, Shown};
use strongroom_crypto::scrub_once;
use strongroom_model::{Action, FieldNumber, FieldType, FilePlace, Plaintext, RecordHead, Touch};
use strongroom_storage::{Batch, LinePlaced};

use crate::files::get::NamedFile;
use crate::records::{Asked, KnownRecord, Opened, Target, Writer, kept_fields, record_facts};
use crate::{TenantCtx, Vault, VaultError, keyspace};

/// A record whose file in a field somebody may write.
pub(super) struct Writable<'v> {
    pub(super) known: KnownRecord<'v>,
    pub(super) opened: Opened,
    pub(super) field: FieldNumber,
    granted: Granted,
}

impl Vault {
    /// Decides on writing a file. A field that the caller may not see is refused like one that there is
    /// not, and like one that holds no files.
    ///
    /// # Errors
    /// A refusal, which is on record.
    pub(super) async fn writable<'v>(
        &'v self,
        ctx: &TenantCtx,
        named: &NamedFile,
        code: &'static str,
    ) -> Result<Writable<'v>, VaultError> {
        let known = self.know(ctx, &named.collection, named.record, Action::Update, code).await?;
        let KnownRecord { who, collection, subject, sealed, key, .. } = &known;
        let opened = self.open_head(key, ctx.tenant(), collection, named.record, sealed)?;
        let field = collection.field(&named.field);
        let field = field.filter(|field| field.kind == FieldType::File).map(|field| field.number);
        let written = field.as_slice();
        let decide = |action, asked: Asked<'_>| {
            let facts = record_facts(named.record, &opened.head, subject);
            self.decide_on_record(ctx, who, collection, facts, action, asked)
        };
        let refusal = match (decide(Action::Update, Asked { written, ..Asked::default() }), field) {
            (Ok(permit), Some(field)) => {
                return Ok(Writable { field, granted: permit.spend(), known, opened });
            }
            (Ok(_), None) => None,
            (Err(refusal), None) => Some(refusal),
            (Err(refusal), Some(field)) => {
                let asked = Asked { requested: Some(written), ..Asked::default() };
                let is_seen = decide(Action::Read, asked).is_ok_and(|permit| {
                    permit.spend().fields.iter().any(|view| {
                        view.number == field
                            && matches!(view.shown, Shown::Clear | Shown::Masked(_))
                    })
                });
                let is_hidden = !is_seen && decide(Action::Update, Asked::default()).is_ok();
                (!is_hidden).then_some(refusal)
            }
        };
        let KnownRecord { snapshot, who, attempted, .. } = known;
        match refusal {
            Some(refusal) => self.refuse(ctx, snapshot, attempted, refusal).await,
            None => self.refuse_absent(ctx, snapshot, who, attempted).await,
        }
    }

    /// Commits the change of a record that a written or removed file makes, with its line. The record is
    /// sealed anew, in its next version.
    pub(super) async fn commit_file_change(
        &self,
        ctx: &TenantCtx,
        writable: Writable<'_>,
        batch: Batch,
        with: Option<(FilePlace, Plaintext<Vec<u8>>)>,
    ) -> Result<(u64, Vec<LinePlaced>), VaultError> {
        let Writable { known, opened, field, granted } = writable;
        let KnownRecord { snapshot, collection, subject, sealed, key, attempted, .. } = known;
        let (tenant, record) = (ctx.tenant(), granted.place.map(|place| place.record));
        let record =
            record.ok_or_else(|| VaultError::Internal("a permit without a record".into()))?;
        let mut head = RecordHead { changed_at: self.now(), ..opened.head.clone() };
        head.files.retain(|place| place.field != field);
        let mut fields = scrub_once(|| kept_fields(&opened, &[field]))?;
        if let Some((place, description)) = with {
            head.files.push(place);
            fields.push((field, description));
        }
        let parts: Vec<(u32, &[u8])> =
            fields.iter().map(|(number, value)| (number.0, value.expose().as_slice())).collect();
        let version = sealed.version + 1;
        let about = snapshot.person();
        let mut writer = Writer::new(snapshot, ctx, collection.clone(), 0);
        writer.batch = batch;
        let target = Target { record, sealed: &sealed, subject: &subject, key: &key };
        let moved = writer.renumber(ctx, &target, false).await?;
        let (place, key) = match &moved {
            Some((place, key)) => (*place, key),
            None => (sealed.place, &key),
        };
        let value =
            self.seal_record(key, tenant, &collection, record, place, version, &head, &parts)?;
        let (mut batch, _grown) = writer.finish(ctx).await?;
        batch.put(keyspace::record(tenant, collection.number, record), version, value);
        let touch = Touch { record, clear: granted.writes.clone(), masked: Vec::new() };
        let event = attempted.allowed(&granted, vec![touch]);
        batch.line(self.line_about(tenant, Some(ctx), about, event).await?);
        let committed = self.store.commit(batch).await?;
        Ok((version, committed.places().to_vec()))
    }
}
