//! Requests: bodies, queries and headers, read as the server reads them; well-formedness is held
//! against a judge.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use strongroom_api::fuzzing::{self, BODIES, Refused};
use strongroom_api::{
    DEPTH_MAX, HostName, IDEMPOTENCY_KEY_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MIN, Network, PAGE_MAX,
    REASON_BYTES_MAX,
};
use strongroom_model::ClearValue;
use strongroom_vault::Expected;

use super::{Seed, Verdict};

/// A body as any JSON object.
pub fn request_json(bytes: &[u8]) -> Verdict {
    let read = fuzzing::json(bytes);
    let judged = Judged::of(bytes);
    assert_eq!(
        read.is_ok(),
        judged.as_ref().is_some_and(Judged::is_acceptable),
        "{:?}: {judged:?}",
        String::from_utf8_lossy(bytes)
    );
    match read {
        Ok(value) => {
            let mut written = Vec::new();
            value.write_json(&mut written);
            let again = fuzzing::json(&written).expect("what is written is read");
            assert!(is_same(&value, &again), "{:?}", String::from_utf8_lossy(&written));
            Verdict::Read
        }
        Err(refused) => {
            check_refusal(&refused, bytes);
            Verdict::Refused
        }
    }
}

/// A body of one of the API's kinds: `kind u8 | JSON`.
pub fn request_bodies(bytes: &[u8]) -> Verdict {
    let Some((kind, body)) = bytes.split_first() else { return Verdict::Refused };
    let name = BODIES[usize::from(*kind) % BODIES.len()];
    match fuzzing::body(name, body).unwrap() {
        Ok(()) => {
            let judged = Judged::of(body).expect("what is no JSON was read");
            assert!(judged.is_object && judged.depth <= DEPTH_MAX && !judged.has_key_twice);
            Verdict::Read
        }
        Err(refused) => {
            check_refusal(&refused, body);
            Verdict::Refused
        }
    }
}

/// The query of a list.
pub fn list_query(bytes: &[u8]) -> Verdict {
    /// Most bytes of a cursor.
    const CURSOR_MAX: usize = 1024;
    let uri = [b"/v1/list?", bytes].concat();
    let Ok(uri) = fuzzing::Uri::try_from(uri) else { return Verdict::Refused };
    let page = fuzzing::page(&uri, "next-cursor_1");
    if let Ok(page) = &page {
        assert!((1..=PAGE_MAX).contains(&page.limit));
        assert!(page.cursor.as_ref().is_none_or(|cursor| (1..=CURSOR_MAX).contains(&cursor.len())));
        let followed = page.followed.parse().expect("the way to the next page is a path");
        // A member whose name is written with `%` is another one to the gate, which refuses it.
        if !bytes.contains(&b'%') {
            let next = fuzzing::page(&followed, "").expect("the next page can be asked for");
            assert_eq!((next.limit, next.cursor.as_deref()), (page.limit, Some("next-cursor_1")));
        }
    }
    let projection = fuzzing::projection(&uri);
    if let Ok((fields, reveal)) = &projection {
        let names = |names: &[strongroom_model::FieldName]| {
            names.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        };
        let fields_again =
            fields.as_ref().map_or(String::new(), |fields| format!("fields={}&", names(fields)));
        let reveal_again =
            if reveal.is_empty() { String::new() } else { format!("reveal={}", names(reveal)) };
        let again = format!("/v1/list?{fields_again}{reveal_again}").parse().unwrap();
        let again = fuzzing::projection(&again).unwrap();
        assert_eq!((&again.0, &again.1), (fields, reveal));
    }
    for refused in [page.as_ref().err(), projection.as_ref().err()].into_iter().flatten() {
        check_refusal(refused, bytes);
    }
    Verdict::of(page.is_ok() && projection.is_ok())
}

/// Headers of a request, one a line: `name: value`.
pub fn request_headers(bytes: &[u8]) -> Verdict {
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let proxies: [Network; 2] = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap());
    let hosts: [HostName; 2] = ["vault.example", "[::1]"].map(|text| text.parse().unwrap());
    let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    });
    let read = fuzzing::headers(lines.clone(), peer, &proxies, &hosts);
    let named = |name: &str| lines.clone().any(|(it, _)| it.eq_ignore_ascii_case(name.as_bytes()));
    if let Ok(Some(reason)) = &read.reason {
        assert!((1..=REASON_BYTES_MAX).contains(&reason.len()));
        assert!(!reason.chars().any(char::is_control));
    }
    if let Ok(Some(key)) = &read.idempotency_key {
        let length = IDEMPOTENCY_KEY_LENGTH_MIN..=IDEMPOTENCY_KEY_LENGTH_MAX;
        assert!(length.contains(&key.len()) && key.is_ascii());
    }
    if !named("if-match") {
        assert!(matches!(read.expected, Ok(Expected::Missing)));
    }
    if !named("x-forwarded-for") {
        assert_eq!(read.address, peer, "an address out of nothing");
    }
    assert_eq!(read.address, read.address.to_canonical());
    assert!(!read.is_for || named("host"), "a request for nobody is for us");
    assert!(read.token.is_err() || named("authorization"));
    let refused = [
        read.token.as_ref().err(),
        read.purpose.as_ref().err(),
        read.reason.as_ref().err(),
        read.idempotency_key.as_ref().err(),
        read.expected.as_ref().err(),
    ];
    for refused in refused.iter().copied().flatten() {
        check_refusal(refused, bytes);
    }
    Verdict::of(refused.iter().all(Option::is_none))
}

