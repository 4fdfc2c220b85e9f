//! Attacks on the journal's files.

use std::fs;
use std::path::Path;

use super::*;
use crate::line::AppendPosition;

const START: AppendPosition = AppendPosition { segment: 0, offset: 0, index: 0 };

fn fresh() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    create_first(folder.path()).unwrap();
    folder
}

fn group(number: u32) -> Vec<Bytes> {
    (0..=number % 3).map(|n| Bytes::from(format!("line {number}.{n}"))).collect()
}

fn append(journal: &mut Journal, groups: std::ops::Range<u32>) {
    for number in groups {
        assert!(journal.append(&group(number)).is_ok());
    }
}

fn lines(journal: &Journal) -> Result<Vec<Bytes>, &'static str> {
    let mut lines = Vec::new();
    let read = read(&journal.shared, START, |_, line| {
        lines.push(line.clone());
        true
    });
    match read {
        Ok(()) => Ok(lines),
        Err(ReadError::Io) => Err("input or output"),
        Err(ReadError::Damaged) => Err("damaged"),
    }
}

fn groups(count: u32) -> Vec<Bytes> {
    (0..count).flat_map(group).collect()
}

fn first_segment(folder: &Path) -> PathBuf {
    folder.join("00000001.lines")
}

#[test]
fn lines_are_read_back_in_order_also_after_opening_again() {
    let folder = fresh();
    for start in 0..5u32 {
        let mut journal = Journal::open(folder.path()).unwrap();
        append(&mut journal, start * 10..start * 10 + 10);
        assert_eq!(lines(&journal), Ok(groups(start * 10 + 10)));
    }
}

#[test]
fn a_file_cut_anywhere_loses_only_the_frames_that_are_not_whole() {
    let folder = fresh();
    let mut ends = Vec::new();
    let mut journal = Journal::open(folder.path()).unwrap();
    for number in 0..6 {
        ends.push(usize::try_from(journal.end.length).unwrap());
        append(&mut journal, number..number + 1);
    }
    drop(journal);
    let whole = fs::read(first_segment(folder.path())).unwrap();
    for length in ends[0]..whole.len() {
        fs::write(first_segment(folder.path()), &whole[..length]).unwrap();
        let kept = ends.iter().filter(|end| **end <= length).count() - 1;
        let mut journal = Journal::open(folder.path()).unwrap();
        let kept = u32::try_from(kept).unwrap();
        assert_eq!(lines(&journal), Ok(groups(kept)), "cut to {length}");
        append(&mut journal, kept..kept + 2);
        assert_eq!(lines(&journal), Ok(groups(kept + 2)), "cut to {length} and gone on");
    }
    for length in 0..ends[0] {
        fs::write(first_segment(folder.path()), &whole[..length]).unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(OpenError::Damaged { .. })));
    }
}

