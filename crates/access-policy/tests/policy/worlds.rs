//! Small random worlds: a tenant with classes, a caller, ceilings, some records and one request.

use std::net::IpAddr;

use strongroom_access_policy::{
    AccessRequest, Actor, Acts, Assertion, Bound, Ceiling, Delegation, Facts, HeldClass,
    PurposeFacts, RecordFacts, SubjectFacts,
};
use strongroom_model::{
    Action, BackendId, ClassId, ClassTerms, Collection, CollectionId, CollectionNumber, Comparison,
    Conditions, Consent, ConsentState, Field, FieldNumber, FieldRule, FieldType, KeyId, Mask,
    Network, PermissionClass, Principal, Purpose, RecordHead, RecordId, RowScope, Rule,
    ScopeAttribute, SubjectId, SubjectState, TenantState, TimeWindow, Timestamp, UserId, View,
};

/// Records in each world.
pub(crate) const RECORDS: usize = 2;

/// The data actions that worlds are about.
const ACTIONS: [Action; 4] = [Action::Read, Action::Search, Action::Update, Action::Export];

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) collection: Collection,
    pub(crate) classes: Vec<PermissionClass>,
    pub(crate) caller: Caller,
    pub(crate) acting_for: Option<Caller>,
    pub(crate) asserted: Option<Assertion>,
    pub(crate) ceilings: Vec<Limit>,
    pub(crate) need_consent: Vec<Purpose>,
    pub(crate) open_when_restricted: Vec<Purpose>,
    pub(crate) tenant: TenantState,
    pub(crate) records: Vec<Entry>,
    pub(crate) request: Asked,
    pub(crate) now: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) user: Option<UserId>,
    pub(crate) linked: Option<SubjectId>,
    /// Places in the world's classes.
    pub(crate) classes: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum Limit {
    Key(Reach),
    Backend(Reach),
    Connection(Reach),
    Grant(Reach),
    Documents,
    Residency,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    pub(crate) classes: Option<Vec<usize>>,
    pub(crate) purposes: Option<Vec<Purpose>>,
    pub(crate) networks: Vec<Network>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) records: Option<Vec<RecordId>>,
    pub(crate) subjects: Option<Vec<SubjectId>>,
    pub(crate) acts: Acts,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: RecordId,
    pub(crate) head: RecordHead,
    pub(crate) state: SubjectState,
    pub(crate) consents: Vec<Consent>,
}

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) action: Action,
    pub(crate) requested: Option<Vec<FieldNumber>>,
    pub(crate) reveal: Vec<FieldNumber>,
    pub(crate) written: Vec<FieldNumber>,
    pub(crate) by_value: Vec<FieldNumber>,
    pub(crate) purpose: Option<Purpose>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) second_factor_at: Option<Timestamp>,
}