/// A refusal is a whole problem document of the caller's making, and repeats none of the caller's
/// words. Names of fields may be repeated; they are in lower case.
fn check_refusal(refused: &Refused, sent: &[u8]) {
    /// Capitals in a row that make a word; the product's own sentences have fewer.
    const WORD: usize = 6;
    assert!((400..500).contains(&refused.status), "{}", refused.code);
    let problem: serde_json::Value = serde_json::from_slice(&refused.document).expect("JSON");
    assert_eq!(problem["code"], refused.code);
    assert_eq!(problem["status"], refused.status);
    for word in sent.split(|byte| !byte.is_ascii_uppercase()).filter(|word| word.len() >= WORD) {
        let repeated = refused.document.windows(word.len()).any(|window| window == word);
        assert!(!repeated, "{}", String::from_utf8_lossy(&refused.document));
    }
}

/// Whether two values are the same to whoever reads the JSON.
fn is_same(one: &ClearValue, two: &ClearValue) -> bool {
    match (one, two) {
        (ClearValue::Null, ClearValue::Null) => true,
        (ClearValue::Boolean(one), ClearValue::Boolean(two)) => one == two,
        (ClearValue::Integer(one), ClearValue::Integer(two)) => one == two,
        (ClearValue::Float(one), ClearValue::Float(two)) => one.to_bits() == two.to_bits(),
        (ClearValue::Text(one), ClearValue::Text(two)) => one == two,
        (ClearValue::List(one), ClearValue::List(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| is_same(one, two))
        }
        (ClearValue::Object(one), ClearValue::Object(two)) => {
            one.len() == two.len()
                && one
                    .iter()
                    .zip(two)
                    .all(|(one, two)| one.name == two.name && is_same(&one.value, &two.value))
        }
        (_, _) => false,
    }
}

/// What the judge says of a text that is JSON at all.
#[derive(Debug)]
struct Judged {
    is_object: bool,
    depth: usize,
    has_key_twice: bool,
    has_number_beyond_64_bits: bool,
}

impl Judged {
    /// `None` for what is not JSON, or nested more than 127 deep.
    fn of(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<serde_json::Value>(bytes).ok()?;
        let tree: Tree = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            is_object: matches!(tree, Tree::Object(_)),
            depth: tree.depth(),
            has_key_twice: tree.any(&|it| match it {
                Tree::Object(members) => {
                    let names: BTreeSet<_> = members.iter().map(|(name, _)| name).collect();
                    names.len() < members.len()
                }
                Tree::Array(_) | Tree::TooLarge | Tree::Other => false,
            }),
            has_number_beyond_64_bits: tree.any(&|it| matches!(it, Tree::TooLarge)),
        })
    }

    fn is_acceptable(&self) -> bool {
        self.is_object
            && self.depth <= DEPTH_MAX
            && !self.has_key_twice
            && !self.has_number_beyond_64_bits
    }
}

/// JSON as the judge sees it, with every member of an object.
enum Tree {
    Object(Vec<(String, Tree)>),
    Array(Vec<Tree>),
    TooLarge,
    Other,
}

impl Tree {
    fn inner(&self) -> Vec<&Self> {
        match self {
            Self::Object(members) => members.iter().map(|(_, value)| value).collect(),
            Self::Array(items) => items.iter().collect(),
            Self::TooLarge | Self::Other => Vec::new(),
        }
    }

    fn depth(&self) -> usize {
        let own = usize::from(matches!(self, Self::Object(_) | Self::Array(_)));
        own + self.inner().into_iter().map(Self::depth).max().unwrap_or(0)
    }

    fn any(&self, is_it: &dyn Fn(&Self) -> bool) -> bool {
        is_it(self) || self.inner().into_iter().any(|inner| inner.any(is_it))
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Tree;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Other)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
                Ok(Tree::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
                Ok(Tree::Other)
            }
            fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
                Ok(if i64::try_from(number).is_ok() { Tree::Other } else { Tree::TooLarge })
            }
            fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
                Ok(Tree::Other)
            }
            fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
                Ok(Tree::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = from.next_element()? {
                    items.push(item);
                }
                Ok(Tree::Array(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = from.next_entry()? {
                    members.push(member);
                }
                Ok(Tree::Object(members))
            }
        }
        from.deserialize_any(Any)
    }
}

