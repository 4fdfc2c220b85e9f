//! Masks: what is left of a value for those who may not see it.

use strongroom_model::{ClearValue, FieldType, Mask};

/// What stands for something that is not shown, however long it is.
pub const BULLETS: &str = "•••";

/// A value with fewer letters and digits shows none of them under [`Mask::LastFour`], so that never
/// more than half of a value is seen.
const LAST_FOUR_LENGTH_MIN: usize = 8;

/// At most so many initials are shown, so that they tell nothing of a longer text.
const INITIALS_MAX: usize = 4;

/// The longest text that is taken for a country.
const COUNTRY_LENGTH_MAX: usize = 60;

/// What the mask leaves of a value of this type, as text. Nothing for the mask `hidden`, for a mask
/// that the type does not take, and where there is no value. A value that does not have the expected
/// shape shows bullets alone.
pub fn mask(mask: Mask, kind: &FieldType, value: &ClearValue) -> Option<String> {
    if !kind.takes(mask) || value.is_null() {
        return None;
    }
    let text = || value.as_text().unwrap_or_default();
    match mask {
        Mask::LastFour => Some(last_four(text())),
        Mask::EmailDomain => Some(email_domain(text())),
        Mask::Initials => Some(initials(text())),
        Mask::Year => Some(year(text())),
        Mask::Country => Some(country(value)),
        Mask::Hidden => None,
    }
}

/// Whether what is written is just what the mask shows of the value that is there: writing it would
/// destroy the value.
pub fn is_mask_of(
    mask_of_field: Mask,
    kind: &FieldType,
    present: &ClearValue,
    written: &ClearValue,
) -> bool {
    let shown = mask(mask_of_field, kind, present);
    shown.is_some_and(|shown| written.as_text().is_some_and(|text| text.trim() == shown))
}

fn last_four(text: &str) -> String {
    let shown: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
    if shown.len() < LAST_FOUR_LENGTH_MIN {
        return BULLETS.to_owned();
    }
    let tail: String = shown.iter().skip(shown.len() - 4).collect();
    format!("{BULLETS} {tail}")
}

fn email_domain(text: &str) -> String {
    let Some((local, domain)) = text.rsplit_once('@') else { return BULLETS.to_owned() };
    let first = local.chars().next().filter(|c| c.is_alphanumeric());
    format!("{}{BULLETS}@{domain}", first.map(String::from).unwrap_or_default())
}

/// A word of one letter would be shown whole by its initial, so it is not shown.
fn initials(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric));
    let shown: Vec<String> = words
        .take(INITIALS_MAX)
        .map(|word| {
            let mut letters = word.chars().filter(|c| c.is_alphabetic());
            match (letters.next(), letters.next()) {
                (Some(first), Some(_)) => format!("{first}."),
                (Some(_), None) | (None, _) => "•.".to_owned(),
            }
        })
        .collect();
    if shown.is_empty() { BULLETS.to_owned() } else { shown.join(" ") }
}

fn year(text: &str) -> String {
    match text.split_once('-') {
        Some((year, _)) if year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()) => {
            year.to_owned()
        }
        Some(_) | None => BULLETS.to_owned(),
    }
}

