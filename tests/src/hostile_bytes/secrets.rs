//! Tokens, cursors and seal keys: texts that come from outside and have one form each.

use strongroom_crypto::layout::Reader;
use strongroom_crypto::seal_key::{
    LANES_MAX, LANES_MIN, MEMORY_KIB_MAX, MEMORY_KIB_MIN, PASSES_MAX, SealParameters, parse_file,
    write_file,
};
use strongroom_crypto::{Context, Key, MessagePurpose};
use strongroom_model::{TenantId, Timestamp};
use strongroom_vault::fuzzing::{
    new_token, read_cursor, reread_log_position, token_text, write_cursor,
};
use strongroom_vault::{Token, TokenKind};

use super::{KnownRng, Seed, Verdict, damaged, key, place, text};

/// The moment at which cursors are read.
const NOW: Timestamp = Timestamp::from_micros(1_770_000_000_000_000);

/// Bearer tokens; what is not one is taken for the parts of one: `kind u8 | tenant | id | secret`.
pub fn token(bytes: &[u8]) -> Verdict {
    if let Some(token) = text(bytes).and_then(Token::parse) {
        assert_eq!(token_text(&token).as_bytes(), bytes, "a token has two forms");
        return Verdict::Read;
    }
    let mut reader = Reader::new(bytes);
    let (Some(kind), Some(tenant), Some(id)) = (reader.u8(), reader.array(), reader.array()) else {
        return Verdict::Refused;
    };
    let kind = match kind % 3 {
        0 => TokenKind::Session,
        1 => TokenKind::ApiKey,
        _ => TokenKind::Invitation,
    };
    let made =
        new_token(kind, TenantId::from_bytes(tenant), id, &KnownRng::of(reader.rest())).unwrap();
    let parsed = Token::parse(&made).expect("a token that was made");
    assert_eq!((parsed.kind, *parsed.tenant.as_bytes(), parsed.id), (kind, tenant, id));
    assert_eq!(token_text(&parsed), made);
    // The checksum finds any one byte that is mistyped.
    let at = u32::from(id[0]);
    let mistyped = damaged(made.as_bytes(), at, 1 << (id[1] % 7));
    assert!(text(&mistyped).and_then(Token::parse).is_none(), "a mistyped token was read");
    Verdict::Refused
}

/// Cursors: `0 | text` as a caller sends it, `1 | until i64 | position` as the server makes it.
pub fn cursor(bytes: &[u8]) -> Verdict {
    let place = place(MessagePurpose::Row);
    let Some((form, rest)) = bytes.split_first() else { return Verdict::Refused };
    if *form == 0 {
        let opened = text(rest).and_then(|text| read_cursor(&key(), &place, NOW, text));
        return Verdict::of(opened.is_some());
    }
    let mut reader = Reader::new(rest);
    let Some(until) = reader.i64() else { return Verdict::Refused };
    let position = reader.rest();
    let rng = KnownRng::of(&[*form; 24]);
    let until = Timestamp::from_micros(until);
    let made = write_cursor(&key(), &place, until, position, &rng).unwrap();
    let read = read_cursor(&key(), &place, NOW, &made);
    assert_eq!(read.as_deref(), (until >= NOW).then_some(position));
    let elsewhere = Context { object: [9; 16], ..place };
    assert!(read_cursor(&key(), &elsewhere, NOW, &made).is_none(), "a cursor of another list");
    let at = u32::try_from(until.as_micros().unsigned_abs() % 1000).unwrap();
    let mistyped = damaged(made.as_bytes(), at, 1);
    let mistyped = text(&mistyped).and_then(|text| read_cursor(&key(), &place, NOW, text));
    assert!(mistyped.is_none(), "a mistyped cursor was read");
    if let Some(again) = reread_log_position(position) {
        assert_eq!(reread_log_position(&again), Some(again));
    }
    Verdict::of(read.is_some())
}

