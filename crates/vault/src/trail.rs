//! The audit trail: from a decision to a sealed line that is durable before the answer.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_access_policy::{Answer, Granted, Refusal};
use strongroom_crypto::{Context, Key, MessagePurpose, line, mac, prf, stream};
use strongroom_keyring::{Half, KeyError, Service};
use strongroom_model::{
    Action, AuditEvent, AuditObject, Outcome, Plaintext, Principal, SealedReason, SubjectId,
    TenantId, Touch,
};
use strongroom_storage::{Committed, Line, LinePlace};

use crate::snapshot::{Gone, Snapshot};
use crate::{TenantCtx, Vault, VaultError};

/// The person whom an event is about, and the leaf of their seed.
pub(crate) type Person = (SubjectId, u64);

/// What a line will say, before the decision.
pub(crate) struct Attempted {
    pub(crate) principal: Principal,
    pub(crate) action: Action,
    pub(crate) code: &'static str,
    pub(crate) object: AuditObject,
}

impl Attempted {
    /// The line of what was allowed.
    pub(crate) fn allowed(self, granted: &Granted, touches: Vec<Touch>) -> AuditEvent {
        AuditEvent {
            principal: self.principal,
            acting_for: None,
            through: None,
            action: self.action,
            purpose: granted.purpose.as_ref().map(ToString::to_string).unwrap_or_default(),
            rule: Some(granted.rule),
            outcome: Outcome::Allowed,
            code: self.code,
            object: self.object,
            touches,
            address_commitment: [0; 16],
            reason: None,
        }
    }

    /// The line of what was refused.
    pub(crate) fn refused(self, refusal: &Refusal, purpose: String) -> AuditEvent {
        AuditEvent {
            principal: self.principal,
            acting_for: None,
            through: None,
            action: self.action,
            purpose,
            rule: None,
            outcome: Outcome::Refused,
            code: refusal.reason_code(),
            object: self.object,
            touches: Vec::new(),
            address_commitment: [0; 16],
            reason: None,
        }
    }

    /// The line of what needs no rule: what the server does itself, or a secret proves.
    pub(crate) fn done(self) -> AuditEvent {
        AuditEvent {
            principal: self.principal,
            acting_for: None,
            through: None,
            action: self.action,
            purpose: String::new(),
            rule: None,
            outcome: Outcome::Allowed,
            code: self.code,
            object: self.object,
            touches: Vec::new(),
            address_commitment: [0; 16],
            reason: None,
        }
    }
}

impl Vault {
    /// A line for the tenant's log, to be sealed where its place becomes known.
    pub(crate) async fn line(
        &self,
        tenant: TenantId,
        ctx: Option<&TenantCtx>,
        event: AuditEvent,
    ) -> Result<Box<dyn Line>, VaultError> {
        self.line_about(tenant, ctx, None, event).await
    }

    /// The same for an event about a person, under whose key the caller's reason is sealed.
    pub(crate) async fn line_about(
        &self,
        tenant: TenantId,
        ctx: Option<&TenantCtx>,
        about: Option<Person>,
        mut event: AuditEvent,
    ) -> Result<Box<dyn Line>, VaultError> {
        let (tenant, audit_key) = self.log_of(tenant).await?;
        if let Some(ctx) = ctx {
            ctx.complete(&mut event);
        }
        if let Some(address) = ctx.and_then(|ctx| ctx.about().address) {
            let key = self.keyring.service(tenant, Half::Data, Service::Addresses).await?;
            let commitment = mac::hmac_sha256(
                &key,
                &[b"sr1/address\0", address.to_canonical().to_string().as_bytes()],
            );
            event.address_commitment.iter_mut().zip(commitment).for_each(|(to, from)| *to = from);
        }
        if let Some(reason) = ctx.and_then(|ctx| ctx.about().reason.as_deref()) {
            event.reason = Some(self.seal_reason(tenant, about, reason).await?);
        }
        let plain = strongroom_audit::line::encode(&event)
            .map_err(|_| VaultError::Internal("an audit line beyond its bound".into()))?;
        if plain.len() > line::CLEAR_MAX {
            return Err(VaultError::Internal("an audit line beyond its bound".into()));
        }
        let time_us = u64::try_from(self.now().as_micros()).unwrap_or(0);
        Ok(Box::new(PendingLine { tenant, key: audit_key, time_us, plain }))
    }

    async fn seal_reason(
        &self,
        tenant: TenantId,
        about: Option<Person>,
        reason: &Plaintext<String>,
    ) -> Result<SealedReason, VaultError> {
        let key = self.reason_key(tenant, about).await?;
        let context = self.reason_context(tenant, about);
        let sealed = stream::seal(&key, &context, reason.expose().as_bytes(), &*self.rng)?;
        Ok(SealedReason { subject: about, sealed })
    }

