//! What somebody sees who reads a running process's memory.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::{Finding, Needle, search_bytes};

/// So much is read at a time.
const CHUNK: usize = 1 << 20;
/// Chunks overlap by so much, so that nothing is overlooked at their ends.
const OVERLAP: usize = 4096;

/// Searches all memory of a process that can be read: heap, stacks, and what is mapped. Gives also how
/// many bytes were read. The process must let this one look into it.
pub fn search_memory(process: u32, needles: &[Needle]) -> (Vec<Finding>, usize) {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut findings = Vec::new();
    let mut read = 0;
    let mut buffer = vec![0; CHUNK + OVERLAP];
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        let what = line.split_whitespace().nth(5).unwrap_or("anonymous");
        if !rights.starts_with('r') || what.starts_with("[v") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let address = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (mut place, end) = (address(from), address(to));
        while place < end {
            let left = usize::try_from(end - place).unwrap_or(usize::MAX);
            let length = left.min(CHUNK + OVERLAP);
            // What has been unmapped meanwhile is not there any more.
            let Ok(got) = memory.read_at(&mut buffer[..length], place) else { break };
            if got == 0 {
                break;
            }
            read += got;
            for found in search_bytes(what, &buffer[..got], needles) {
                let offset = usize::try_from(place).unwrap() + found.offset;
                findings.push(Finding { offset, ..found });
            }
            place += CHUNK as u64;
        }
    }
    // The overlap is searched twice.
    findings.sort_by_key(|found| (found.offset, found.spelling));
    findings.dedup();
    (findings, read)
}
