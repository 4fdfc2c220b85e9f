//! Marked values, which are looked for afterwards wherever they must not be.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use strongroom_model::Rng as _;

use crate::Needle;

/// Hands out marked values and remembers them.
#[derive(Default)]
pub struct Canaries {
    /// What must not be found.
    pub needles: Vec<Needle>,
}

impl Canaries {
    /// A value that fits wherever text does, also where only small letters and digits do.
    pub fn word(&mut self, name: &str) -> String {
        let mut bytes = [0; 20];
        strongroom_crypto::SystemRng::new().fill(&mut bytes).unwrap();
        let word: String = bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        self.needles.push(Needle::new(name, word.as_bytes()));
        word
    }

    /// Digits. With the last one they pass the check of card numbers.
    pub fn digits(&mut self, name: &str) -> String {
        let mut bytes = [0; 15];
        strongroom_crypto::SystemRng::new().fill(&mut bytes).unwrap();
        let mut digits: Vec<u32> = bytes.iter().map(|byte| u32::from(byte % 9) + 1).collect();
        let sum: u32 = digits
            .iter()
            .rev()
            .enumerate()
            .map(|(place, digit)| match (place % 2, *digit) {
                (0, digit) if digit > 4 => 2 * digit - 9,
                (0, digit) => 2 * digit,
                (_, digit) => digit,
            })
            .sum();
        digits.push((10 - sum % 10) % 10);
        let text: String = digits.iter().map(ToString::to_string).collect();
        self.needles.push(Needle::new(name, text.as_bytes()));
        text
    }

    /// A token: as text, and the secret part of it as bytes.
    pub fn token(&mut self, name: &str, token: &str) {
        self.needles.push(Needle::new(name, token.as_bytes()));
        let (_, body) = token.split_once('_').unwrap();
        let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).unwrap();
        self.needles.push(Needle::new(format!("{name}, its secret"), &bytes[32..56]));
    }
}

/// Every field type that holds what a person chose.
pub fn fields(canaries: &mut Canaries, way: &str) -> Value {
    let mut word = |what: &str| canaries.word(&format!("{what} by {way}"));
    let mut fields = json!({
        "text": word("text"),
        "name": format!("{} {}", word("first name"), word("last name")),
        "email": format!("{}@{}.example", word("mailbox"), word("domain")),
        "national_id": word("national id"),
        "tax_id": word("tax id"),
        "credential": word("credential"),
        "address": {
            "lines": [word("address line"), word("second line")], "city": word("city"),
            "region": word("region"), "postal_code": word("postal code"), "country": word("country"),
        },
        "list": [word("list item"), word("second item")],
        "scope": word("scope attribute"),
    });
    let json_key = word("key of json");
    fields["json"] = json!({json_key: [word("value of json")]});
    fields["phone"] = json!(format!("+49 {}", canaries.digits(&format!("phone by {way}"))));
    fields["card"] = json!(canaries.digits(&format!("card by {way}")));
    fields["decimal"] = json!(canaries.digits(&format!("decimal by {way}")));
    fields
}