/// Seal key files and the parameters of passphrases. Bytes are taken for parameters, for a file,
/// and, if there are as many, for a key.
pub fn seal_key(bytes: &[u8]) -> Verdict {
    if let Ok(parameters) = SealParameters::decode(bytes) {
        assert_eq!(parameters.encode(), bytes);
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert!((MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&number(2)));
        assert!((1..=PASSES_MAX).contains(&number(6)));
        assert!((LANES_MIN..=LANES_MAX).contains(&number(10)));
        return Verdict::Read;
    }
    if let Some(key) = Key::from_slice(bytes) {
        let file = write_file(&key);
        assert!(parse_file(file.expose()).unwrap().is_same_as(&key));
        let at = u32::from(bytes[0]) % (u32::try_from(file.expose().len()).unwrap() - 1);
        let mistyped = damaged(file.expose().as_bytes(), at, 1 << (bytes[1] % 7));
        assert!(text(&mistyped).is_none_or(|text| parse_file(text).is_err()));
        return Verdict::Refused;
    }
    let Some(Ok(key)) = text(bytes).map(parse_file) else { return Verdict::Refused };
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    assert!(write_file(&key).expose().trim_end().as_bytes() == line, "a key has two forms");
    Verdict::Read
}

pub(super) fn token_seeds() -> Vec<Seed> {
    let tenant = TenantId::from_bytes([2; 16]);
    let made = |kind| new_token(kind, tenant, [4; 16], &KnownRng::of(&[7; 24])).unwrap();
    let session = made(TokenKind::Session);
    let parts = [&[1][..], &[2; 16], &[3; 16], &[4; 24]].concat();
    vec![
        ("read-session", session.clone().into_bytes()),
        ("read-api-key", made(TokenKind::ApiKey).into_bytes()),
        ("read-invitation", made(TokenKind::Invitation).into_bytes()),
        ("refused-of-another-kind", session.replace("srs_", "srk_").into_bytes()),
        ("refused-filled", format!("{session}=").into_bytes()),
        ("refused-cut", session.as_bytes()[..83].to_vec()),
        ("refused-parts", parts),
    ]
}

pub(super) fn cursor_seeds() -> Vec<Seed> {
    let place = place(MessagePurpose::Row);
    let tomorrow = NOW.plus_seconds(86_400);
    let yesterday = NOW.plus_seconds(-86_400);
    let sent = |until| {
        let rng = KnownRng::of(&[3; 24]);
        let made = write_cursor(&key(), &place, until, b"a position", &rng).unwrap();
        [b"\0", made.as_bytes()].concat()
    };
    let made = |until: Timestamp, position: &[u8]| {
        [&[1][..], &until.as_micros().to_be_bytes(), position].concat()
    };
    // A position in the log and the tags of two nodes.
    let log = [&[0; 20][..], &[0, 0, 0, 1], &[5; 16], &[0, 0, 0, 2], &[6; 16]].concat();
    let mut padded = sent(tomorrow);
    padded.push(b'=');
    vec![
        ("read-sent", sent(tomorrow)),
        ("refused-sent-too-late", sent(yesterday)),
        ("refused-sent-with-padding", padded),
        ("read-made", made(tomorrow, b"a position")),
        ("read-made-of-the-log", made(tomorrow, &log)),
        ("refused-made-too-late", made(yesterday, b"a position")),
    ]
}

pub(super) fn seal_key_seeds() -> Vec<Seed> {
    let rng = KnownRng::of(&[9; 16]);
    let file = write_file(&key()).expose().clone();
    let floor = SealParameters::floor(&rng).unwrap().encode();
    let one_pass = SealParameters::new(MEMORY_KIB_MAX, 1, LANES_MIN, &rng).unwrap().encode();
    let mut weak = one_pass.clone();
    weak[5] = 1;
    let mut endless = floor.clone();
    endless[6] = 255;
    vec![
        ("read-file", file.clone().into_bytes()),
        ("read-file-without-line-end", file.trim_end().as_bytes().to_vec()),
        ("refused-file-in-capitals", file.to_uppercase().into_bytes()),
        ("refused-file-with-two-line-ends", format!("{file}\n").into_bytes()),
        ("refused-file-cut", file.as_bytes()[..60].to_vec()),
        ("refused-bare-key", vec![7; 32]),
        ("read-parameters", floor),
        ("read-parameters-with-one-pass", one_pass),
        ("refused-parameters-too-weak", weak),
        ("refused-parameters-without-end", endless),
    ]
}
