//! Tenants with people and their records, every value of them marked, and what becomes of each.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use strongroom_model::{Rng as _, TenantId};
use strongroom_tests::{Caller, Needle, Server, Tenant};

/// Items of a batch of records.
const BATCH: usize = 100;
/// Letters of what all marks begin with, and of what follows.
const LETTERS: usize = 12;

/// Makes marked words, and knows them again.
pub(crate) struct Marks {
    beginning: String,
    made: usize,
}

impl Marks {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; LETTERS];
        strongroom_crypto::SystemRng::new().fill(&mut bytes).unwrap();
        let beginning = bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        Self { beginning, made: 0 }
    }

    /// Another marked word.
    pub(crate) fn word(&mut self) -> String {
        self.made += 1;
        let mut rest = self.made;
        let mut word = self.beginning.clone();
        for _ in 0..LETTERS {
            word.push(char::from(b'a' + u8::try_from(rest % 26).unwrap()));
            rest /= 26;
        }
        word
    }

    /// What all marked words have in common.
    pub(crate) fn needle(&self) -> Needle {
        Needle::new("a marked word", self.beginning.as_bytes())
    }

    /// All marked words in a text.
    pub(crate) fn found_in(&self, text: &[u8]) -> BTreeSet<String> {
        let beginning = self.beginning.as_bytes();
        let words = text.windows(2 * LETTERS).filter(|word| word.starts_with(beginning));
        words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }
}

/// What became of a marked word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Lives,
    Erased,
}

/// A marked word and where it stands.
pub(crate) struct Marked {
    pub(crate) fate: Fate,
    /// What it is a word of.
    pub(crate) of: String,
    /// The tenant in whose indexes it stands, if it is an external id.
    pub(crate) indexed: Option<TenantId>,
    /// Whether a record has it in every version.
    pub(crate) of_record: bool,
}

/// What was made, by its mark.
pub(crate) type Ledger = BTreeMap<String, Marked>;

/// A record.
struct Made {
    mark: String,
    id: String,
    /// Words that only some of its versions have.
    also: Vec<String>,
}

/// A person with a record about them, one of a visit, and perhaps a paper.
struct Known {
    mark: String,
    reason: Option<String>,
    record: Made,
    visit: Made,
}

/// A tenant.
pub(crate) struct House {
    tenant: Tenant,
    id: TenantId,
    people: Vec<Known>,
    rooms: Vec<Made>,
    papers: Vec<Made>,
}

impl House {
    /// A tenant with this many people, nothing of it erased.
    pub(crate) async fn open(
        server: &Server,
        marks: &mut Marks,
        ledger: &mut Ledger,
        people: usize,
    ) -> Self {
        let tenant = server.tenant("Harbour Street Clinic").await;
        let fields = [("name", json!("text")), ("note", json!("text"))];
        tenant.collection("people", json!("own"), &fields).await;
        let about = [("person", json!({"reference": "people"})), ("note", json!("text"))];
        for name in ["visits", "papers"] {
            tenant.collection(name, json!({"through": "person"}), &about).await;
        }
        tenant.collection("rooms", json!("nobody"), &fields).await;
        let id = tenant.id.parse().unwrap();
        let mut house =
            Self { tenant, id, people: Vec::new(), rooms: Vec::new(), papers: Vec::new() };
        house.welcome(marks, ledger, people).await;
        house.papers = house.file(marks, ledger, "papers", house.people.iter().step_by(2)).await;
        let rooms = (0..people).map(|_| json!({}));
        house.rooms = house.create(marks, ledger, "rooms", rooms).await;
        house
    }

