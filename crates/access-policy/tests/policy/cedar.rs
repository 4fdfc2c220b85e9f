//! Cedar as judge: worlds are written out as Cedar policies and every decision is compared.
//!
//! Classes become `permit` policies per rule, field and view; ceilings become `forbid` policies; the
//! principal, the user for whom it acts and the classes of a bound are asked one by one, and what
//! all of them are permitted is what must come out.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use strongroom_access_policy::{Acts, Granted, Missing, Shown, decide};
use strongroom_model::{
    Action, Conditions, Consent, ConsentState, FieldNumber, Mask, Network, Principal, Purpose,
    RowScope, Rule, SubjectState, TenantState, TimeWindow, View,
};

use crate::worlds::{Caller, Entry, Limit, RECORDS, World};

/// How many random worlds are compared; `STRONGROOM_WORLDS` overrides it.
const WORLDS: u64 = 10_000;
/// How many random worlds the deliberately wrong variants get to be caught in.
const WORLDS_FOR_THE_WRONG: u64 = 600;
/// The comparison runs on so many threads.
const THREADS: u64 = 2;

#[test]
fn decisions_agree_with_cedar_on_random_worlds() {
    let worlds = std::env::var_os("STRONGROOM_WORLDS")
        .map_or(WORLDS, |count| count.to_str().unwrap().parse().unwrap());
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let share = |thread| {
            scope.spawn(move || {
                let mut tally = Tally::default();
                for seed in (thread..worlds).step_by(usize::try_from(THREADS).unwrap()) {
                    let world = World::of(seed);
                    if let Err(difference) = compare(&world, &world, &mut tally) {
                        panic!("world {seed}: {difference}\n{world:#?}");
                    }
                }
                tally
            })
        };
        let running: Vec<_> = (0..THREADS).map(share).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    let judged = sum(|tally| tally.judged);
    // Worlds in which everything is refused would prove little.
    assert!(judged * 10 >= worlds * 8, "only {judged} of {worlds} worlds were judged");
    assert!(sum(|tally| tally.allowed) * 6 >= judged, "too few worlds allow anything");
    assert!(sum(|tally| tally.masked) * 20 >= judged, "too few worlds mask anything");
    assert!(sum(|tally| tally.hidden) * 20 >= judged, "too few worlds hide anything");
    assert!(sum(|tally| tally.acting) * 20 >= judged, "too few permits act for a user");
}

#[test]
fn cedar_catches_whoever_forgets_a_part_of_the_model() {
    let wrong: [Forgetful; 12] = [
        ("row scopes", |world| {
            each_rule(world, |rule| rule.rows = RowScope::All);
        }),
        ("purposes of rules", |world| each_rule(world, |rule| rule.purposes.clear())),
        ("collections of rules", |world| each_rule(world, |rule| rule.collection = None)),
        ("single fields", |world| each_rule(world, |rule| rule.fields.clear())),
        ("conditions", |world| {
            for class in &mut world.classes {
                class.terms.conditions = Conditions::default();
            }
        }),
        ("the owner class", |world| {
            for class in &mut world.classes {
                class.terms.owner = false;
            }
        }),
        ("the acting user", |world| world.acting_for = None),
        ("ceilings", |world| world.ceilings.clear()),
        ("the tenant's state", |world| world.tenant = TenantState::Active),
        ("the subject's state", |world| {
            for record in &mut world.records {
                record.state = SubjectState::Active;
            }
        }),
        ("consents", |world| {
            world.need_consent.clear();
            for record in &mut world.records {
                record.consents.clear();
            }
        }),
        ("the record's purposes", |world| {
            let every = world.collection.purposes.clone();
            for record in &mut world.records {
                record.head.purposes.clone_from(&every);
            }
        }),
    ];
    for (forgotten, forget) in wrong {
        let caught = (0..WORLDS_FOR_THE_WRONG).any(|seed| {
            let world = World::of(seed);
            let mut mistaken = world.clone();
            forget(&mut mistaken);
            compare(&world, &mistaken, &mut Tally::default()).is_err()
        });
        assert!(caught, "nobody noticed that {forgotten} were forgotten");
    }
}

