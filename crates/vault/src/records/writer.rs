//! Records about to be created: checked, decided, sealed and gathered into one commit.

use std::collections::{BTreeMap, HashMap};

use strongroom_access_policy::{AccessRequest, Facts, Granted, RecordFacts, SubjectFacts, decide};
use strongroom_keyring::Half;
use strongroom_model::{
    Action, ClearValue, Collection, ExternalId, FieldName, FieldNumber, FieldType, NamedUser,
    Plaintext, RecordHead, RecordId, RecordPlace, ScopeAttribute, SubjectHead, SubjectId,
    SubjectKind, SubjectRule, SubjectState, Touch, UserId,
};
use strongroom_storage::{Batch, Expect};

use crate::caller::Who;
use crate::index::{Additions, Grown, Hit, Index};
use crate::records::SealedRecord;
use crate::records::codec::Place;
use crate::records::create::{NamedSubject, NewRecord};
use crate::rows::{OwnerLeaf, damaged};
use crate::snapshot::{Loaded, Snapshot};
use crate::subjects::new_head;
use crate::{Flaw, TenantCtx, Vault, VaultError, keyspace};

/// What is wrong with a reference that leads nowhere.
pub(crate) const NO_SUCH_RECORD: &str = "refers to a record that there is not";

/// A record that is about to be created.
pub(crate) struct Planned {
    pub(crate) id: RecordId,
    pub(crate) leaf: OwnerLeaf,
    pub(crate) granted: Granted,
    pub(crate) head: RecordHead,
    /// Its fields in the form in which they are sealed.
    pub(crate) fields: Vec<(FieldNumber, Plaintext<Vec<u8>>)>,
}

impl Planned {
    /// What the audit line says was written.
    pub(crate) fn touch(&self) -> Touch {
        Touch { record: self.id, clear: self.granted.writes.clone(), masked: Vec::new() }
    }
}

/// Gathers the creation of records of one collection.
pub(crate) struct Writer<'v> {
    pub(crate) snapshot: Snapshot<'v>,
    pub(crate) batch: Batch,
    collection: Loaded<Collection>,
    additions: Additions,
    /// The external ids of subjects that are made with their records.
    newcomers: Additions,
    /// The subject that is made with the record that is being planned.
    newcomer: Option<SubjectId>,
    heads: BTreeMap<SubjectId, HeadState>,
    found: HashMap<(u32, String), Option<Hit>>,
    /// Users who were looked for by their external ids.
    users: HashMap<String, Option<UserId>>,
    /// How many records there will be at the most.
    records: u32,
    filler_reserved: bool,
}

struct HeadState {
    head: SubjectHead,
    leaf: OwnerLeaf,
    version: u64,
    dirty: bool,
}

/// The values of a record's fields as they are sealed.
pub(crate) struct Checked {
    pub(crate) fields: Vec<(FieldNumber, Plaintext<Vec<u8>>)>,
    pub(crate) scope: Vec<ScopeAttribute>,
    /// The subject of the record that the collection's `through` field names.
    through: Option<SubjectId>,
}

impl<'v> Writer<'v> {
    pub(crate) fn new(
        snapshot: Snapshot<'v>,
        ctx: &TenantCtx,
        collection: Loaded<Collection>,
        records: usize,
    ) -> Self {
        let additions = Additions::new(Index::of_records(ctx.tenant(), &collection));
        Self {
            snapshot,
            batch: Batch::new(),
            collection,
            additions,
            newcomers: Additions::new(Index::of_subjects(ctx.tenant())),
            newcomer: None,
            heads: BTreeMap::new(),
            found: HashMap::new(),
            users: HashMap::new(),
            records: u32::try_from(records).unwrap_or(u32::MAX),
            filler_reserved: false,
        }
    }

    /// The collection of the records.
    pub(crate) fn collection(&self) -> &Loaded<Collection> {
        &self.collection
    }