    /// Takes in people, each with a visit.
    pub(crate) async fn welcome(&mut self, marks: &mut Marks, ledger: &mut Ledger, people: usize) {
        let persons: Vec<String> = (0..people).map(|_| marks.word()).collect();
        let items = persons.iter().map(|person| json!({"subject": {"external_id": person}}));
        let records = self.create(marks, ledger, "people", items).await;
        for person in &persons {
            let indexed = Some(self.id);
            ledger.insert(
                person.clone(),
                Marked { fate: Fate::Lives, of: "a person".to_owned(), indexed, of_record: false },
            );
        }
        let first = self.people.len();
        let visits = records.iter().map(|record| json!({"fields": {"person": record.id}}));
        let visits = self.create(marks, ledger, "visits", visits.collect::<Vec<_>>()).await;
        for ((mark, record), visit) in persons.into_iter().zip(records).zip(visits) {
            self.people.push(Known { mark, reason: None, record, visit });
        }
        self.change(marks, ledger, first).await;
        self.ask_for(marks, ledger, first).await;
    }

    /// Changes every third record, so that it has an older version.
    async fn change(&mut self, marks: &mut Marks, ledger: &mut Ledger, first: usize) {
        let owner = self.tenant.owner.clone();
        let mut changed = self.people[first..].iter_mut().step_by(3).collect::<Vec<_>>();
        for people in changed.chunks_mut(BATCH) {
            let mut items = Vec::new();
            for person in people.iter_mut() {
                let word = marks.word();
                items.push(
                    json!({"id": person.record.id, "if_match": "*", "fields": {"name": word}}),
                );
                ledger.insert(
                    word.clone(),
                    Marked {
                        fate: Fate::Lives,
                        of: "a change".to_owned(),
                        indexed: None,
                        of_record: false,
                    },
                );
                person.record.also.push(word);
            }
            sent(&owner, "/collections/people/records:batchPatch", items).await;
        }
    }

    /// Reads some records for a reason, which stands in the log under the person's key.
    async fn ask_for(&mut self, marks: &mut Marks, ledger: &mut Ledger, first: usize) {
        for person in self.people[first..].iter_mut().step_by(16) {
            let word = marks.word();
            let path = format!("/collections/people/records/{}", person.record.id);
            let call = self.tenant.owner.call("GET", &path).header("Strongroom-Reason", &word);
            call.send().await.ok();
            ledger.insert(
                word.clone(),
                Marked {
                    fate: Fate::Lives,
                    of: "a reason".to_owned(),
                    indexed: None,
                    of_record: false,
                },
            );
            person.reason = Some(word);
        }
    }