/// A part of the model, and how to forget it.
type Forgetful = (&'static str, fn(&mut World));

fn each_rule(world: &mut World, change: impl Fn(&mut Rule)) {
    world.classes.iter_mut().flat_map(|class| &mut class.terms.rules).for_each(change);
}

/// What the comparison has seen, so that it cannot be empty unnoticed.
#[derive(Default)]
struct Tally {
    judged: u64,
    allowed: u64,
    masked: u64,
    hidden: u64,
    acting: u64,
}

/// Compares what `decide` says in one world with what Cedar says in another; they are the same but
/// for the variants that are wrong on purpose.
fn compare(judge: &World, decided: &World, tally: &mut Tally) -> Result<(), String> {
    let place = usize::try_from(judge.now.as_micros() / 1_000_000).unwrap() % RECORDS;
    let decision = decided.with(Some(place), |facts, request| decide(facts, request, decided.now));
    let purpose = match &decision {
        Ok(permit) => permit.granted().purpose.clone(),
        Err(refusal) => match refusal.missing() {
            Missing::Purpose(_) => None,
            _ => judge.request.purpose.clone(),
        },
    };
    // A refusal of a request that states no purpose leaves no purpose to judge it under.
    let Some(purpose) = purpose else { return Ok(()) };
    let expected = Judge::of(judge, &judge.records[place], &purpose).verdict();
    let found = decision.ok().map(strongroom_access_policy::Permit::spend);
    tally.judged += 1;
    if let Some(granted) = &found {
        tally.allowed += 1;
        let is_masked =
            |field: &strongroom_access_policy::FieldView| matches!(field.shown, Shown::Masked(_));
        tally.masked += u64::from(granted.fields.iter().any(is_masked));
        tally.hidden += u64::from(granted.fields.len() < judge.collection.fields.len());
        tally.acting += u64::from(judge.acting_for.is_some());
    }
    let found = found.as_ref().map(outline);
    if found == expected {
        Ok(())
    } else {
        Err(format!("decided {found:?}, Cedar says {expected:?}, under {purpose}"))
    }
}

/// Fields with what is shown of them, and whether only because they were revealed.
type Outline = Vec<(FieldNumber, Option<Mask>, bool)>;

fn outline(granted: &Granted) -> Outline {
    let outline = |field: &strongroom_access_policy::FieldView| {
        let mask = match field.shown {
            Shown::Clear => None,
            Shown::Masked(mask) => Some(mask),
        };
        (field.number, mask, field.revealed)
    };
    granted.fields.iter().map(outline).collect()
}

/// One record of a world under one purpose, written out for Cedar.
struct Judge<'a> {
    world: &'a World,
    policies: PolicySet,
    entities: Entities,
    parties: Vec<(EntityUid, Context)>,
    authorizer: Authorizer,
}

impl<'a> Judge<'a> {
    fn of(world: &'a World, record: &Entry, purpose: &Purpose) -> Self {
        let text = policies(world);
        let policies = PolicySet::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let mut entities = cells(world, record, purpose);
        let mut parties = Vec::new();
        for (number, party) in parties_of(world).into_iter().enumerate() {
            let id = uid("Party", &number.to_string());
            entities.push(party_entity(world, &id, &party));
            parties.push((id, context(world, &party, purpose)));
        }
        let entities = Entities::from_entities(entities, None).unwrap();
        Self { world, policies, entities, parties, authorizer: Authorizer::new() }
    }

    /// What the request must be answered with: nothing, or these fields.
    fn verdict(&self) -> Option<Outline> {
        let request = &self.world.request;
        let first = self.world.collection.fields[0].name.as_str();
        let allowed = self.all_permit("allowed", first);
        let writes =
            request.written.iter().all(|field| self.all_permit("write", self.name(*field)));
        let views: HashMap<FieldNumber, View> = self
            .world
            .collection
            .fields
            .iter()
            .map(|field| (field.number, self.view(field.name.as_str())))
            .collect();
        let clear = |field: &FieldNumber| match views[field] {
            View::Clear => true,
            View::Revealable => request.reveal.contains(field),
            View::Hidden | View::Masked => false,
        };
        if !allowed || !writes || !request.by_value.iter().all(clear) {
            return None;
        }
        let asked = |field: &FieldNumber| {
            request.requested.as_ref().is_none_or(|requested| requested.contains(field))
        };
        let fields = self.world.collection.fields.iter().filter(|field| asked(&field.number));
        let shown = fields.filter_map(|field| {
            let view = views[&field.number];
            if clear(&field.number) {
                return Some((field.number, None, view == View::Revealable));
            }
            let masked = view != View::Hidden && field.mask != Mask::Hidden;
            masked.then_some((field.number, Some(field.mask), false))
        });
        Some(shown.collect())
    }

