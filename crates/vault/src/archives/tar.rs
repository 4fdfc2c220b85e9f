//! The heads of files in a tar archive (POSIX.1-1988, `ustar`), of the few kinds that an archive has.

/// Length of a head, and what the bytes of a file are filled up to.
pub(super) const BLOCK: usize = 512;

/// Who may read a file that is unpacked: its owner alone.
const MODE: u64 = 0o600;
/// The longest name.
const NAME: usize = 100;

/// The head of a file of so many bytes; nothing if the name or the length does not fit in.
pub(super) fn head(name: &str, bytes: usize, seconds: u64) -> Option<[u8; BLOCK]> {
    if name.len() > NAME {
        return None;
    }
    let mut head = [0; BLOCK];
    write(&mut head, 0, name.as_bytes());
    write(&mut head, 100, octal(MODE, 7)?.as_bytes());
    write(&mut head, 108, octal(0, 7)?.as_bytes());
    write(&mut head, 116, octal(0, 7)?.as_bytes());
    write(&mut head, 124, octal(u64::try_from(bytes).ok()?, 11)?.as_bytes());
    write(&mut head, 136, octal(seconds, 11)?.as_bytes());
    // While its sum is taken, blanks stand where it will stand.
    write(&mut head, 148, b"        ");
    write(&mut head, 156, b"0");
    write(&mut head, 257, b"ustar\x0000");
    let sum: u64 = head.iter().map(|byte| u64::from(*byte)).sum();
    write(&mut head, 148, octal(sum, 6)?.as_bytes());
    write(&mut head, 154, b"\0 ");
    Some(head)
}

/// With how many zeros a file of so many bytes is filled up.
pub(super) const fn filling(bytes: usize) -> usize {
    (BLOCK - bytes % BLOCK) % BLOCK
}

/// A number in so many octal digits.
fn octal(number: u64, digits: usize) -> Option<String> {
    let text = format!("{number:0digits$o}");
    (text.len() == digits).then_some(text)
}

fn write(head: &mut [u8; BLOCK], from: usize, bytes: &[u8]) {
    head.iter_mut().skip(from).zip(bytes).for_each(|(to, byte)| *to = *byte);
}