pub(super) fn json_seeds() -> Vec<Seed> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let nested =
        |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).into_bytes();
    vec![
        ("read-object", bytes(r#"{"a":[1,-2.5e3,true,false,null,"\u00e9\ud83d\ude00\n"],"b":{}}"#)),
        ("read-blanks", bytes(" \t\r\n{ \"a\" : 1 } ")),
        (
            "read-numbers",
            bytes(
                r#"{"a":0.1,"b":1e19,"c":-0.0,"d":9223372036854775807,"e":5e-324,"f":31.245270191439438}"#,
            ),
        ),
        ("read-32-deep", nested(32)),
        ("refused-33-deep", nested(33)),
        ("refused-200-deep", nested(200)),
        ("refused-key-twice", bytes(r#"{"a":1,"\u0061":2}"#)),
        ("refused-number-beyond-64-bits", bytes(r#"{"a":9223372036854775808}"#)),
        ("refused-number-beyond-floats", bytes(r#"{"a":1e400}"#)),
        ("refused-half-a-character", bytes(r#"{"a":"\ud800"}"#)),
        ("refused-array", bytes("[1]")),
        ("refused-two-values", bytes("{} {}")),
        ("refused-comma", bytes(r#"{"a":1,}"#)),
        ("refused-not-utf-8", b"{\"a\":\"\xff\"}".to_vec()),
        ("refused-open-text", bytes(r#"{"a":"[[[["#)),
    ]
}

pub(super) fn body_seeds() -> Vec<Seed> {
    let body = |name: &str, json: &str| {
        let kind = BODIES.iter().position(|known| *known == name).unwrap();
        [&[u8::try_from(kind).unwrap()], json.as_bytes()].concat()
    };
    let batch_read = r#"{"items":[{"collection":"customers","external_id":"C-1024"}],"shown":{"customers":{"fields":["name"],"reveal":[]}}}"#;
    let batch_of_new = r#"{"items":[{"subject":{"external_id":"person-4711"},"notice":2,"fields":{}}],"atomic":true}"#;
    let batch_changes =
        r#"{"items":[{"external_id":"C-1024","if_match":3,"fields":{"fax":null}}]}"#;
    let archive = r#"{"collections":["customers"],"recipients":["age1qqqq"]}"#;
    let terms = super::words::CLERK;
    let class = format!(r#"{{"name":"clerk","label":"Clerk","terms":{terms}}}"#);
    let replacement = format!(r#"{{"label":"Clerk","terms":{terms}}}"#);
    let record = r#"{"external_id":"C-1024","source":"an export","collected_at":"2026-01-31T09:30:00Z",
"purposes":["sales"],"assignees":[],"fields":{"name":"Sandra Sample","total":12.5}}"#;
    let import = format!(r#"{{"items":[{record},{{"fields":{{}}}}]}}"#);
    let field = r#"{"name":"region","type":{"choice":[{"name":"north","label":"North"}]},
"category":"pd:Location","mask":"hidden","required":true,"scope":true}"#;
    let collection = format!(
        r#"{{"name":"customers","label":"Customers","purposes":["sales"],"subject":{{"through":"owner"}},
"fields":[{field},{{"name":"days","type":{{"list":"date"}}}}]}}"#
    );
    let erasure = r#"{"target":{"record":{"collection":"customers","id":"rec_01h455vb4pex5vsknk084sn02q"}},
"ground":"subject_request","dry_run":true}"#;
    let key = r#"{"label":"web","classes":["clerk"],"expires_at":"2026-12-31T00:00:00Z"}"#;
    let user =
        r#"{"name":"Carl Clerk","email":"carl@example.org","external_id":"7","classes":["clerk"]}"#;
    vec![
        ("read-api-key", body("api_key", key)),
        ("refused-api-key", body("api_key", &key.replace("web", "WEB SERVER"))),
        ("read-class", body("class", &class)),
        ("refused-class", body("class", &class.replace("read", "STEALING"))),
        ("read-class-replacement", body("class_replacement", &replacement)),
        ("read-collection", body("collection", &collection)),
        ("refused-collection", body("collection", &collection.replace("choice", "CHOICES"))),
        ("read-collection-patch", body("collection_patch", "{}")),
        ("read-erasure", body("erasure", erasure)),
        ("refused-erasure", body("erasure", &erasure.replace("subject_request", "WHATEVER"))),
        ("read-import", body("import", &import)),
        ("read-lookup", body("lookup", r#"{"external_id":"C-1024"}"#)),
        ("read-record", body("record", record)),
        ("refused-record-as-array", body("record", r#"["SANDRA"]"#)),
        ("refused-record-with-a-field-twice", body("record", r#"{"fields":{"a":1,"a":2}}"#)),
        ("read-record-patch", body("record_patch", r#"{"fields":{"fax":null},"assignees":[]}"#)),
        ("refused-record-patch", body("record_patch", r#"{"assignees":null}"#)),
        ("read-redemption", body("redemption", r#"{"token":"sri_SECRETSECRET"}"#)),
        ("refused-redemption", body("redemption", r#"{"token":["sri_SECRETSECRET"]}"#)),
        ("read-subject", body("subject", r#"{"external_id":"person-4711"}"#)),
        ("read-tenant", body("tenant", r#"{"name":"Sample Ltd","owner":{"name":"Olive Owner"}}"#)),
        ("read-unlocking", body("unlocking", r#"{"passphrase":"PASSPHRASE"}"#)),
        ("read-user", body("user", user)),
        ("refused-user", body("user", &user.replace("carl@", "CARLOTTA"))),
        ("read-user-patch", body("user_patch", r#"{"state":"suspended"}"#)),
        ("read-batch-read", body("batch_read", batch_read)),
        ("refused-batch-read", body("batch_read", &batch_read.replace("{\"fields", "[{\"SANDRA"))),
        ("read-batch-of-new", body("batch_of_new", batch_of_new)),
        ("refused-batch-of-new", body("batch_of_new", &batch_of_new.replace("person-4711", ""))),
        ("read-batch-changes", body("batch_changes", batch_changes)),
        ("refused-batch-changes", body("batch_changes", &batch_changes.replace('3', "-3"))),
        (
            "read-batch-removal",
            body("batch_removal", r#"{"items":[{"external_id":"C-1","if_match":"*"}]}"#),
        ),
        ("read-archive", body("archive", archive)),
        ("refused-archive", body("archive", &archive.replace("[\"age", "[1, \"AGE"))),
    ]
}

pub(super) fn query_seeds() -> Vec<Seed> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    vec![
        ("read-page", bytes("limit=100&cursor=U1IBAQMA")),
        ("read-projection", bytes("fields=name,phone&reveal=phone&limit=1")),
        ("read-nothing", Vec::new()),
        ("read-most", bytes("limit=1000&&cursor=")),
        ("read-cursor-without-a-value", bytes("cursor")),
        ("refused-too-many", bytes("limit=1001")),
        ("refused-none", bytes("limit=000")),
        ("refused-limit-twice", bytes("limit=1&limit=2")),
        ("refused-endless-limit", bytes("limit=99999999999999999999999999")),
        ("refused-name", bytes("fields=name,,NOTANAME")),
        ("refused-name-of-bytes", bytes("fields=%ff%fe")),
        ("refused-long-cursor", format!("cursor={}", "A".repeat(1025)).into_bytes()),
        ("refused-not-a-query", bytes("limit=1 2")),
    ]
}

pub(super) fn header_seeds() -> Vec<Seed> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let whole = "Authorization: Bearer srs_AAAA\nHost: vault.example:7800\n\
        Strongroom-Purpose: billing\nStrongroom-Reason: because%20%C3%A9\n\
        Idempotency-Key: 0123456789-abcdefghij_\nIf-Match: \"v3\"\n\
        X-Forwarded-For: 203.0.113.9, 10.2.3.4";
    vec![
        ("read-whole", bytes(whole)),
        ("read-token-alone", bytes("authorization: bearer x")),
        ("read-any-version", bytes("authorization: bearer x\nif-match: *")),
        ("read-proxies", bytes("authorization: bearer x\nx-forwarded-for: [2001:db8::9]:4711")),
        ("refused-nothing", Vec::new()),
        ("refused-token-twice", bytes("authorization: bearer x\nauthorization: bearer x")),
        ("refused-purpose", bytes(&whole.replace("billing", "BILLING"))),
        ("refused-reason-of-half-a-byte", bytes(&whole.replace("%A9", "%A"))),
        ("refused-reason-with-control-character", bytes(&whole.replace("%20", "%0A"))),
        ("refused-short-key", bytes(&whole.replace("0123456789-", ""))),
        ("refused-version", bytes(&whole.replace("\"v3\"", "W/\"v3\""))),
        ("refused-version-beyond-64-bits", bytes(&whole.replace("v3", "v18446744073709551616"))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_body_has_a_seed_that_is_read() {
        let seeds = body_seeds();
        for (kind, name) in BODIES.iter().enumerate() {
            let is_of_kind = |seed: &&Seed| usize::from(seed.1[0]) == kind;
            let mut read = seeds.iter().filter(is_of_kind).map(|seed| seed.0);
            assert!(read.any(|seed| seed.starts_with("read-")), "{name}");
        }
    }
}