    /// The reason on a line; nothing if the person whom it is about has been erased.
    pub(crate) async fn open_reason(
        &self,
        tenant: TenantId,
        reason: &SealedReason,
    ) -> Result<Option<Plaintext<String>>, VaultError> {
        let key = match self.reason_key(tenant, reason.subject).await {
            Err(VaultError::Erased(_)) => return Ok(None),
            key => key?,
        };
        let plain =
            stream::open(&key, &self.reason_context(tenant, reason.subject), &reason.sealed)?;
        let text = std::str::from_utf8(plain.expose()).map_err(|_| crate::rows::damaged())?;
        Ok(Some(Plaintext::new(text.to_owned())))
    }

    async fn reason_key(
        &self,
        tenant: TenantId,
        about: Option<Person>,
    ) -> Result<Arc<Key>, VaultError> {
        Ok(match about {
            Some((_, slot)) => {
                let number = prf::AUDIT_OPENINGS;
                Arc::new(self.keyring.subject_key(tenant, Half::Data, slot, number, None).await?)
            }
            None => self.keyring.service(tenant, Half::Data, Service::Rows).await?,
        })
    }

    fn reason_context(&self, tenant: TenantId, about: Option<Person>) -> Context {
        Context {
            purpose: MessagePurpose::Row,
            epoch: 0,
            install: self.keyring.install(),
            tenant,
            subject: about.map_or([0; 16], |(subject, _)| *subject.as_bytes()),
            object: [0; 16],
            collection: 0,
            index: 1 << 32,
            number: about.map_or(0, |_| prf::AUDIT_OPENINGS),
            version: 0,
        }
    }

    /// In whose log a tenant's lines stand, its own or the provider's once its keys are gone, and the
    /// key that seals them.
    async fn log_of(&self, tenant: TenantId) -> Result<(TenantId, Arc<Key>), VaultError> {
        match self.keyring.service(tenant, Half::Data, Service::Audit).await {
            Ok(key) => Ok((tenant, key)),
            Err(KeyError::Gone) => {
                let provider = TenantId::PROVIDER;
                Ok((provider, self.keyring.service(provider, Half::Data, Service::Audit).await?))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the line of a read durable, provided that what the decision rests on is still so.
    pub(crate) async fn put_on_record(
        &self,
        ctx: &TenantCtx,
        snapshot: Snapshot<'_>,
        event: AuditEvent,
    ) -> Result<Committed, VaultError> {
        let line = self.line_about(ctx.tenant(), Some(ctx), snapshot.person(), event).await?;
        Ok(self.store.append(vec![line], snapshot.into_facts()).await?)
    }

    /// Puts a refusal on record and gives it back as the use case's outcome.
    pub(crate) async fn refuse<T>(
        &self,
        ctx: &TenantCtx,
        snapshot: Snapshot<'_>,
        attempted: Attempted,
        refusal: Refusal,
    ) -> Result<T, VaultError> {
        let purpose = ctx.about().purpose.as_ref().map(ToString::to_string).unwrap_or_default();
        let event = attempted.refused(&refusal, purpose);
        let gone = snapshot.gone();
        let committed = self.put_on_record(ctx, snapshot, event).await?;
        let error = Box::new(answered(refusal, gone));
        Err(VaultError::OnRecord { error, lines: committed.places().to_vec() })
    }
}

/// A refusal as its caller learns of it; whoever may know of an erasure learns its receipt.
pub(crate) fn answered(refusal: Refusal, gone: Option<Gone>) -> VaultError {
    match refusal.answer() {
        Answer::Erased => VaultError::Erased(gone.and_then(|gone| gone.receipt)),
        Answer::NotFound
        | Answer::Forbidden { .. }
        | Answer::PurposeRequired { .. }
        | Answer::UserRequired
        | Answer::Elsewhere => VaultError::Refused(refusal),
    }
}

struct PendingLine {
    tenant: TenantId,
    key: Arc<Key>,
    time_us: u64,
    plain: Vec<u8>,
}

impl Line for PendingLine {
    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn seal(&self, place: &LinePlace) -> Bytes {
        let prefix = line::Prefix {
            tenant: self.tenant,
            node: place.node,
            n: place.n,
            time_us: self.time_us,
        };
        // The only error is a line that is too long, and its length was checked when it was made.
        line::seal(&self.key, &prefix, &place.previous_tag, &self.plain)
            .map(Bytes::from)
            .unwrap_or_default()
    }
}