    /// The most revealing view that all parties are permitted.
    fn view(&self, field: &str) -> View {
        [("clear", View::Clear), ("revealable", View::Revealable), ("masked", View::Masked)]
            .into_iter()
            .find(|(level, _)| self.all_permit(level, field))
            .map_or(View::Hidden, |(_, view)| view)
    }

    fn all_permit(&self, level: &str, field: &str) -> bool {
        self.parties.iter().all(|(party, context)| {
            let request = Request::new(
                party.clone(),
                uid("Action", &format!("{}:{level}", self.world.request.action)),
                uid("Cell", field),
                context.clone(),
                None,
            );
            let response =
                self.authorizer.is_authorized(&request.unwrap(), &self.policies, &self.entities);
            let errors: Vec<_> = response.diagnostics().errors().collect();
            assert!(errors.is_empty(), "{errors:?}");
            response.decision() == Decision::Allow
        })
    }

    fn name(&self, number: FieldNumber) -> &str {
        self.world.collection.field_of(number).unwrap().name.as_str()
    }
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.parse().unwrap(), cedar_policy::EntityId::new(id))
}

/// Somebody who must be permitted: who they are for row scopes, their classes, and what their
/// conditions are compared with.
struct Party<'w> {
    caller: &'w Caller,
    classes: &'w [usize],
    address: Option<std::net::IpAddr>,
    second_factor_at: Option<strongroom_model::Timestamp>,
}

fn parties_of(world: &World) -> Vec<Party<'_>> {
    let own = |caller, classes| Party {
        caller,
        classes,
        address: world.request.address,
        second_factor_at: world.request.second_factor_at,
    };
    let mut parties = vec![own(&world.caller, world.caller.classes.as_slice())];
    if let Some(user) = &world.acting_for {
        parties.push(Party {
            caller: user,
            classes: &user.classes,
            address: world.asserted.and_then(|asserted| asserted.address),
            second_factor_at: world.asserted.and_then(|asserted| asserted.second_factor_at),
        });
    }
    let whom = world.acting_for.as_ref().unwrap_or(&world.caller);
    let bounds = world.ceilings.iter().filter_map(|limit| limit.reach()?.classes.as_deref());
    parties.extend(bounds.map(|classes| own(whom, classes)));
    parties
}

fn text<T: ToString + ?Sized>(value: &T) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_string())
}

fn texts<'v, T: ToString + 'v>(values: impl IntoIterator<Item = &'v T>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.into_iter().map(text))
}

fn party_entity(world: &World, id: &EntityUid, party: &Party<'_>) -> Entity {
    let mut attributes = HashMap::from([("who".to_owned(), text(&party.caller.principal))]);
    if let Some(user) = party.caller.user {
        attributes.insert("user".to_owned(), text(&user));
        attributes.insert("user_who".to_owned(), text(&Principal::User(user)));
    }
    if let Some(linked) = party.caller.linked {
        attributes.insert("linked".to_owned(), text(&linked));
    }
    let classes =
        party.classes.iter().map(|place| uid("Class", world.classes[*place].name.as_str()));
    Entity::new(id.clone(), attributes, classes.collect()).unwrap()
}

/// The record, once per field.
fn cells(world: &World, record: &Entry, purpose: &Purpose) -> Vec<Entity> {
    let head = &record.head;
    let word = consent_word(&record.consents, purpose, world.now);
    let cell = |field: &strongroom_model::Field| {
        let attributes = HashMap::from([
            ("record".to_owned(), text(&record.id)),
            ("subject".to_owned(), text(&head.subject)),
            ("created_by".to_owned(), text(&head.created_by)),
            ("assignees".to_owned(), texts(&head.assignees)),
            ("purposes".to_owned(), texts(&head.purposes)),
            (
                "region".to_owned(),
                texts(
                    head.scope
                        .iter()
                        .filter(|attribute| attribute.field == FieldNumber(3))
                        .map(|attribute| &attribute.value),
                ),
            ),
            ("state".to_owned(), text(&format!("{:?}", record.state))),
            ("consent".to_owned(), text(word)),
        ]);
        Entity::new(uid("Cell", field.name.as_str()), attributes, HashSet::new()).unwrap()
    };
    world.collection.fields.iter().map(cell).collect()
}