impl World {
    /// The world of this seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let dice = &mut dice;
        let now = Timestamp::from_micros(1_769_000_000_000_000)
            .plus_seconds(i64::try_from(dice.below(14 * 86_400)).unwrap());
        let classes: Vec<_> = (1..=4).map(|number| class(dice, number)).collect();
        let key = Principal::ApiKey(KeyId::from_bytes([1; 16]));
        let acting = dice.chance(40);
        let caller = if acting {
            let backend = Principal::Backend(BackendId::from_bytes([1; 16]));
            let principal = if dice.chance(50) { key } else { backend };
            let mut caller = caller(dice, principal);
            caller.user = Some(user(1));
            caller
        } else if dice.chance(3) {
            caller(dice, Principal::Operator(user(1)))
        } else {
            let principal = if dice.chance(20) { key } else { Principal::User(user(1)) };
            caller(dice, principal)
        };
        let acting_for = acting.then(|| Caller {
            linked: dice.chance(50).then(|| subject(1)),
            classes: dice.some_of(&[0, 1, 2, 3], 60),
            principal: Principal::User(user(1)),
            user: Some(user(1)),
        });
        let asserted = (acting && dice.chance(60)).then(|| Assertion {
            address: address(dice),
            second_factor_at: second_factor(dice, now),
        });
        let ceilings = if dice.chance(40) {
            (0..=dice.below(2)).map(|_| limit(dice, now)).collect()
        } else {
            Vec::new()
        };
        let tenant = if dice.chance(85) {
            TenantState::Active
        } else {
            dice.pick(&[
                TenantState::Invited,
                TenantState::Suspended,
                TenantState::Terminating,
                TenantState::Frozen,
                TenantState::Erased,
            ])
        };
        Self {
            collection: collection(),
            classes,
            caller,
            acting_for,
            asserted,
            ceilings,
            need_consent: dice.some_of(&purposes(), 20),
            open_when_restricted: dice.some_of(&purposes(), 30),
            tenant,
            records: (1..=RECORDS).map(|number| record(dice, number, now)).collect(),
            request: asked(dice, now),
            now,
        }
    }

    /// Calls with the facts of the world about one of its records, or about none.
    pub(crate) fn with<T>(
        &self,
        record: Option<usize>,
        call: impl FnOnce(&Facts<'_>, &AccessRequest<'_>) -> T,
    ) -> T {
        let of_caller = self.held(&self.caller.classes);
        let of_user =
            self.acting_for.as_ref().map(|user| self.held(&user.classes)).unwrap_or_default();
        let of_limits: Vec<Option<Vec<HeldClass<'_>>>> = self
            .ceilings
            .iter()
            .map(|limit| limit.reach()?.classes.as_ref().map(|classes| self.held(classes)))
            .collect();
        let ceilings: Vec<Ceiling<'_>> = self
            .ceilings
            .iter()
            .zip(&of_limits)
            .map(|(limit, classes)| limit.ceiling(classes.as_deref()))
            .collect();
        let facts = Facts {
            tenant: self.tenant,
            principal: self.caller.actor(&of_caller),
            acting_for: self
                .acting_for
                .as_ref()
                .map(|user| Delegation { user: user.actor(&of_user), asserted: self.asserted }),
            ceilings: &ceilings,
            purposes: PurposeFacts {
                need_consent: &self.need_consent,
                open_when_restricted: &self.open_when_restricted,
            },
            collection: Some(&self.collection),
            record: record.map(|place| self.records[place].facts()),
            subject: None,
        };
        let request = AccessRequest {
            action: self.request.action,
            requested: self.request.requested.as_deref(),
            reveal: &self.request.reveal,
            written: &self.request.written,
            by_value: &self.request.by_value,
            purpose: self.request.purpose.as_ref(),
            address: self.request.address,
            second_factor_at: self.request.second_factor_at,
            in_person: false,
            defends: false,
        };
        call(&facts, &request)
    }

    fn held(&self, places: &[usize]) -> Vec<HeldClass<'_>> {
        places.iter().map(|place| HeldClass { class: &self.classes[*place], version: 1 }).collect()
    }
}

impl Caller {
    fn actor<'a>(&self, classes: &'a [HeldClass<'a>]) -> Actor<'a> {
        Actor { principal: self.principal, user: self.user, linked_subject: self.linked, classes }
    }
}

impl Limit {
    pub(crate) fn reach(&self) -> Option<&Reach> {
        match self {
            Self::Key(reach)
            | Self::Backend(reach)
            | Self::Connection(reach)
            | Self::Grant(reach) => Some(reach),
            Self::Documents | Self::Residency => None,
        }
    }

    fn ceiling<'a>(&'a self, classes: Option<&'a [HeldClass<'a>]>) -> Ceiling<'a> {
        let bound = self.reach().map(|reach| Bound {
            classes,
            purposes: reach.purposes.as_deref(),
            networks: &reach.networks,
            until: reach.until,
            records: reach.records.as_deref(),
            subjects: reach.subjects.as_deref(),
            acts: reach.acts,
        });
        let bound = bound.unwrap_or_default();
        match self {
            Self::Key(_) => Ceiling::Key(bound),
            Self::Backend(_) => Ceiling::Backend(bound),
            Self::Connection(_) => Ceiling::Connection(bound),
            Self::Grant(_) => Ceiling::Grant(bound),
            Self::Documents => Ceiling::DocumentAcceptance,
            Self::Residency => Ceiling::Residency,
        }
    }
}

impl Entry {
    pub(crate) fn facts(&self) -> RecordFacts<'_> {
        let subject =
            SubjectFacts { id: self.head.subject, state: self.state, consents: &self.consents };
        RecordFacts { id: self.id, head: &self.head, subject }
    }
}

pub(crate) fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 16])
}

pub(crate) fn subject(number: u8) -> SubjectId {
    SubjectId::from_bytes([number; 16])
}

pub(crate) fn purposes() -> Vec<Purpose> {
    vec!["billing".parse().unwrap(), "support".parse().unwrap()]
}

/// One that the collection does not have.
pub(crate) fn foreign_purpose() -> Purpose {
    "marketing".parse().unwrap()
}

