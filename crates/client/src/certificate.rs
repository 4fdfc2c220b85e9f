//! When a certificate ends: the one thing that is read from it here.
//!
//! X.509 in DER (RFC 5280, 4.1): `Certificate` begins with `tbsCertificate`, in which `validity` stands
//! after an optional version, the serial number, the algorithm and the issuer. Whether a certificate is
//! to be believed is not decided here.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use strongroom_model::Timestamp;

const SEQUENCE: u8 = 0x30;
/// The explicit tag of the version.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// What comes before `validity`: serial number, algorithm, issuer.
const BEFORE_VALIDITY: usize = 3;

/// The last moment at which it is valid; nothing if the bytes are no certificate.
pub(crate) fn ends_at(der: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut rest, _) = take(certificate, SEQUENCE)?;
    if let Some((_, after)) = take(rest, VERSION) {
        rest = after;
    }
    for _ in 0..BEFORE_VALIDITY {
        (_, rest) = take(rest, *rest.first()?)?;
    }
    let (validity, _) = take(rest, SEQUENCE)?;
    let (_, after) = take(validity, *validity.first()?)?;
    let kind = *after.first()?;
    let (text, _) = take(after, kind)?;
    time(kind, std::str::from_utf8(text).ok()?)
}

/// The content of the element at the beginning, which must have this tag, and what follows it.
fn take(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *tag != wanted {
        return None;
    }
    let (length, rest) = match usize::from(*first) {
        short @ 0..0x80 => (short, rest),
        long => {
            let count = long - 0x80;
            let (digits, rest) =
                rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
    };
    rest.split_at_checked(length)
}

/// `YYMMDDHHMMSSZ` until 2049 and `YYYYMMDDHHMMSSZ` from 2050 on (RFC 5280, 4.1.2.5).
fn time(kind: u8, text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z').filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()))?;
    let (century, digits) = match (kind, digits.len()) {
        (UTC_TIME, 12) => (if digits < "50" { 2000 } else { 1900 }, digits),
        (GENERALIZED_TIME, 14) => {
            let (century, digits) = digits.split_at_checked(2)?;
            (century.parse::<i16>().ok()? * 100, digits)
        }
        _ => return None,
    };
    let pair = |place: usize| digits.get(2 * place..2 * place + 2)?.parse::<i8>().ok();
    let year = century + i16::from(pair(0)?);
    let date = DateTime::new(year, pair(1)?, pair(2)?, pair(3)?, pair(4)?, pair(5)?, 0).ok()?;
    let moment = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp::from_micros(moment.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: u8, text: &str) -> Option<String> {
        time(kind, text).map(|time| time.to_string())
    }

    #[test]
    fn both_ways_of_writing_a_time_are_read_and_no_others() {
        assert_eq!(check(UTC_TIME, "261122193405Z").unwrap(), "2026-11-22T19:34:05Z");
        assert_eq!(check(UTC_TIME, "491231235959Z").unwrap(), "2049-12-31T23:59:59Z");
        assert_eq!(check(UTC_TIME, "500101000000Z").unwrap(), "1950-01-01T00:00:00Z");
        assert_eq!(check(GENERALIZED_TIME, "20500101000000Z").unwrap(), "2050-01-01T00:00:00Z");
        for (kind, text) in [
            (UTC_TIME, "20500101000000Z"),
            (GENERALIZED_TIME, "261122193405Z"),
            (UTC_TIME, "261322193405Z"),
            (UTC_TIME, "2611221934Z"),
            (UTC_TIME, "261122193405+0100"),
            (UTC_TIME, "26112219340éZ"),
            (2, "261122193405Z"),
        ] {
            assert_eq!(check(kind, text), None, "{kind} {text}");
        }
    }

    #[test]
    fn bytes_that_are_cut_or_changed_end_at_no_time_and_in_no_panic() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut wanted = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        wanted.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let made = wanted.self_signed(&key).unwrap();
        let der: &[u8] = made.der();
        assert_eq!(ends_at(der).unwrap().to_string(), "2031-02-03T00:00:00Z");
        for length in 0..der.len() {
            assert_eq!(ends_at(&der[..length]), None, "{length}");
        }
        for place in 0..der.len() {
            for other in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = der.to_vec();
                changed[place] = other;
                // Most changes are none that are looked at here.
                let _ = ends_at(&changed);
            }
        }
    }
}