    fn vault(&self) -> &'v Vault {
        self.snapshot.vault
    }

    /// Takes what these records will need, in one commit and not in one for some of them each: leaves for
    /// the persons whom they may bring, and numbers for records about nobody. It comes before anything
    /// that they refer to is read as a fact: taking numbers changes the head of the collection's filler,
    /// which they may refer to.
    pub(crate) async fn reserve(
        &mut self,
        ctx: &TenantCtx,
        items: &[NewRecord],
    ) -> Result<(), VaultError> {
        let brings = |item: &&NewRecord| match &item.subject {
            Some(NamedSubject::External(_)) => true,
            Some(NamedSubject::Id(_)) => false,
            None => self.collection.subject == SubjectRule::Own,
        };
        let persons = items.iter().filter(brings).count();
        if persons > 1 {
            self.vault().keyring.prepare_slots(ctx.tenant(), Half::Data, persons).await?;
        }
        let needed = match self.collection.subject {
            SubjectRule::Own => false,
            SubjectRule::Nobody => true,
            SubjectRule::Through(_) => self.collection.filler.is_some(),
        };
        if needed && !self.filler_reserved {
            let vault = self.vault();
            vault.reserve_filler(ctx.tenant(), &self.collection, self.records).await?;
            self.filler_reserved = true;
        }
        Ok(())
    }

    /// The record that has this external id, among those that are there and those that are planned.
    pub(crate) async fn look(
        &mut self,
        external_id: &ExternalId,
    ) -> Result<Option<Hit>, VaultError> {
        self.additions.look(&mut self.snapshot, external_id.as_str()).await
    }

    /// Plans one record. An error leaves what was planned before as it is.
    pub(crate) async fn plan(
        &mut self,
        ctx: &TenantCtx,
        who: &Who,
        wanted: &NewRecord,
    ) -> Result<Planned, VaultError> {
        self.newcomer = None;
        let planned = self.plan_one(ctx, who, wanted).await;
        if planned.is_err()
            && let Some(newcomer) = self.newcomer.take()
        {
            self.heads.remove(&newcomer);
        }
        planned
    }

    /// Plans one record. What goes into the commit goes there last, when nothing can be wrong with the
    /// record any more.
    async fn plan_one(
        &mut self,
        ctx: &TenantCtx,
        who: &Who,
        wanted: &NewRecord,
    ) -> Result<Planned, VaultError> {
        let vault = self.vault();
        let tenant = ctx.tenant();
        let collection = self.collection.clone();
        if collection.purposes.is_empty() {
            return Err(VaultError::wrong_state(
                "no_purpose",
                "a collection without a declared purpose takes no records",
            ));
        }
        let purposes = wanted.purposes.clone().unwrap_or_else(|| collection.purposes.clone());
        if !purposes.iter().all(|purpose| collection.purposes.contains(purpose)) {
            return Err(VaultError::invalid(
                "/purposes",
                "a purpose that the collection does not have",
            ));
        }
        let checked = self.check(ctx, &wanted.fields, true).await?;
        let named = wanted.subject.as_ref();
        let (subject, place) = self.subject_of(ctx, named, checked.through).await?;
        let assignees = self.assignees(ctx, &wanted.assignees).await?;
        let now = vault.now();
        let head = RecordHead {
            subject,
            external_id: wanted.external_id.clone(),
            source: wanted.source.clone(),
            purposes,
            notice: wanted.notice,
            collected_at: wanted.collected_at.unwrap_or(now),
            created_by: who.author(),
            created_at: now,
            changed_at: now,
            assignees,
            scope: checked.scope,
            files: Vec::new(),
        };
        let id = RecordId::new(now, &*vault.rng)?;
        let granted = self.decide(ctx, who, id, &head, &checked.fields)?;

        let taken = match &wanted.external_id {
            Some(external_id) => self.look(external_id).await?,
            None => None,
        };
        if taken.is_some() {
            return Err(VaultError::wrong_state(
                "external_id_taken",
                "another record of the collection has it",
            ));
        }
        let key = vault.record_key(tenant, &collection, place).await?;
        let fields: Vec<(u32, &[u8])> = checked
            .fields
            .iter()
            .map(|(number, value)| (number.0, value.expose().as_slice()))
            .collect();
        let sealed = vault.seal_record(&key, tenant, &collection, id, place, 1, &head, &fields)?;
        if let Some(external_id) = &wanted.external_id {
            let hit = Hit { subject, record: id };
            let (snapshot, batch) = (&mut self.snapshot, &mut self.batch);
            self.additions.add(snapshot, batch, external_id.as_str(), hit).await?;
        }
        if let (Some(newcomer), Some(NamedSubject::External(external_id))) =
            (self.newcomer, &wanted.subject)
        {
            let hit = Hit { subject: newcomer, record: RecordId::from_bytes([0; 16]) };
            let (snapshot, batch) = (&mut self.snapshot, &mut self.batch);
            self.newcomers.add(snapshot, batch, external_id.as_str(), hit).await?;
        }
        let row = keyspace::record(tenant, collection.number, id);
        self.batch.expect_absent(row.clone()).put(row, 1, sealed);
        self.enter(ctx, subject, place, id).await?;
        let leaf = OwnerLeaf::subject(subject, place.slot, place.epoch, place.number);
        Ok(Planned { id, leaf, granted, head, fields: checked.fields })
    }

    /// Enters a record into the manifest of its subject, under its number.
    pub(super) async fn enter(
        &mut self,
        ctx: &TenantCtx,
        subject: SubjectId,
        place: Place,
        record: RecordId,
    ) -> Result<(), VaultError> {
        let entry = keyspace::manifest_entry(ctx.tenant(), subject, place.number);
        let manifest =
            OwnerLeaf::subject(subject, place.slot, place.epoch, strongroom_crypto::prf::MANIFEST);
        let of_record = RecordPlace::of_record(self.collection.number, record);
        let value = self.vault().seal_row(&entry, manifest, 1, &of_record).await?;
        self.batch.expect_absent(entry.clone()).put(entry, 1, value);
        Ok(())
    }

    /// What the policy knows of the subject of a record that is planned.
    pub(crate) fn subject_facts(&self, subject: SubjectId) -> SubjectFacts<'_> {
        let state = self.heads.get(&subject).map(|state| SubjectFacts::from(&state.head));
        state.unwrap_or(SubjectFacts { id: subject, state: SubjectState::Active, consents: &[] })
    }

    /// The person whom a planned record is about, if it is about one: fillers have no head here.
    pub(crate) fn person(&self, subject: SubjectId) -> Option<SubjectId> {
        self.heads.contains_key(&subject).then_some(subject)
    }

    fn decide(
        &self,
        ctx: &TenantCtx,
        who: &Who,
        id: RecordId,
        head: &RecordHead,
        fields: &[(FieldNumber, Plaintext<Vec<u8>>)],
    ) -> Result<Granted, VaultError> {
        let written: Vec<FieldNumber> = fields.iter().map(|(number, _)| *number).collect();
        let held = who.held();
        let subject = self.subject_facts(head.subject);
        let facts = Facts {
            collection: Some(&self.collection.value),
            record: Some(RecordFacts { id, head, subject }),
            ..held.facts()
        };
        let request = AccessRequest {
            written: &written,
            purpose: ctx.about().purpose.as_ref(),
            address: ctx.about().address,
            ..AccessRequest::new(Action::Create)
        };
        let permit = decide(&facts, &request, self.vault().now()).map_err(VaultError::Refused)?;
        Ok(permit.spend())
    }

    /// The users to whom a record is assigned, each once. An id is taken as it is.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for an external id that no user has.
    pub(crate) async fn assignees(
        &mut self,
        ctx: &TenantCtx,
        named: &[NamedUser],
    ) -> Result<Vec<UserId>, VaultError> {
        let mut users = Vec::with_capacity(named.len());
        for (place, named) in named.iter().enumerate() {
            let user = match named {
                NamedUser::Id(id) => Some(*id),
                NamedUser::External(external_id) => self.user(ctx, external_id).await?,
            };
            let pointer = || format!("/assignees/{place}");
            let user = user.ok_or_else(|| VaultError::invalid(pointer(), "no such user"))?;
            if !users.contains(&user) {
                users.push(user);
            }
        }
        Ok(users)
    }

    async fn user(
        &mut self,
        ctx: &TenantCtx,
        external_id: &ExternalId,
    ) -> Result<Option<UserId>, VaultError> {
        if let Some(known) = self.users.get(external_id.as_str()) {
            return Ok(*known);
        }
        let index = Index::of_users(ctx.tenant());
        let hit = self.snapshot.find(index, external_id.as_str()).await?;
        let user = hit.map(|hit| UserId::from_bytes(*hit.record.as_bytes()));
        self.users.insert(external_id.as_str().to_owned(), user);
        Ok(user)
    }

    /// Checks the fields that a caller sent against the collection. `whole`: required ones must be
    /// among them.
    pub(crate) async fn check(
        &mut self,
        ctx: &TenantCtx,
        sent: &[(FieldName, ClearValue)],
        whole: bool,
    ) -> Result<Checked, VaultError> {
        let collection = self.collection.clone();
        let mut flaws = Vec::new();
        let mut checked =
            Checked { fields: Vec::with_capacity(sent.len()), scope: Vec::new(), through: None };
        for (name, value) in sent {
            let pointer = format!("/fields/{name}");
            let Some(field) = collection.field(name) else {
                flaws.push(Flaw { pointer, detail: "the collection has no such field".to_owned() });
                continue;
            };
            if field.kind == FieldType::File && !(value.is_null() && whole) {
                let detail = "a file is sent by itself, to `…/files/` and the field's name";
                flaws.push(Flaw { pointer, detail: detail.to_owned() });
                continue;
            }
            if value.is_null() {
                if field.required {
                    flaws
                        .push(Flaw { pointer, detail: "a record must have this field".to_owned() });
                }
                continue;
            }
            let resolved = self.resolve(ctx, &field.kind, value, &pointer).await;
            let (resolved, subject) = match resolved {
                Ok(resolved) => resolved,
                Err(VaultError::Invalid(more)) => {
                    flaws.extend(more);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if collection.subject == SubjectRule::Through(name.clone()) {
                checked.through = subject;
            }
            match field.kind.store(resolved.as_ref().unwrap_or(value)) {
                Ok(stored) => {
                    if field.scope {
                        checked.scope.push(ScopeAttribute {
                            field: field.number,
                            value: scope_value(value),
                        });
                    }
                    checked.fields.push((field.number, stored));
                }
                Err(malformed) => flaws.push(Flaw { pointer, detail: malformed.0.to_owned() }),
            }
        }
        if whole {
            for field in collection.fields.iter().filter(|field| field.required && !field.retired) {
                if !sent.iter().any(|(name, _)| *name == field.name) {
                    let detail = "a record must have this field".to_owned();
                    flaws.push(Flaw { pointer: format!("/fields/{}", field.name), detail });
                }
            }
        }
        if !flaws.is_empty() {
            // Members of an object have no order, and the same request gets the same answer.
            flaws.sort_by(|one, other| one.pointer.cmp(&other.pointer));
            return Err(VaultError::Invalid(flaws));
        }
        checked.fields.sort_unstable_by_key(|(number, _)| *number);
        Ok(checked)
    }

    /// Finds the records that a reference names, and the subject of the one it leads to. The value
    /// is given back only where it has to be replaced.
    async fn resolve(
        &mut self,
        ctx: &TenantCtx,
        kind: &FieldType,
        value: &ClearValue,
        pointer: &str,
    ) -> Result<(Option<ClearValue>, Option<SubjectId>), VaultError> {
        match (kind, value) {
            (FieldType::Reference(target), value) => {
                let hit = self.refer(ctx, target, value, pointer).await?;
                Ok((Some(ClearValue::Text(hit.record.to_string())), Some(hit.subject)))
            }
            (FieldType::List(of), ClearValue::List(items)) => {
                let FieldType::Reference(target) = &**of else { return Ok((None, None)) };
                let mut resolved =
                    Vec::with_capacity(items.len().min(strongroom_model::LIST_ITEMS_MAX));
                for item in items.iter().take(strongroom_model::LIST_ITEMS_MAX) {
                    let hit = self.refer(ctx, target, item, pointer).await?;
                    resolved.push(ClearValue::Text(hit.record.to_string()));
                }
                Ok((Some(ClearValue::List(resolved)), None))
            }
            (FieldType::Subject, ClearValue::Text(text)) => {
                let wrong = || VaultError::invalid(pointer, "no such subject");
                let subject = text.parse::<SubjectId>().map_err(|_| wrong())?;
                self.snapshot.subject(ctx.tenant(), subject).await?.ok_or_else(wrong)?;
                Ok((None, None))
            }
            _ => Ok((None, None)),
        }
    }

    /// The record that a reference names, of somebody who is not erased. The head of that person
    /// becomes a fact: what refers to them does not slip past their erasure.
    async fn refer(
        &mut self,
        ctx: &TenantCtx,
        target: &strongroom_model::CollectionName,
        value: &ClearValue,
        pointer: &str,
    ) -> Result<Hit, VaultError> {
        let hit = self.named_by(ctx, target, value, pointer).await?;
        let subject = self.snapshot.subject(ctx.tenant(), hit.subject).await?;
        match subject.filter(|subject| subject.state != SubjectState::Erased) {
            Some(_) => Ok(hit),
            None => Err(VaultError::invalid(pointer, NO_SUCH_RECORD)),
        }
    }

    /// The record that a reference names, by its id or by `{"external_id": …}`.
    async fn named_by(
        &mut self,
        ctx: &TenantCtx,
        target: &strongroom_model::CollectionName,
        value: &ClearValue,
        pointer: &str,
    ) -> Result<Hit, VaultError> {
        let wrong = || VaultError::invalid(pointer, NO_SUCH_RECORD);
        let collection = self.snapshot.collection(ctx.tenant(), target).await?.ok_or_else(wrong)?;
        if let Some(external_id) = value.member("external_id").and_then(ClearValue::as_text) {
            let known = (collection.number.0, external_id.to_owned());
            let hit = if let Some(hit) = self.found.get(&known) {
                *hit
            } else {
                let index = Index::of_records(ctx.tenant(), &collection);
                let hit = self.snapshot.find(index, external_id).await?;
                self.found.insert(known, hit);
                hit
            };
            return self.alive(ctx, hit.ok_or_else(wrong)?).await?.ok_or_else(wrong);
        }
        let text = value.as_text().ok_or_else(|| {
            VaultError::invalid(
                pointer,
                "a reference is a record's id or an object with its `external_id`",
            )
        })?;
        let record = text.parse::<RecordId>().map_err(|_| wrong())?;
        let key = keyspace::record(ctx.tenant(), collection.number, record);
        let mut rows = self.vault().store.get_many(std::slice::from_ref(&key)).await?;
        let row = rows.pop().flatten().ok_or_else(wrong)?;
        let sealed = SealedRecord::parse(row)?;
        self.alive(ctx, Hit { subject: sealed.subject, record }).await?.ok_or_else(wrong)
    }

    /// What a reference leads to, unless the person whom it is about is erased or about to be.
    async fn alive(&mut self, ctx: &TenantCtx, hit: Hit) -> Result<Option<Hit>, VaultError> {
        if self.heads.contains_key(&hit.subject) {
            return Ok(Some(hit));
        }
        let subject = self.snapshot.subject(ctx.tenant(), hit.subject).await?;
        Ok(subject.filter(|subject| subject.state != SubjectState::Erased).map(|_| hit))
    }

    /// Whose the record is, and the number it gets.
    async fn subject_of(
        &mut self,
        ctx: &TenantCtx,
        named: Option<&NamedSubject>,
        through: Option<SubjectId>,
    ) -> Result<(SubjectId, Place), VaultError> {
        let nobody = || VaultError::invalid("/subject", "no such subject");
        match named {
            Some(NamedSubject::Id(subject)) => {
                return self.number_of(ctx, *subject).await?.ok_or_else(nobody);
            }
            Some(NamedSubject::External(external_id)) => {
                let hit = self.newcomers.look(&mut self.snapshot, external_id.as_str()).await?;
                let Some(hit) = hit else {
                    return self.new_subject(ctx, Some(external_id.clone())).await;
                };
                return self.number_of(ctx, hit.subject).await?.ok_or_else(nobody);
            }
            None => {}
        }
        match self.collection.subject {
            SubjectRule::Own => self.new_subject(ctx, None).await,
            SubjectRule::Through(_) => {
                if let Some(subject) = through
                    && let Some(place) = self.number_of(ctx, subject).await?
                {
                    return Ok(place);
                }
                self.filler(ctx).await
            }
            SubjectRule::Nobody => self.filler(ctx).await,
        }
    }

    async fn filler(&mut self, ctx: &TenantCtx) -> Result<(SubjectId, Place), VaultError> {
        let collection = self.collection.clone();
        if !self.filler_reserved {
            self.vault().reserve_filler(ctx.tenant(), &collection, self.records).await?;
            self.filler_reserved = true;
        }
        let (subject, place) = self.vault().filler_number(ctx.tenant(), &collection)?;
        // The head is a fact, not a change: creations that share a filler do not hinder each other,
        // and an erasure of it hinders them all.
        self.snapshot.subject(ctx.tenant(), subject).await?.ok_or(VaultError::Conflict)?;
        Ok((subject, place))
    }

    async fn new_subject(
        &mut self,
        ctx: &TenantCtx,
        external_id: Option<ExternalId>,
    ) -> Result<(SubjectId, Place), VaultError> {
        let vault = self.vault();
        let slots = vault.keyring.take_slots(ctx.tenant(), Half::Data, 1).await?;
        let slot = slots.first().copied().ok_or_else(damaged)?;
        let subject = SubjectId::new(vault.now(), &*vault.rng)?;
        let mut head = new_head(subject, SubjectKind::Person, external_id, vault.now());
        let number = head.next_number;
        head.next_number += 1;
        let leaf = OwnerLeaf::subject(subject, slot, 0, 0);
        self.heads.insert(subject, HeadState { head, leaf, version: 0, dirty: true });
        self.newcomer = Some(subject);
        Ok((subject, Place { slot, epoch: 0, number }))
    }

    /// The next number of a subject that there is. A filler's comes from this process's block.
    async fn number_of(
        &mut self,
        ctx: &TenantCtx,
        subject: SubjectId,
    ) -> Result<Option<(SubjectId, Place)>, VaultError> {
        if !self.heads.contains_key(&subject) {
            let Some(found) = self.snapshot.subject(ctx.tenant(), subject).await? else {
                return Ok(None);
            };
            match found.kind {
                SubjectKind::Person => {}
                SubjectKind::Filler(_) => return self.filler(ctx).await.map(Some),
            }
            if found.state == SubjectState::Erased {
                return Ok(None);
            }
        }
        self.next_number(ctx, subject).await.map(|place| Some((subject, place)))
    }

    /// The next number of a subject that there is, a filler or not, from its head.
    pub(super) async fn next_number(
        &mut self,
        ctx: &TenantCtx,
        subject: SubjectId,
    ) -> Result<Place, VaultError> {
        if !self.heads.contains_key(&subject) {
            let found = self.snapshot.subject(ctx.tenant(), subject).await?;
            let found = found.ok_or(VaultError::Conflict)?;
            let state = HeadState {
                head: (*found.value).clone(),
                leaf: found.leaf,
                version: found.version,
                dirty: false,
            };
            self.heads.insert(subject, state);
        }
        let keyring = &self.snapshot.vault.keyring;
        let state = self.heads.get_mut(&subject).ok_or(VaultError::Conflict)?;
        let mut number = state.head.next_number;
        while state.version > 0
            && keyring.is_punctured(ctx.tenant(), Half::Data, state.leaf.slot, number).await?
        {
            number = number.checked_add(1).ok_or(VaultError::Conflict)?;
        }
        state.head.next_number = number.checked_add(1).ok_or(VaultError::Conflict)?;
        state.dirty = true;
        Ok(Place { slot: state.leaf.slot, epoch: state.head.epoch, number })
    }

    /// Completes the batch: subjects' heads, pages of the index, and what was read as facts. The
    /// pages are to be kept when it has been committed.
    pub(crate) async fn finish(self, ctx: &TenantCtx) -> Result<(Batch, Grown), VaultError> {
        let Self { snapshot, mut batch, additions, newcomers, heads, .. } = self;
        let vault = snapshot.vault;
        for (subject, state) in heads.into_iter().filter(|(_, state)| state.dirty) {
            let key = keyspace::subject_head(ctx.tenant(), subject);
            if state.version == 0 {
                batch.expect(Expect::Absent(key.clone()));
            }
            let value = vault.seal_row(&key, state.leaf, state.version + 1, &state.head).await?;
            batch.put(key, state.version + 1, value);
        }
        let grown = additions.finish(vault, &mut batch).await?;
        let grown = grown.and(newcomers.finish(vault, &mut batch).await?);
        snapshot.expect_in(&mut batch);
        Ok((batch, grown))
    }
}

/// A value as row scopes compare it.
fn scope_value(value: &ClearValue) -> Box<str> {
    match value {
        ClearValue::Boolean(true) => "true".into(),
        ClearValue::Boolean(false) => "false".into(),
        ClearValue::Text(text) => text.as_str().into(),
        ClearValue::Null
        | ClearValue::Integer(_)
        | ClearValue::Float(_)
        | ClearValue::List(_)
        | ClearValue::Object(_) => "".into(),
    }
}

/// Makes room in the indexes for the external ids that records and their subjects bring. It comes
/// before what is read of the records becomes facts.
pub(crate) async fn make_room(
    snapshot: &mut Snapshot<'_>,
    of_records: Index,
    records: &[NewRecord],
) -> Result<(), VaultError> {
    let ids: Vec<&str> = records
        .iter()
        .filter_map(|record| record.external_id.as_ref().map(ExternalId::as_str))
        .collect();
    if !ids.is_empty() {
        snapshot.make_room(of_records, &ids).await?;
    }
    let subjects: Vec<&str> = records
        .iter()
        .filter_map(|record| match &record.subject {
            Some(NamedSubject::External(external_id)) => Some(external_id.as_str()),
            Some(NamedSubject::Id(_)) | None => None,
        })
        .collect();
    if !subjects.is_empty() {
        snapshot.make_room(Index::of_subjects(of_records.tenant), &subjects).await?;
    }
    Ok(())
}