/// Customers: name, e-mail, a note whose mask leaves nothing, and a region to scope by.
pub(crate) fn collection() -> Collection {
    let field = |number, name: &str, kind: FieldType, mask, scope| Field {
        number: FieldNumber(number),
        name: name.parse().unwrap(),
        label: name.parse().unwrap(),
        kind,
        category: None,
        mask,
        required: false,
        scope,
        retired: false,
    };
    Collection {
        id: CollectionId::from_bytes([1; 16]),
        number: CollectionNumber(1),
        name: "customers".parse().unwrap(),
        label: "Customers".parse().unwrap(),
        purposes: purposes(),
        fields: vec![
            field(1, "name", FieldType::Name, Mask::Initials, false),
            field(2, "email", FieldType::Email, Mask::EmailDomain, false),
            field(3, "region", FieldType::Text, Mask::Hidden, true),
        ],
        slot: 0,
        subject: strongroom_model::SubjectRule::default(),
        filler: None,
        erased: false,
        forgets_old_versions: false,
    }
}

fn class(dice: &mut Dice, number: u8) -> PermissionClass {
    let terms = ClassTerms {
        owner: dice.chance(4),
        rules: (0..=dice.below(2)).map(|_| rule(dice)).collect(),
        administrative: dice.some_of(&[Action::Erase, Action::ReadAudit], 20),
        administers: Vec::new(),
        conditions: conditions(dice),
    };
    PermissionClass {
        id: ClassId::from_bytes([number; 16]),
        name: format!("class_{number}").parse().unwrap(),
        label: "Class".parse().unwrap(),
        terms,
    }
}

fn rule(dice: &mut Dice) -> Rule {
    let rows = match dice.below(8) {
        0..=3 => RowScope::All,
        4 => RowScope::Own,
        5 => RowScope::Assigned,
        6 => RowScope::Filter(vec![comparison(dice)]),
        _ => RowScope::Filter((0..dice.below(3)).map(|_| comparison(dice)).collect()),
    };
    let fields = ["name", "email", "region"];
    let named = dice.some_of(&fields, 30).into_iter().map(|name| FieldRule {
        field: name.parse().unwrap(),
        view: view(dice),
        write: dice.chance(60),
    });
    let fields = named.collect();
    Rule {
        actions: dice.some_of(&ACTIONS, 75),
        collection: match dice.below(10) {
            0..=5 => Some("customers".parse().unwrap()),
            6 => Some("orders".parse().unwrap()),
            _ => None,
        },
        view: view(dice),
        fields,
        write: dice.chance(70),
        rows,
        purposes: if dice.chance(60) { Vec::new() } else { dice.some_of(&purposes(), 60) },
    }
}

/// Mostly over the region; now and then over a field that is not marked `scope`.
fn comparison(dice: &mut Dice) -> Comparison {
    let field = if dice.chance(90) { "region" } else { "name" };
    Comparison {
        field: field.parse().unwrap(),
        any_of: dice.some_of(&["north".to_owned(), "south".to_owned()], 60),
    }
}

fn conditions(dice: &mut Dice) -> Conditions {
    let window = dice.chance(12).then(|| TimeWindow {
        zone: dice.pick(&["UTC", "Asia/Tokyo", "Etc/GMT+5"]).to_owned(),
        weekdays: dice.some_of(&[1, 2, 3, 4, 5, 6, 7], 70),
        from_minute: dice.pick(&[0, 360, 540]),
        until_minute: dice.pick(&[900, 1020, 1440]),
    });
    Conditions {
        window,
        addresses: if dice.chance(12) { vec![network(dice)] } else { Vec::new() },
        second_factor_seconds_max: dice.chance(12).then(|| dice.pick(&[60, 3600])),
        purposes: if dice.chance(12) { dice.some_of(&purposes(), 60) } else { Vec::new() },
    }
}

fn network(dice: &mut Dice) -> Network {
    dice.pick(&["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32"]).parse().unwrap()
}

fn address(dice: &mut Dice) -> Option<IpAddr> {
    let known = ["192.0.2.7", "198.51.100.7", "203.0.113.7", "2001:db8::7"];
    dice.chance(90).then(|| dice.pick(&known).parse().unwrap())
}

fn second_factor(dice: &mut Dice, now: Timestamp) -> Option<Timestamp> {
    dice.chance(70).then(|| now.plus_seconds(dice.pick(&[-10_000, -3600, -61, -60, 0, 5])))
}

fn caller(dice: &mut Dice, principal: Principal) -> Caller {
    Caller {
        principal,
        user: matches!(principal, Principal::User(_)).then(|| user(1)),
        linked: dice.chance(50).then(|| subject(1)),
        classes: dice.some_of(&[0, 1, 2, 3], 60),
    }
}

