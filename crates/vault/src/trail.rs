//! The audit trail: from a decision to a sealed line that is durable before the answer.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_access_policy::{Granted, Refusal};
use strongroom_crypto::{Key, line, mac};
use strongroom_keyring::{Half, KeyError, Service};
use strongroom_model::{Action, AuditEvent, AuditObject, Outcome, Principal, TenantId, Touch};
use strongroom_storage::{Committed, Line, LinePlace};

use crate::snapshot::Snapshot;
use crate::{TenantCtx, Vault, VaultError};

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
        }
    }
}

impl Vault {
    /// A line for the tenant's log, to be sealed where its place becomes known.
    pub(crate) async fn line(
        &self,
        tenant: TenantId,
        ctx: Option<&TenantCtx>,
        mut event: AuditEvent,
    ) -> Result<Box<dyn Line>, VaultError> {
        let tenant = self.log_of(tenant).await?;
        if let Some(address) = ctx.and_then(|ctx| ctx.about().address) {
            let key = self.keyring.service(tenant, Half::Data, Service::Addresses).await?;
            let commitment = mac::hmac_sha256(
                &key,
                &[b"sr1/address\0", address.to_canonical().to_string().as_bytes()],
            );
            event.address_commitment.iter_mut().zip(commitment).for_each(|(to, from)| *to = from);
        }
        let plain = strongroom_audit::line::encode(&event)
            .map_err(|_| VaultError::Internal("an audit line beyond its bound".into()))?;
        if plain.len() > line::CLEAR_MAX {
            return Err(VaultError::Internal("an audit line beyond its bound".into()));
        }
        let key = self.keyring.service(tenant, Half::Data, Service::Audit).await?;
        let time_us = u64::try_from(self.now().as_micros()).unwrap_or(0);
        Ok(Box::new(PendingLine { tenant, key, time_us, plain }))
    }

    /// In whose log a tenant's lines stand: its own, and the provider's once its keys are gone.
    async fn log_of(&self, tenant: TenantId) -> Result<TenantId, VaultError> {
        match self.keyring.service(tenant, Half::Data, Service::Audit).await {
            Ok(_) => Ok(tenant),
            Err(KeyError::Gone) => Ok(TenantId::PROVIDER),
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
        let line = self.line(ctx.tenant(), Some(ctx), event).await?;
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
        let _committed = self.put_on_record(ctx, snapshot, event).await?;
        Err(VaultError::Refused(refusal))
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
