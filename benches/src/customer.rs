//! The record that everything is measured with: a customer of ten fields, about 1 KiB of JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A customer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customer {
    name: String,
    email: String,
    phone: String,
    birth_date: String,
    address: Address,
    company: String,
    credit_limit: String,
    newsletter: bool,
    known_since: String,
    note: String,
}

/// Where a customer lives.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    lines: Vec<String>,
    city: String,
    region: String,
    postal_code: String,
    country: String,
}

/// The collection's name.
pub(crate) const COLLECTION: &str = "customers";

const FIRST: [&str; 8] = ["Ana", "Bernd", "Chloé", "Dimitri", "Elif", "Fionn", "Greta", "Hugo"];
const LAST: [&str; 8] =
    ["Marsh", "Nyström", "Okafor", "Pereira", "Quist", "Rossi", "Sørensen", "Tanaka"];
const CITIES: [&str; 4] = ["Springfield", "Riverton", "Fairview", "Lakeside"];
/// Fills the note so that the whole record is about 1 KiB.
const NOTE: &str = "Prefers to be called in the afternoon and never on Fridays. Has two sites, of \
    which the smaller one is closed in winter; deliveries go to the yard behind the building, where \
    the gate has to be opened by hand. Asked in spring for a quotation of the larger tanks and for \
    the terms of a maintenance contract over three years; was sent both, and wants to come back to \
    it after the summer. Invoices go to the head office, with the number of the order in the \
    subject line, and are paid within thirty days. The last delivery came a day late because of the ferry; \
    nobody minded, but the yard had to be kept open, and the driver was offered coffee and a bed \
    for the night.";

impl Customer {
    /// The customer of this number; each looks a little different.
    pub(crate) fn numbered(number: u64) -> Self {
        let first = pick(&FIRST, number);
        let last = pick(&LAST, number / 8);
        let day = number % 28 + 1;
        Self {
            name: format!("{first} {last}"),
            email: format!("customer{number:07}@post.example"),
            phone: format!("+1 555 {:07}", number % 10_000_000),
            birth_date: format!("{}-{:02}-{day:02}", 1940 + number % 60, number % 12 + 1),
            address: Address {
                lines: vec![format!("{} Harbour Street", number % 400 + 1)],
                city: pick(&CITIES, number).to_owned(),
                region: "Eastern".to_owned(),
                postal_code: format!("{:05}", number % 100_000),
                country: "US".to_owned(),
            },
            company: format!("{last} Brothers Haulage and Storage"),
            credit_limit: format!("{}.50", number % 90_000 + 100),
            newsletter: number.is_multiple_of(2),
            known_since: format!("{}-03-{day:02}", 2000 + number % 25),
            note: NOTE.to_owned(),
        }
    }

    /// As JSON text.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn pick<'a>(from: &[&'a str], number: u64) -> &'a str {
    let index = usize::try_from(number % 64).unwrap_or(0) % from.len();
    from.get(index).copied().unwrap_or_default()
}

/// The fields as Strongroom is told about them.
pub(crate) fn fields() -> Vec<Value> {
    [
        ("name", "name"),
        ("email", "email"),
        ("phone", "phone"),
        ("birth_date", "date"),
        ("address", "address"),
        ("company", "text"),
        ("credit_limit", "decimal"),
        ("newsletter", "boolean"),
        ("known_since", "date"),
        ("note", "text"),
    ]
    .iter()
    .map(|(name, kind)| json!({"name": name, "type": kind}))
    .collect()
}

/// The collection as Strongroom is told about it: every record is about a person of its own.
pub(crate) fn collection() -> Value {
    json!({
        "name": COLLECTION, "label": "Customers", "purposes": ["sales"], "subject": "own",
        "fields": fields(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_is_about_a_kibibyte_of_json_and_reads_back() {
        for number in [0, 1, 63, 12_345_678] {
            let text = Customer::numbered(number).json();
            assert!((950..1_150).contains(&text.len()), "{} bytes", text.len());
            let back: Customer = serde_json::from_str(&text).unwrap();
            assert_eq!(back.json(), text);
        }
    }
}