    async fn file<'p>(
        &self,
        marks: &mut Marks,
        ledger: &mut Ledger,
        collection: &str,
        people: impl Iterator<Item = &'p Known>,
    ) -> Vec<Made> {
        let items = people.map(|person| json!({"fields": {"person": person.record.id}}));
        self.create(marks, ledger, collection, items.collect::<Vec<_>>()).await
    }

    /// Creates records, each marked in its external id and in a field.
    async fn create(
        &self,
        marks: &mut Marks,
        ledger: &mut Ledger,
        collection: &str,
        items: impl IntoIterator<Item = Value>,
    ) -> Vec<Made> {
        let mut made = Vec::new();
        let mut waiting: Vec<(String, Value)> = Vec::new();
        for mut item in items {
            let mark = marks.word();
            item["external_id"] = mark.clone().into();
            item["fields"]["note"] = mark.clone().into();
            waiting.push((mark, item));
        }
        let path = format!("/collections/{collection}/records:batchCreate");
        for waiting in waiting.chunks(BATCH) {
            let items = waiting.iter().map(|(_, item)| item.clone()).collect();
            let results = sent(&self.tenant.owner, &path, items).await;
            for ((mark, _), result) in waiting.iter().zip(results) {
                let indexed = Some(self.id);
                ledger.insert(
                    mark.clone(),
                    Marked {
                        fate: Fate::Lives,
                        of: collection.to_owned(),
                        indexed,
                        of_record: true,
                    },
                );
                let id = result["id"].as_str().unwrap().to_owned();
                made.push(Made { mark: mark.clone(), id, also: Vec::new() });
            }
        }
        made
    }

    /// Erases what is due in a round of so many: people, records of them, rooms.
    pub(crate) async fn erase(
        &self,
        ledger: &mut Ledger,
        round: usize,
        rounds: usize,
        first_day: usize,
    ) {
        let due = |number: &usize| number % rounds == round;
        let mut gone = Vec::new();
        let (mut records, mut visits) = (Vec::new(), Vec::new());
        let mut targets = Vec::new();
        for number in (0..first_day).filter(due) {
            let person = &self.people[number];
            match number / rounds % 8 {
                0 | 1 => {
                    let found = self.find(&person.mark).await;
                    targets.push(json!({"subject": found}));
                    gone.extend([person.mark.clone()]);
                    gone.extend(person.reason.clone());
                    gone.extend(person.record.words());
                    gone.extend(person.visit.words());
                    if number % 2 == 0 {
                        gone.extend(self.papers[number / 2].words());
                    }
                }
                2 => records.push(&person.record),
                3 => visits.push(&person.visit),
                4 if number < 8 * rounds => {
                    let target = json!({"collection": "people", "id": person.record.id});
                    targets.push(json!({"record": target}));
                    gone.extend(person.record.words());
                }
                _ => {}
            }
        }
        let rooms =
            (0..self.rooms.len()).filter(due).filter(|number| (number / rounds).is_multiple_of(2));
        let rooms: Vec<&Made> = rooms.map(|number| &self.rooms[number]).collect();
        for (collection, made) in [("people", records), ("visits", visits), ("rooms", rooms)] {
            let path = format!("/collections/{collection}/records:batchDelete");
            for made in made.chunks(BATCH) {
                let items = made.iter().map(|made| json!({"id": made.id})).collect();
                sent(&self.tenant.owner, &path, items).await;
                gone.extend(made.iter().flat_map(|made| made.words()));
            }
        }
        self.carry_out(targets).await;
        set_erased(ledger, gone);
    }

    /// Erases the collection of papers.
    pub(crate) async fn burn_papers(&self, ledger: &mut Ledger) {
        self.carry_out(vec![json!({"collection": "papers"})]).await;
        set_erased(ledger, self.papers.iter().flat_map(Made::words).collect());
    }

    /// Erases all data of the tenant.
    pub(crate) async fn close(&self, ledger: &mut Ledger) {
        self.carry_out(vec![json!({"tenant": self.tenant.id})]).await;
        let people = self.people.iter().flat_map(|person| {
            let own = [Some(person.mark.clone()), person.reason.clone()];
            own.into_iter().flatten().chain(person.record.words()).chain(person.visit.words())
        });
        let others = self.rooms.iter().chain(&self.papers).flat_map(Made::words);
        set_erased(ledger, people.chain(others).collect());
    }

    async fn find(&self, external_id: &str) -> String {
        let found = self.tenant.owner.post("/subjects:lookup", json!({"external_id": external_id}));
        found.await.id()
    }

    /// Asks for erasures, some at the same time, so that they share batches.
    async fn carry_out(&self, targets: Vec<Value>) {
        for targets in targets.chunks(16) {
            let mut asked = tokio::task::JoinSet::new();
            for target in targets {
                let owner = self.tenant.owner.clone();
                let body = json!({"target": target, "ground": "contract_ended"});
                asked.spawn(async move {
                    let done = owner.post_once("/erasures", body).await;
                    assert_eq!(done.status, 201, "{}", done.text());
                });
            }
            while let Some(done) = asked.join_next().await {
                done.unwrap();
            }
        }
    }
}

impl Made {
    fn words(&self) -> Vec<String> {
        [std::slice::from_ref(&self.mark), &self.also].concat()
    }
}

fn set_erased(ledger: &mut Ledger, words: Vec<String>) {
    for word in words {
        ledger.get_mut(&word).unwrap().fate = Fate::Erased;
    }
}

/// Sends a batch of which every item must be carried out.
async fn sent(caller: &Caller, path: &str, items: Vec<Value>) -> Vec<Value> {
    let answer = caller.post_once(path, json!({"atomic": true, "items": items})).await;
    let results = answer.ok()["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), items.len(), "{}", answer.text());
    results
}
