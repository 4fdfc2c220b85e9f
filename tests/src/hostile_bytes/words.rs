//! Names, ids, values and terms: what is taken is in its one form, and is taken again in that form.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use strongroom_api::HostName;
use strongroom_audit::Position;
use strongroom_client::ServerAddress;
use strongroom_model::{
    BackendId, ChoiceOption, ClassId, ClassName, ClassTerms, ClearValue, CollectionId,
    CollectionName, ConnectionId, DpvTerm, Email, ErasureId, ExternalId, FieldName, FieldType,
    GrantId, InstallId, InvitationId, JobId, KeyId, KeyLabel, Label, Mask, Network, Purpose,
    ReceiptId, RecordId, RequestId, SessionId, SubjectId, TEXT_BYTES_MAX, TenantId, Timestamp,
    UserId,
};
use strongroom_storage::StoreUrl;
use strongroom_vault::policy;

use super::{Seed, Verdict, text};

/// Names, ids, times and places in the log.
pub fn names_and_ids(bytes: &[u8]) -> Verdict {
    let Some(text) = text(bytes) else { return Verdict::Refused };
    // As written, or not at all.
    let exact = [
        exact::<CollectionName>(text),
        exact::<FieldName>(text),
        exact::<ClassName>(text),
        exact::<Purpose>(text),
        exact::<KeyLabel>(text),
        exact::<ExternalId>(text),
        exact::<DpvTerm>(text),
        exact::<Position>(text),
        exact::<InstallId>(text),
        exact::<TenantId>(text),
        exact::<UserId>(text),
        exact::<SubjectId>(text),
        exact::<RecordId>(text),
        exact::<KeyId>(text),
        exact::<SessionId>(text),
        exact::<InvitationId>(text),
        exact::<ClassId>(text),
        exact::<CollectionId>(text),
        exact::<ErasureId>(text),
        exact::<ReceiptId>(text),
        exact::<GrantId>(text),
        exact::<BackendId>(text),
        exact::<ConnectionId>(text),
        exact::<JobId>(text),
        exact::<RequestId>(text),
    ];
    // In another form, which is then the one.
    let settled = [settled::<Label>(text), settled::<Email>(text), settled::<Timestamp>(text)];
    let read = exact.iter().chain(&settled).any(|read| *read);
    Verdict::of(read)
}

/// What stands in the configuration: stores, servers, hosts and networks.
pub fn addresses(bytes: &[u8]) -> Verdict {
    let Some(text) = text(bytes) else { return Verdict::Refused };
    let read = [
        // A database's URL is shown without its password.
        if text.starts_with("postgres") {
            settled::<StoreUrl>(text)
        } else {
            exact::<StoreUrl>(text)
        },
        settled::<ServerAddress>(text),
        settled::<Network>(text),
        HostName::from_str(text).is_ok(),
        strongroom_api::Network::from_str(text).is_ok(),
    ];
    if let Ok(anywhere) = ServerAddress::readable_on_the_way(text) {
        let again = ServerAddress::readable_on_the_way(&anywhere.to_string()).unwrap();
        assert_eq!(again, anywhere);
        assert_eq!(read[1], anywhere.to_string().parse::<ServerAddress>().is_ok());
    }
    Verdict::of(read.contains(&true))
}

/// Whether the text is taken; it must then be shown as it was.
fn exact<T: FromStr + Display>(text: &str) -> bool {
    let Ok(parsed) = text.parse::<T>() else { return false };
    assert_eq!(parsed.to_string(), text, "taken in another form");
    true
}

/// Whether the text is taken; what is shown of it must be taken as the same, and shown so again.
fn settled<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) -> bool {
    let Ok(parsed) = text.parse::<T>() else { return false };
    let shown = parsed.to_string();
    let again = shown.parse::<T>().expect("what is shown is taken");
    assert_eq!(again, parsed, "{shown:?} is shown of {text:?}");
    assert_eq!(again.to_string(), shown);
    true
}

/// The terms of a permission class, as JSON.
pub fn class_terms(bytes: &[u8]) -> Verdict {
    let Ok(terms) = serde_json::from_slice::<ClassTerms>(bytes) else { return Verdict::Refused };
    let json = serde_json::to_vec(&terms).unwrap();
    assert_eq!(serde_json::from_slice::<ClassTerms>(&json).unwrap(), terms);
    let cbor = minicbor::to_vec(&terms).unwrap();
    assert_eq!(minicbor::decode::<ClassTerms>(&cbor).unwrap(), terms);
    Verdict::Read
}

