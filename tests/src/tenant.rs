//! Made-up tenants: their people, and the collections in which they keep them.

use serde_json::{Value, json};

use crate::{Caller, Reply, Server};

/// A tenant whose owner has come in.
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its owner, with a session.
    pub owner: Caller,
    /// The owner's user id.
    pub owner_id: String,
}

/// A person who was made up.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// Their number with the tenant.
    pub external_id: &'static str,
    /// Their name.
    pub name: &'static str,
    /// Their e-mail address.
    pub email: &'static str,
    /// Their telephone number.
    pub phone: &'static str,
    /// Their birthday.
    pub birth_date: &'static str,
}

impl Person {
    /// Those whom every made-up tenant knows.
    pub const ALL: [Self; 3] = [
        Self {
            external_id: "P-1",
            name: "Mira Halloran",
            email: "mira@halloran.example",
            phone: "+353 1 555 0141",
            birth_date: "1979-04-23",
        },
        Self {
            external_id: "P-2",
            name: "Tobias Quist",
            email: "quist.t@post.example",
            phone: "+45 55 50 01 72",
            birth_date: "1991-11-02",
        },
        Self {
            external_id: "P-3",
            name: "Ana Belén Otxoa",
            email: "anabelen@otxoa.example",
            phone: "+34 555 010 893",
            birth_date: "1964-07-30",
        },
    ];

    /// The person as the fields of a record.
    pub fn fields(&self) -> Value {
        json!({
            "name": self.name, "email": self.email, "phone": self.phone,
            "birth_date": self.birth_date, "note": format!("calls herself {}", self.external_id),
        })
    }
}

/// A tenant that keeps patients and their visits.
pub struct Clinic {
    /// The tenant.
    pub tenant: Tenant,
    /// A clerk, with an API key.
    pub clerk: Caller,
    /// A manager, with an API key.
    pub manager: Caller,
    /// A privacy officer, with an API key.
    pub officer: Caller,
    /// The ids of the patients' records, as in [`Person::ALL`].
    pub patients: Vec<String>,
    /// Their subjects.
    pub subjects: Vec<String>,
    /// The ids of the visits: two of the first patient, one of each other.
    pub visits: Vec<String>,
}

impl Tenant {
    pub(crate) async fn new(server: &Server, name: &str) -> Self {
        let body = json!({"name": name, "owner": {"name": "Odette Owner", "email": "odette@owner.example"}});
        let made = server.operator().post("/v1/tenants", body).await.ok();
        let id = made["id"].as_str().unwrap().to_owned();
        let token = server.redeem(made["invitation"]["token"].as_str().unwrap()).await;
        let owner = server.caller(&format!("/v1/tenants/{id}"), Some(&token));
        let myself = owner.get("/v1/whoami").await.ok();
        let owner_id = myself["user"].as_str().unwrap().to_owned();
        Self { id, owner, owner_id }
    }

    /// An API key with these classes that ends in a day, as the owner makes it.
    pub async fn key(&self, server: &Server, classes: &[&str]) -> Caller {
        let ends = server.clock.in_seconds(24 * 60 * 60);
        let body = json!({"label": "test_key", "classes": classes, "expires_at": ends});
        let made = self.owner.post("/api-keys", body).await.ok();
        self.owner.with_token(made["token"].as_str().unwrap())
    }

    /// A user with these classes who has come in: their id and themselves.
    pub async fn user(&self, server: &Server, classes: &[&str]) -> (String, Caller) {
        let body = json!({"name": "Ulla User", "classes": classes});
        let made = self.owner.post("/users", body).await.ok();
        let token = server.redeem(made["invitation"]["token"].as_str().unwrap()).await;
        (made["id"].as_str().unwrap().to_owned(), self.owner.with_token(&token))
    }