/// What the subject's newest word amounts to; of two from the same moment the later in the list.
fn consent_word(
    consents: &[Consent],
    purpose: &Purpose,
    now: strongroom_model::Timestamp,
) -> &'static str {
    let mut newest: Option<&Consent> = None;
    for consent in consents {
        if consent.purpose == *purpose
            && consent.since <= now
            && newest.is_none_or(|newest| newest.since <= consent.since)
        {
            newest = Some(consent);
        }
    }
    match newest.map(|consent| (consent.state, consent.until)) {
        Some((ConsentState::Given, Some(until))) if until <= now => "none",
        Some((ConsentState::Given, _)) => "yes",
        Some((ConsentState::Refused | ConsentState::Withdrawn, _)) => "no",
        Some((ConsentState::Expired, _)) | None => "none",
    }
}

fn context(world: &World, party: &Party<'_>, purpose: &Purpose) -> Context {
    let now = world.now.as_micros();
    let mut pairs = vec![
        ("purpose".to_owned(), text(purpose)),
        ("now".to_owned(), RestrictedExpression::new_long(now)),
        ("acting".to_owned(), RestrictedExpression::new_bool(world.acting_for.is_some())),
        ("caller".to_owned(), text(&world.caller.principal)),
    ];
    for (zone, offset) in ZONES {
        // 1970-01-01 was a Thursday, the fourth day of the week.
        let minutes = now.div_euclid(60_000_000) + offset;
        let day = (minutes.div_euclid(1440) + 3).rem_euclid(7) + 1;
        let minute = minutes.rem_euclid(1440);
        pairs.push((format!("day_{}", word(zone)), RestrictedExpression::new_long(day)));
        pairs.push((format!("minute_{}", word(zone)), RestrictedExpression::new_long(minute)));
    }
    let addresses = [("address", party.address), ("origin", world.request.address)];
    for (name, address) in addresses {
        if let Some(address) = address {
            pairs.push((name.to_owned(), RestrictedExpression::new_ip(address.to_string())));
        }
    }
    if let Some(at) = party.second_factor_at {
        pairs.push(("factor".to_owned(), RestrictedExpression::new_long(at.as_micros())));
    }
    Context::from_pairs(pairs).unwrap()
}

/// The zones that worlds use, and their minutes ahead of UTC; none of them changes its clocks.
const ZONES: [(&str, i64); 3] = [("UTC", 0), ("Asia/Tokyo", 9 * 60), ("Etc/GMT+5", -5 * 60)];