/// Values of every type: `type u8 | JSON` as a caller sends it. What is not JSON is taken for
/// stored bytes.
pub fn field_values(bytes: &[u8]) -> Verdict {
    let Some((number, rest)) = bytes.split_first() else { return Verdict::Refused };
    let kinds = kinds();
    let kind = &kinds[usize::from(*number) % kinds.len()];
    let Ok(sent) = serde_json::from_slice::<ClearValue>(rest) else {
        if let Ok(loaded) = kind.load(rest) {
            let shown: serde_json::Value = serde_json::from_slice(&json(&loaded)).expect("JSON");
            drop(shown);
        }
        return Verdict::Refused;
    };
    let Ok(stored) = kind.store(&sent) else { return Verdict::Refused };
    assert!(stored.expose().len() <= TEXT_BYTES_MAX);
    let loaded = kind.load(stored.expose()).expect("what was stored is loaded");
    let shown = json(&loaded);
    let again: ClearValue = serde_json::from_slice(&shown).expect("what is shown is JSON");
    let stored_again = kind.store(&again).expect("what is shown is taken");
    assert!(
        stored_again.expose() == stored.expose(),
        "{kind:?}: sent {:?}, shown {:?}",
        String::from_utf8_lossy(rest),
        String::from_utf8_lossy(&shown)
    );
    check_masks(kind, &loaded);
    Verdict::Read
}

fn json(value: &ClearValue) -> Vec<u8> {
    let mut out = Vec::new();
    value.write_json(&mut out);
    out
}

/// A mask shows little, and says of itself that it is one.
fn check_masks(kind: &FieldType, value: &ClearValue) {
    for mask in
        [Mask::LastFour, Mask::EmailDomain, Mask::Initials, Mask::Year, Mask::Country, Mask::Hidden]
    {
        let Some(shown) = policy::mask(mask, kind, value) else { continue };
        assert!(policy::is_mask_of(mask, kind, value, &ClearValue::Text(shown.clone())));
        let clear = value.as_text().unwrap_or_default();
        let seen = shown.chars().filter(|c| c.is_alphanumeric()).count();
        let whole = clear.chars().filter(|c| c.is_alphanumeric()).count();
        match mask {
            Mask::LastFour => assert!(seen <= 4 && 2 * seen <= whole, "{shown:?}"),
            Mask::Initials => assert!(2 * seen <= whole.max(1), "{shown:?}"),
            Mask::EmailDomain => assert!(shown.contains(policy::BULLETS), "{shown:?}"),
            Mask::Year => assert!(seen <= 6, "{shown:?}"),
            Mask::Country => assert!(shown.chars().count() <= 60, "{shown:?}"),
            Mask::Hidden => panic!("a hidden value shows {shown:?}"),
        }
    }
}

/// Every type, and a list of each that a list can hold.
fn kinds() -> Vec<FieldType> {
    let option =
        |name: &str| ChoiceOption { name: name.parse().unwrap(), label: name.parse().unwrap() };
    let kinds = vec![
        FieldType::Text,
        FieldType::Name,
        FieldType::Email,
        FieldType::Phone,
        FieldType::Date,
        FieldType::Timestamp,
        FieldType::Number,
        FieldType::Decimal,
        FieldType::Boolean,
        FieldType::Choice(vec![option("north"), option("south")]),
        FieldType::Address,
        FieldType::NationalId,
        FieldType::TaxId,
        FieldType::Card,
        FieldType::Location,
        FieldType::Credential,
        FieldType::Reference("orders".parse().unwrap()),
        FieldType::Subject,
        FieldType::Json,
    ];
    let lists: Vec<_> = kinds.iter().map(|kind| FieldType::List(Box::new(kind.clone()))).collect();
    [kinds, lists].concat()
}

/// The terms of a class that uses every part of the vocabulary.
pub(super) const CLERK: &str = r#"{"owner":false,"rules":[{"actions":["search","read","create"],
"collection":"customers","view":"masked","fields":[{"field":"phone","view":"revealable","write":true}],
"write":true,"rows":"own","purposes":["billing"]},
{"actions":["read"],"view":"clear","rows":{"filter":[{"field":"region","any_of":["north"]}]}}],
"administrative":["read_audit"],"administers":["clerk"],"conditions":{"window":{"zone":"Europe/Berlin",
"weekdays":[1,5],"from_minute":480,"until_minute":1080},"addresses":["192.0.2.0/24","2001:db8::/32"],
"second_factor_seconds_max":600,"purposes":["billing"]}}"#;