#[test]
fn a_changed_byte_is_damage_anywhere_but_in_the_last_frame() {
    let folder = fresh();
    let mut journal = Journal::open(folder.path()).unwrap();
    append(&mut journal, 0..5);
    let last = usize::try_from(journal.end.length).unwrap();
    append(&mut journal, 5..6);
    drop(journal);
    let whole = fs::read(first_segment(folder.path())).unwrap();
    for place in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut changed = whole.clone();
            changed[place] ^= bit;
            fs::write(first_segment(folder.path()), &changed).unwrap();
            match Journal::open(folder.path()) {
                Ok(journal) => {
                    assert!(place >= last, "the change at {place} was not seen");
                    assert_eq!(lines(&journal), Ok(groups(5)));
                }
                Err(OpenError::Damaged { .. }) => assert!(place < last, "at {place}"),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn anything_written_behind_the_last_frame_is_cut_off() {
    let folder = fresh();
    let mut journal = Journal::open(folder.path()).unwrap();
    append(&mut journal, 0..5);
    drop(journal);
    let whole = fs::read(first_segment(folder.path())).unwrap();
    let first_frame = whole[24..60].to_vec();
    for behind in [vec![0; 5_000], b"SRfr".to_vec(), b"SRfr\xff\xff\xff\xff".repeat(9), first_frame]
    {
        fs::write(first_segment(folder.path()), [whole.clone(), behind].concat()).unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(lines(&journal), Ok(groups(5)));
        assert_eq!(fs::read(first_segment(folder.path())).unwrap(), whole);
    }
    let too_much = vec![0; usize::try_from(PAYLOAD_BYTES_MAX + RESERVE_BYTES).unwrap() + 100];
    fs::write(first_segment(folder.path()), [whole, too_much].concat()).unwrap();
    assert!(matches!(Journal::open(folder.path()), Err(OpenError::Damaged { .. })));
}

/// What a crash leaves: zeros behind the last frame, and perhaps half of another one between.
#[test]
fn the_room_behind_the_last_frame_is_no_damage_and_half_a_frame_in_it_is_cut_off() {
    let folder = fresh();
    let mut journal = Journal::open(folder.path()).unwrap();
    append(&mut journal, 0..3);
    let end = usize::try_from(journal.end.length).unwrap();
    let crashed = fs::read(first_segment(folder.path())).unwrap();
    assert!(crashed.len() > end, "there is no room behind the last frame");
    assert!(crashed[end..].iter().all(|byte| *byte == 0));
    let longer = crashed.len();
    append(&mut journal, 3..4);
    let next = usize::try_from(journal.end.length).unwrap();
    let whole = fs::read(first_segment(folder.path())).unwrap();
    assert_eq!(whole.len(), longer, "a frame that has room made the file longer");
    drop(journal);
    for torn in end..next {
        let mut crashed = crashed.clone();
        crashed[end..torn].copy_from_slice(&whole[end..torn]);
        fs::write(first_segment(folder.path()), &crashed).unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        // The last bytes of the frame may be zeros themselves.
        let kept = if crashed[..next] == whole[..next] { 4 } else { 3 };
        assert_eq!(lines(&journal), Ok(groups(kept)), "torn at {torn}");
        append(&mut journal, kept..kept + 2);
        assert_eq!(lines(&journal), Ok(groups(kept + 2)));
    }
}

#[test]
fn a_segment_that_is_not_the_last_ends_with_its_last_frame() {
    let folder = fresh();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.segment_bytes_max = 200;
    append(&mut journal, 0..10);
    let last = journal.end.segment;
    assert!(last > 2);
    for number in 1..last {
        let length = fs::metadata(segment::path(folder.path(), number)).unwrap().len();
        assert!(length <= 200, "segment {number} has {length} bytes");
    }
    assert_eq!(lines(&journal), Ok(groups(10)));
}

#[test]
fn segments_follow_one_another_and_positions_lead_into_each() {
    let folder = fresh();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.segment_bytes_max = 200;
    append(&mut journal, 0..40);
    assert!(journal.end.segment > 5);
    assert_eq!(lines(&journal), Ok(groups(40)));
    let mut position = START;
    let mut seen = Vec::new();
    loop {
        let before = seen.len();
        let page = read(&journal.shared, position, |after, line| {
            position = after;
            seen.push(line.clone());
            seen.len() < before + 3
        });
        assert!(page.is_ok());
        if seen.len() == before {
            break;
        }
    }
    assert_eq!(seen, groups(40));
}

#[test]
fn a_missing_or_foreign_or_changed_segment_is_damage_and_an_unfinished_one_is_not() {
    let folder = fresh();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.segment_bytes_max = 200;
    append(&mut journal, 0..30);
    fs::write(folder.path().join("00000099.lines.new"), b"half").unwrap();
    drop(journal);
    assert_eq!(lines(&Journal::open(folder.path()).unwrap()), Ok(groups(30)));
    let second = folder.path().join("00000002.lines");
    let bytes = fs::read(&second).unwrap();
    let mut changed = bytes.clone();
    changed[30] ^= 1;
    fs::write(&second, &changed).unwrap();
    assert_eq!(lines(&Journal::open(folder.path()).unwrap()), Err("damaged"));
    fs::write(&second, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(lines(&Journal::open(folder.path()).unwrap()), Err("damaged"));
    fs::copy(folder.path().join("00000003.lines"), &second).unwrap();
    assert_eq!(lines(&Journal::open(folder.path()).unwrap()), Err("damaged"));
    fs::remove_file(&second).unwrap();
    assert!(matches!(Journal::open(folder.path()), Err(OpenError::Damaged { .. })));
    fs::write(&second, bytes).unwrap();
    assert!(Journal::open(folder.path()).is_ok());
    fs::write(folder.path().join("notes.txt"), b"x").unwrap();
    assert!(matches!(Journal::open(folder.path()), Err(OpenError::Damaged { .. })));
}

#[test]
fn what_did_not_fit_on_the_disk_is_taken_back() {
    let folder = fresh();
    let mut journal = Journal::open(folder.path()).unwrap();
    append(&mut journal, 0..4);
    journal.fault = Some(io::ErrorKind::StorageFull);
    assert!(journal.append(&group(4)).is_err());
    assert_eq!(lines(&journal), Ok(groups(4)));
    let length = fs::metadata(first_segment(folder.path())).unwrap().len();
    assert_eq!(length, u64::from(journal.end.length));
    journal.fault = None;
    append(&mut journal, 4..6);
    assert_eq!(lines(&journal), Ok(groups(6)));
    drop(journal);
    assert_eq!(lines(&Journal::open(folder.path()).unwrap()), Ok(groups(6)));
}