pub(crate) fn limit(dice: &mut Dice, now: Timestamp) -> Limit {
    let reach = Reach {
        classes: dice.chance(50).then(|| dice.some_of(&[0, 1, 2, 3], 70)),
        purposes: dice.chance(20).then(|| dice.some_of(&purposes(), 70)),
        networks: if dice.chance(15) { vec![network(dice)] } else { Vec::new() },
        until: dice.chance(20).then(|| now.plus_seconds(dice.pick(&[-1, 0, 1, 3600]))),
        records: dice.chance(15).then(|| {
            dice.some_of(&[RecordId::from_bytes([1; 16]), RecordId::from_bytes([2; 16])], 80)
        }),
        subjects: dice.chance(15).then(|| dice.some_of(&[subject(1), subject(2)], 80)),
        acts: if dice.chance(15) { Acts::ForUsers } else { Acts::Itself },
    };
    match dice.below(12) {
        0..=3 => Limit::Key(reach),
        4..=6 => Limit::Backend(reach),
        7..=8 => Limit::Connection(reach),
        9..=10 => Limit::Grant(reach),
        _ if dice.chance(50) => Limit::Documents,
        _ => Limit::Residency,
    }
}

fn record(dice: &mut Dice, number: usize, now: Timestamp) -> Entry {
    let number = u8::try_from(number).unwrap();
    let own = dice.pick(&[
        Principal::User(user(1)),
        Principal::User(user(2)),
        Principal::ApiKey(KeyId::from_bytes([1; 16])),
    ]);
    let head = RecordHead {
        subject: subject(dice.pick(&[1, 2])),
        external_id: None,
        source: None,
        purposes: dice.some_of(&purposes(), 85),
        notice: None,
        collected_at: now,
        created_by: own,
        created_at: now,
        changed_at: now,
        assignees: dice.some_of(&[user(1), user(2)], 40),
        scope: match dice.below(4) {
            0 => Vec::new(),
            1 => vec![ScopeAttribute { field: FieldNumber(1), value: "north".into() }],
            2 => vec![ScopeAttribute { field: FieldNumber(3), value: "north".into() }],
            _ => vec![ScopeAttribute { field: FieldNumber(3), value: "south".into() }],
        },
        files: Vec::new(),
    };
    let state = if dice.chance(85) {
        SubjectState::Active
    } else {
        dice.pick(&[SubjectState::Restricted, SubjectState::Closed, SubjectState::Erased])
    };
    let consents = if dice.chance(60) {
        Vec::new()
    } else {
        (0..=dice.below(2)).map(|_| consent(dice, now)).collect()
    };
    Entry { id: RecordId::from_bytes([number; 16]), head, state, consents }
}

fn consent(dice: &mut Dice, now: Timestamp) -> Consent {
    Consent {
        purpose: dice.pick(&purposes()),
        state: dice.pick(&[
            ConsentState::Given,
            ConsentState::Given,
            ConsentState::Given,
            ConsentState::Refused,
            ConsentState::Withdrawn,
            ConsentState::Expired,
        ]),
        since: now.plus_seconds(dice.pick(&[-3, -2, -1, 0, 1])),
        until: dice.chance(40).then(|| now.plus_seconds(dice.pick(&[-1, 0, 1]))),
    }
}

fn asked(dice: &mut Dice, now: Timestamp) -> Asked {
    let numbers = [FieldNumber(1), FieldNumber(2), FieldNumber(3)];
    let action = dice.pick(&ACTIONS);
    let writes = action == Action::Update;
    Asked {
        action,
        requested: dice.chance(30).then(|| dice.some_of(&numbers, 60)),
        reveal: dice.some_of(&numbers, 30),
        written: if writes { dice.some_of(&numbers, 30) } else { Vec::new() },
        by_value: if action == Action::Search { dice.some_of(&numbers, 25) } else { Vec::new() },
        purpose: match dice.below(20) {
            0..=9 => Some(purposes()[0].clone()),
            10..=14 => Some(purposes()[1].clone()),
            15 => Some(foreign_purpose()),
            _ => None,
        },
        address: address(dice),
        second_factor_at: second_factor(dice, now),
    }
}

fn view(dice: &mut Dice) -> View {
    dice.pick(&[View::Hidden, View::Masked, View::Revealable, View::Clear, View::Clear])
}

/// A small generator that repeats itself (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Whether something that happens in so many of a hundred cases does.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let place = usize::try_from(self.below(from.len() as u64)).unwrap();
        from[place].clone()
    }

    pub(crate) fn some_of<T: Clone>(&mut self, from: &[T], percent: u64) -> Vec<T> {
        from.iter().filter(|_| self.chance(percent)).cloned().collect()
    }
}