pub(super) fn terms_seeds() -> Vec<Seed> {
    let wrong = |from: &str, to: &str| CLERK.replace(from, to).into_bytes();
    vec![
        ("read-clerk", CLERK.as_bytes().to_vec()),
        ("read-owner", br#"{"owner":true}"#.to_vec()),
        ("read-nothing", b"{}".to_vec()),
        ("refused-unknown-member", wrong("\"owner\"", "\"keeper\"")),
        ("refused-unknown-action", wrong("\"search\"", "\"steal\"")),
        ("refused-network", wrong("/24", "/33")),
        ("refused-cut", CLERK.as_bytes()[..200].to_vec()),
    ]
}

pub(super) fn value_seeds() -> Vec<Seed> {
    let kinds = kinds();
    let value = |kind: FieldType, json: &str| {
        let number = kinds.iter().position(|known| *known == kind).unwrap();
        [&[u8::try_from(number).unwrap()], json.as_bytes()].concat()
    };
    let of = |kind: &str| {
        let found = kinds.iter().find(|known| format!("{known:?}").starts_with(kind));
        found.unwrap().clone()
    };
    let record = RecordId::from_bytes([4; 16]).to_string();
    let subject = SubjectId::from_bytes([3; 16]).to_string();
    let location = r#"{"latitude":52.5,"longitude":-13.25,"captured_at":"2026-01-31T09:30:00Z"}"#;
    vec![
        ("read-text", value(FieldType::Text, r#""Ada \u0022 é""#)),
        ("read-name", value(FieldType::Name, r#""Ada Lovelace""#)),
        ("read-email", value(FieldType::Email, r#"" Ada@Example.org ""#)),
        ("refused-email", value(FieldType::Email, r#""ada""#)),
        ("read-phone", value(FieldType::Phone, r#""+49 30 5550100""#)),
        ("read-date", value(FieldType::Date, r#""2026-01-31""#)),
        ("refused-date", value(FieldType::Date, r#""2026-02-30""#)),
        ("read-timestamp", value(FieldType::Timestamp, r#""2026-01-31T09:30:00.5+01:00""#)),
        ("read-number", value(FieldType::Number, "-1.5e300")),
        ("read-number-of-many-digits", value(FieldType::Number, "0.30000000000000004")),
        ("read-number-minus-zero", value(FieldType::Number, "-0")),
        ("read-number-beyond-64-bits", value(FieldType::Number, "1e19")),
        ("refused-number", value(FieldType::Number, "9007199254740993")),
        ("read-decimal", value(FieldType::Decimal, r#""-0012.500""#)),
        ("read-boolean", value(FieldType::Boolean, "true")),
        ("read-choice", value(of("Choice"), r#""south""#)),
        ("refused-choice", value(of("Choice"), r#""west""#)),
        ("read-address", value(FieldType::Address, r#"{"lines":["1 Way"],"country":"DE"}"#)),
        ("read-card", value(FieldType::Card, r#""4111 1111 1111 1111""#)),
        ("refused-card", value(FieldType::Card, r#""4111 1111 1111 1112""#)),
        ("read-location", value(FieldType::Location, location)),
        ("read-reference", value(of("Reference"), &format!("{record:?}"))),
        ("read-subject", value(FieldType::Subject, &format!("{subject:?}"))),
        ("read-json", value(FieldType::Json, r#"{"a":[1,{"b":null}],"c":-0.0,"d":1e19}"#)),
        ("refused-json", value(FieldType::Json, r#"{"a":1,"a":2}"#)),
        ("read-list", value(of("List(Date"), r#"["2026-01-31","0000-01-01"]"#)),
        ("read-list-of-json", value(of("List(Json"), r#"[[1,2],{"a":1.5}]"#)),
    ]
}

pub(super) fn name_seeds() -> Vec<Seed> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    vec![
        ("read-name", bytes("birth_date")),
        ("read-term", bytes("pd:EmailAddress")),
        ("read-email", bytes(" Ada.Lovelace@Example.ORG ")),
        ("read-email-of-a-capital-and-a-mark", bytes("H\u{331}@example.org")),
        ("read-email-of-other-letters", bytes("\u{c9}va\u{130}@\u{17f}traße.example")),
        ("read-label", bytes("  Ame\u{301}lie  ")),
        ("read-external-id", bytes("C-1024/\u{fc}")),
        ("read-tenant", bytes("ten_01h455vb4pex5vsknk084sn02q")),
        ("read-id-too-large", bytes("rec_8zzzzzzzzzzzzzzzzzzzzzzzzz")),
        ("read-time", bytes("2026-01-31T09:30:00.123456789-23:59")),
        ("read-time-before-the-calendar", bytes("-009999-01-02T01:59:59Z")),
        ("read-position", bytes("3.17.abababababababababababababababab")),
        ("refused-line-feed", bytes("a\nb")),
        ("refused-nothing", Vec::new()),
        ("refused-not-utf-8", vec![0xff, 0xfe]),
    ]
}

pub(super) fn address_seeds() -> Vec<Seed> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    vec![
        ("read-store", bytes("redb:./data")),
        ("read-memory", bytes("memory:")),
        ("read-server", bytes("http://127.0.0.1:7800")),
        ("read-server-by-name", bytes("http://localhost:80/")),
        ("read-server-of-version-6", bytes("http://[::1]:7800")),
        ("refused-server-elsewhere", bytes("http://vault.example:7800")),
        ("read-host", bytes("Vault.example.")),
        ("read-network", bytes("192.0.2.0/24")),
        ("read-network-of-version-6", bytes("2001:db8::/32")),
        ("refused-network", bytes("10.0.0.0/33")),
        ("refused-nothing", Vec::new()),
        ("refused-user", bytes("http://me:secret@localhost:1")),
    ]
}