/// What stands in the place of the country is shown if it looks like one: letters, no digits, short.
fn country(value: &ClearValue) -> String {
    let text = value.member("country").and_then(ClearValue::as_text).unwrap_or_default().trim();
    let like_a_country =
        text.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '\'' | '.' | '(' | ')'));
    let length = text.chars().count();
    if like_a_country && (2..=COUNTRY_LENGTH_MAX).contains(&length) {
        text.to_owned()
    } else {
        BULLETS.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use strongroom_model::clear_value::Member;

    use super::*;

    fn text(text: &str) -> ClearValue {
        ClearValue::Text(text.to_owned())
    }

    fn check(kind: &FieldType, by: Mask, value: &str) -> Option<String> {
        mask(by, kind, &text(value))
    }

    #[test]
    fn a_mask_leaves_what_it_says_and_no_more() {
        for (kind, by, value, shown) in [
            (FieldType::Phone, Mask::LastFour, "+49 (30) 901-820", "••• 1820"),
            (FieldType::NationalId, Mask::LastFour, "078-05-1120", "••• 1120"),
            (FieldType::Card, Mask::LastFour, "4111111111111111", "••• 1111"),
            (FieldType::TaxId, Mask::LastFour, "1234", "•••"),
            (FieldType::TaxId, Mask::LastFour, "12345", "•••"),
            (FieldType::TaxId, Mask::LastFour, "1234567", "•••"),
            (FieldType::TaxId, Mask::LastFour, "1---------2", "•••"),
            (FieldType::Text, Mask::LastFour, "zażółć gęślą", "••• ęślą"),
            (FieldType::Text, Mask::LastFour, "", "•••"),
            (FieldType::Email, Mask::EmailDomain, "ada@example.org", "a•••@example.org"),
            (FieldType::Email, Mask::EmailDomain, "żak@example.org", "ż•••@example.org"),
            (FieldType::Email, Mask::EmailDomain, "+x@example.org", "•••@example.org"),
            (FieldType::Email, Mask::EmailDomain, "\"a@b\"@example.org", "•••@example.org"),
            (FieldType::Email, Mask::EmailDomain, "ada", "•••"),
            (FieldType::Name, Mask::Initials, "Ada Lovelace", "A. L."),
            (FieldType::Name, Mask::Initials, "  Łucja   d'Été ", "Ł. d."),
            (FieldType::Name, Mask::Initials, "王 伟", "•. •."),
            (FieldType::Name, Mask::Initials, "X", "•."),
            (FieldType::Name, Mask::Initials, "a7", "•."),
            (FieldType::Name, Mask::Initials, "one two three four five six", "o. t. t. f."),
            (FieldType::Name, Mask::Initials, "— …", "•••"),
            (FieldType::Date, Mask::Year, "1815-12-10", "1815"),
            (FieldType::Timestamp, Mask::Year, "2026-01-31T09:30:00Z", "2026"),
            (FieldType::Date, Mask::Year, "-000044-03-15", "•••"),
            (FieldType::Date, Mask::Year, "10.12.1815", "•••"),
        ] {
            assert_eq!(check(&kind, by, value).as_deref(), Some(shown), "{kind:?} {value}");
        }
    }

    #[test]
    fn an_address_shows_its_country_alone_and_only_if_it_looks_like_one() {
        for (country, shown) in [
            ("DE", "DE"),
            ("Côte d'Ivoire", "Côte d'Ivoire"),
            ("Unter den Linden 1, DE", "•••"),
            ("", "•••"),
            (&"a".repeat(61), "•••"),
        ] {
            let address = ClearValue::Object(vec![
                Member { name: "city".to_owned(), value: text("Berlin") },
                Member { name: "country".to_owned(), value: text(country) },
            ]);
            let masked = mask(Mask::Country, &FieldType::Address, &address);
            assert_eq!(masked.as_deref(), Some(shown), "{country}");
        }
    }

    #[test]
    fn a_mask_that_the_type_does_not_take_shows_nothing() {
        assert_eq!(check(&FieldType::Card, Mask::EmailDomain, "a@example.org"), None);
        assert_eq!(check(&FieldType::Credential, Mask::LastFour, "correct horse"), None);
        assert_eq!(check(&FieldType::Email, Mask::Hidden, "ada@example.org"), None);
        assert_eq!(mask(Mask::LastFour, &FieldType::Card, &ClearValue::Null), None);
    }

    #[test]
    fn writing_back_the_mask_is_noticed_and_writing_another_value_is_not() {
        let kind = FieldType::Email;
        let present = text("ada@example.org");
        let check = |written: &str| is_mask_of(Mask::EmailDomain, &kind, &present, &text(written));
        assert!(check("a•••@example.org"));
        assert!(check(" a•••@example.org "));
        assert!(!check("ada@example.org"));
        assert!(!check("b•••@example.org"));
        assert!(!is_mask_of(Mask::Hidden, &kind, &present, &text("")));
    }

    mod properties {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn the_last_four_are_never_more_than_half(value in "\\PC{0,24}") {
                let shown = last_four(&value);
                let known = value.chars().filter(|c| c.is_alphanumeric()).count();
                let seen = shown.chars().filter(|c| c.is_alphanumeric()).count();
                prop_assert!(seen <= 4 && 2 * seen <= known);
            }

            #[test]
            fn initials_never_show_a_whole_word(value in "\\PC{0,24}") {
                for word in initials(&value).split(' ') {
                    let seen = word.chars().filter(|c| c.is_alphanumeric()).count();
                    prop_assert!(seen <= 1);
                }
            }

            #[test]
            fn two_values_with_the_same_tail_cannot_be_told_apart(
                head in "[0-9]{4,12}", other in "[0-9]{4,12}", tail in "[0-9]{4}",
            ) {
                prop_assert_eq!(
                    last_four(&format!("{head}{tail}")),
                    last_four(&format!("{other}{tail}"))
                );
            }
        }
    }
}