    /// Declares a collection of these fields, each `(name, type)`.
    pub async fn collection(&self, name: &str, subject: Value, fields: &[(&str, Value)]) {
        let fields: Vec<Value> =
            fields.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        let body = json!({
            "name": name, "label": name, "purposes": ["care"], "subject": subject, "fields": fields,
        });
        let made = self.owner.post("/collections", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }

    /// Whether an answer names this tenant.
    pub fn name_in(&self, answer: &Reply) -> bool {
        answer.text().contains(&self.id)
    }

    /// Creates a record and gives the answer's body.
    pub async fn record(&self, collection: &str, body: Value) -> Value {
        let path = format!("/collections/{collection}/records");
        let made = self.owner.post(&path, body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    }
}

impl Clinic {
    /// Opens a clinic with three patients and four visits.
    pub async fn open(server: &Server, name: &str) -> Self {
        let tenant = server.tenant(name).await;
        let text = |kind: &str| json!(kind);
        let patients = [
            ("name", text("name")),
            ("email", text("email")),
            ("phone", text("phone")),
            ("birth_date", text("date")),
            ("note", text("text")),
        ];
        tenant.collection("patients", json!("own"), &patients).await;
        let visits = [
            ("patient", json!({"reference": "patients"})),
            ("on", text("date")),
            ("fee", text("decimal")),
        ];
        tenant.collection("visits", json!({"through": "patient"}), &visits).await;
        let (mut patients, mut subjects) = (Vec::new(), Vec::new());
        // Records are listed in the order in which they were created, as far as the clock tells.
        for person in Person::ALL {
            server.clock.advance(1);
            let body = json!({"external_id": person.external_id, "fields": person.fields()});
            let made = tenant.record("patients", body).await;
            patients.push(made["id"].as_str().unwrap().to_owned());
            subjects.push(made["subject"].as_str().unwrap().to_owned());
        }
        let mut visits = Vec::new();
        for (number, patient) in ["P-1", "P-1", "P-2", "P-3"].into_iter().enumerate() {
            server.clock.advance(1);
            let body = json!({
                "external_id": format!("V-{number}"),
                "fields": {
                    "patient": {"external_id": patient}, "on": "2026-02-11",
                    "fee": format!("{number}.50"),
                },
            });
            let made = tenant.record("visits", body).await;
            visits.push(made["id"].as_str().unwrap().to_owned());
        }
        let clerk = tenant.key(server, &["clerk"]).await;
        let manager = tenant.key(server, &["manager"]).await;
        let officer = tenant.key(server, &["privacy_officer"]).await;
        Self { tenant, clerk, manager, officer, patients, subjects, visits }
    }

    /// The path of a patient's record.
    pub fn patient(&self, number: usize) -> String {
        format!("/collections/patients/records/{}", self.patients[number])
    }

    /// The path of a visit's record.
    pub fn visit(&self, number: usize) -> String {
        format!("/collections/visits/records/{}", self.visits[number])
    }

    /// Everybody of the clinic at the address that the server has now.
    pub fn moved(&mut self, server: &Server) {
        for caller in
            [&mut self.tenant.owner, &mut self.clerk, &mut self.manager, &mut self.officer]
        {
            *caller = server.again(caller);
        }
    }

    /// Erases something and gives the erasure.
    pub async fn erase(&self, by: &Caller, target: Value) -> Value {
        let body = json!({"target": target, "ground": "subject_request"});
        let done = by.post_once("/erasures", body).await;
        assert_eq!(done.status, 201, "{}", done.text());
        done.json()
    }

    /// All that the owner sees: users, keys, classes, collections, records, subjects' records and
    /// erasures. Two of them are equal if nothing has changed between.
    pub async fn state(&self) -> String {
        let mut lists = Vec::new();
        for path in [
            "/users",
            "/api-keys",
            "/classes",
            "/collections",
            "/collections/patients/records",
            "/collections/visits/records",
            "/erasures",
        ] {
            lists.push(json!({path: self.tenant.owner.all(path, 400).await}));
        }
        for subject in &self.subjects {
            let path = format!("/subjects/{subject}/records");
            lists.push(json!({path.as_str(): self.tenant.owner.get(&path).await.json()["data"]}));
        }
        Value::from(lists).to_string()
    }
}