/// A zone's name as part of an identifier.
fn word(zone: &str) -> String {
    zone.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// The world's classes and ceilings as Cedar policies.
fn policies(world: &World) -> String {
    let mut out = String::new();
    for class in &world.classes {
        let scope = format!("principal in Class::\"{}\"", class.name);
        let counts = conditions(&class.terms.conditions);
        if class.terms.owner {
            writeln!(out, "permit({scope}, action, resource) when {{ {counts} }};").unwrap();
        }
        for rule in &class.terms.rules {
            permit_rule(&mut out, world, rule, &scope, &counts);
        }
    }
    forbid_ceilings(&mut out, world);
    out
}

fn permit_rule(out: &mut String, world: &World, rule: &Rule, scope: &str, counts: &str) {
    let action = world.request.action;
    let elsewhere = rule.collection.as_ref().is_some_and(|name| *name != world.collection.name);
    if elsewhere || !rule.actions.contains(&action) {
        return;
    }
    let rows = rows(&rule.rows);
    let purposes = if rule.purposes.is_empty() {
        "true".to_owned()
    } else {
        format!("{}.contains(context.purpose)", list(&rule.purposes))
    };
    for field in &world.collection.fields {
        let named = rule.fields.iter().find(|named| named.field == field.name);
        let (view, write) =
            named.map_or((rule.view, rule.write), |named| (named.view, named.write));
        let mut levels = vec!["allowed"];
        levels.extend(match view {
            View::Hidden => &[][..],
            View::Masked => &["masked"],
            View::Revealable => &["masked", "revealable"],
            View::Clear => &["masked", "revealable", "clear"],
        });
        if write {
            levels.push("write");
        }
        let levels = levels.iter().map(|level| format!("Action::\"{action}:{level}\""));
        let levels = levels.collect::<Vec<_>>().join(", ");
        writeln!(
            out,
            "permit({scope}, action in [{levels}], resource == Cell::\"{}\") \
             when {{ {counts} && ({rows}) && {purposes} }};",
            field.name
        )
        .unwrap();
    }
}

fn rows(scope: &RowScope) -> String {
    match scope {
        RowScope::All => "true".to_owned(),
        RowScope::Own => "resource.created_by == principal.who \
             || (principal has user_who && resource.created_by == principal.user_who) \
             || (principal has linked && resource.subject == principal.linked)"
            .to_owned(),
        RowScope::Assigned => {
            "principal has user && resource.assignees.contains(principal.user)".to_owned()
        }
        RowScope::Filter(comparisons) if comparisons.is_empty() => "false".to_owned(),
        RowScope::Filter(comparisons) => {
            let comparisons =
                comparisons.iter().map(|comparison| match comparison.field.as_str() {
                    "region" => {
                        format!("resource.region.containsAny({})", list(&comparison.any_of))
                    }
                    _ => "false".to_owned(),
                });
            comparisons.collect::<Vec<_>>().join(" && ")
        }
    }
}

fn conditions(conditions: &Conditions) -> String {
    let mut all = vec!["true".to_owned()];
    if let Some(TimeWindow { zone, weekdays, from_minute, until_minute }) = &conditions.window {
        let zone = word(zone);
        all.push(format!(
            "{weekdays:?}.contains(context.day_{zone}) && context.minute_{zone} >= {from_minute} \
             && context.minute_{zone} < {until_minute}"
        ));
    }
    if !conditions.addresses.is_empty() {
        all.push(within(&conditions.addresses, "address"));
    }
    if let Some(seconds) = conditions.second_factor_seconds_max {
        all.push(format!(
            "(context has factor && context.factor <= context.now \
             && context.now - context.factor <= {seconds}000000)"
        ));
    }
    if !conditions.purposes.is_empty() {
        all.push(format!("{}.contains(context.purpose)", list(&conditions.purposes)));
    }
    all.join(" && ")
}

fn forbid_ceilings(out: &mut String, world: &World) {
    let mut forbid = |when: &str| {
        writeln!(out, "forbid(principal, action, resource) when {{ {when} }};").unwrap();
    };
    let looks = world.request.action != Action::Update;
    let open = if looks { list(&world.open_when_restricted) } else { "[]".to_owned() };
    forbid("resource.state == \"Erased\"");
    forbid(&format!("resource.state != \"Active\" && !({open}.contains(context.purpose))"));
    forbid("resource.consent == \"no\"");
    forbid(&format!(
        "resource.consent == \"none\" && {}.contains(context.purpose)",
        list(&world.need_consent)
    ));
    forbid(&format!("!({}.contains(context.purpose))", list(&world.collection.purposes)));
    forbid("resource.consent != \"yes\" && !resource.purposes.contains(context.purpose)");
    if matches!(world.caller.principal, Principal::Operator(_)) {
        forbid("true");
    }
    let backend = world.ceilings.iter().any(|limit| matches!(limit, Limit::Backend(_)));
    let stopped = match world.tenant {
        TenantState::Invited | TenantState::Active | TenantState::Terminating => false,
        TenantState::Suspended => backend || world.request.action == Action::Update,
        TenantState::Frozen => world.request.action != Action::Export,
        TenantState::Erased => true,
    };
    if stopped {
        forbid("true");
    }
    for limit in &world.ceilings {
        let Some(reach) = limit.reach() else {
            forbid("true");
            continue;
        };
        if let Some(purposes) = &reach.purposes {
            forbid(&format!("!({}.contains(context.purpose))", list(purposes)));
        }
        if !reach.networks.is_empty() {
            forbid(&format!("!{}", within(&reach.networks, "origin")));
        }
        if let Some(until) = reach.until {
            forbid(&format!("context.now >= {}", until.as_micros()));
        }
        if let Some(records) = &reach.records {
            forbid(&format!("!({}.contains(resource.record))", list(records)));
        }
        if let Some(subjects) = &reach.subjects {
            forbid(&format!("!({}.contains(resource.subject))", list(subjects)));
        }
        if reach.acts == Acts::ForUsers {
            forbid("!context.acting");
        }
    }
}

fn within(networks: &[Network], of: &str) -> String {
    let ranges = networks
        .iter()
        .map(|network| format!("(context has {of} && context.{of}.isInRange(ip(\"{network}\")))"));
    format!("({})", ranges.collect::<Vec<_>>().join(" || "))
}

fn list<T: ToString>(values: &[T]) -> String {
    let quoted = values.iter().map(|value| format!("\"{}\"", value.to_string()));
    format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
}
