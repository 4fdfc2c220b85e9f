//! The log's lines on their way out: through a queue to a thread of its own, so that no request waits
//! for whoever reads them.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::Thread;
use std::time::Duration;

/// Most lines that wait to be written; further ones are left out and counted.
const LINES_MAX: usize = 8 * 1024;
/// So many bytes are gathered before they are written, while there are more lines.
const BATCH_BYTES: usize = 64 * 1024;
/// How long lines are gathered before they are written: a thread that is woken and a write for each
/// would cost more than all the rest of a line.
const GATHER_TIME: Duration = Duration::from_millis(20);
/// How long an urgent line is waited for: as long as whoever reads the log may take.
const URGENT_TIME: Duration = Duration::from_millis(500);
/// How long the end waits for what is still to be written.
const END_TIME: Duration = Duration::from_secs(2);

/// The thread that writes. When this is dropped, it first writes what has been queued.
#[derive(Debug)]
pub struct LogLines {
    writer: LogWriter,
    ended: Receiver<()>,
}

/// Takes lines, one at each call. It never waits, but for lines that are urgent.
#[derive(Debug, Clone)]
pub struct LogWriter {
    queue: SyncSender<Line>,
    shared: Arc<Shared>,
    thread: Thread,
    urgent: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Lines that were left out because there was no room for them.
    left_out: AtomicU64,
    ending: AtomicBool,
}

/// A line, and whom to tell when it has been written.
struct Line(Vec<u8>, Option<SyncSender<()>>);

impl LogLines {
    /// Begins to write to `sink`.
    ///
    /// # Errors
    /// Those of the system, if it has no thread to spare.
    pub fn begin(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, lines) = sync_channel(LINES_MAX);
        let (tell, ended) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let work = move || {
            write_lines(sink, &lines, &of_thread);
            // Nobody may be waiting any more.
            let _ = tell.send(());
        };
        let working = std::thread::Builder::new().name("log".to_owned()).spawn(work)?;
        let thread = working.thread().clone();
        Ok(Self { writer: LogWriter { queue, shared, thread, urgent: false }, ended })
    }

    /// What takes lines.
    pub fn writer(&self) -> LogWriter {
        self.writer.clone()
    }

    /// What takes lines that may be the process's last: they have been written when the call returns,
    /// unless whoever reads the log takes half a second over it.
    pub fn urgent(&self) -> LogWriter {
        LogWriter { urgent: true, ..self.writer.clone() }
    }

    /// How many lines have been left out so far.
    pub fn left_out(&self) -> u64 {
        self.writer.shared.left_out.load(Ordering::Relaxed)
    }
}

impl Drop for LogLines {
    fn drop(&mut self) {
        self.writer.shared.ending.store(true, Ordering::Relaxed);
        // It wakes the thread if there was nothing to write; where there is no room for it, there was.
        let _ = self.writer.queue.try_send(Line(Vec::new(), None));
        self.writer.thread.unpark();
        let _ = self.ended.recv_timeout(END_TIME);
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let (tell, written) = if self.urgent {
            let (tell, written) = sync_channel(1);
            (Some(tell), Some(written))
        } else {
            (None, None)
        };
        match self.queue.try_send(Line(line.to_vec(), tell)) {
            Ok(()) => {
                if let Some(written) = written {
                    self.thread.unpark();
                    // Late or never: it stays in the queue.
                    let _ = written.recv_timeout(URGENT_TIME);
                }
            }
            Err(TrySendError::Full(_)) => {
                self.shared.left_out.fetch_add(1, Ordering::Relaxed);
            }
            // After the end nothing is queued.
            Err(TrySendError::Disconnected(_)) => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what comes, in batches, until the end has come and nothing is left.
fn write_lines(mut sink: impl Write, lines: &Receiver<Line>, shared: &Shared) {
    let mut batch = Vec::with_capacity(2 * BATCH_BYTES);
    let mut waiting = Vec::new();
    let mut told = 0;
    while let Ok(first) = lines.recv() {
        if first.1.is_none() && !shared.ending.load(Ordering::Relaxed) {
            // An urgent line, and the end, cut this short.
            std::thread::park_timeout(GATHER_TIME);
        }
        // What was queued before the end is written before it.
        let ending = shared.ending.load(Ordering::Relaxed);
        let mut next = Some(first);
        while let Some(Line(line, tell)) = next {
            batch.extend_from_slice(&line);
            waiting.extend(tell);
            next = lines.try_recv().ok();
            if batch.len() >= BATCH_BYTES || next.is_none() {
                // A log that cannot be written must not stop the server; its reader sees that it ends.
                let _ = sink.write_all(&batch).and_then(|()| sink.flush());
                batch.clear();
                for tell in waiting.drain(..) {
                    let _ = SyncSender::send(&tell, ());
                }
            }
        }
        if ending {
            return;
        }
        let left_out = shared.left_out.load(Ordering::Relaxed);
        if left_out > told {
            tracing::warn!(lines = left_out - told, "lines of the log were left out");
            told = left_out;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// What was written, and whether writing goes on.
    #[derive(Clone, Default)]
    struct Kept {
        text: Arc<Mutex<Vec<u8>>>,
        held: Arc<Mutex<()>>,
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            self.text.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    fn write(writer: &mut LogWriter, number: usize) {
        writer.write_all(format!("{number}\n").as_bytes()).unwrap();
    }

    #[test]
    fn the_end_leaves_no_line_behind_and_keeps_their_order() {
        let kept = Kept::default();
        let lines = LogLines::begin(kept.clone()).unwrap();
        let mut writer = lines.writer();
        (0..LINES_MAX).for_each(|number| write(&mut writer, number));
        assert_eq!(lines.left_out(), 0);
        drop(lines);
        let expected: Vec<String> = (0..LINES_MAX).map(|number| number.to_string()).collect();
        assert_eq!(kept.lines(), expected);
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_that_are_counted_and_stops_nobody() {
        let kept = Kept::default();
        let lines = LogLines::begin(kept.clone()).unwrap();
        let mut writer = lines.writer();
        let held = kept.held.lock().unwrap();
        let sent = 3 * LINES_MAX;
        (0..sent).for_each(|number| write(&mut writer, number));
        let left_out = usize::try_from(lines.left_out()).unwrap();
        assert!(left_out >= LINES_MAX, "{left_out}");
        drop(held);
        drop(lines);
        assert_eq!(kept.lines().len(), sent - left_out);
    }

    #[test]
    fn an_urgent_line_has_been_written_when_the_call_returns_and_what_came_before_it_too() {
        let kept = Kept::default();
        let lines = LogLines::begin(kept.clone()).unwrap();
        write(&mut lines.writer(), 1);
        write(&mut lines.urgent(), 2);
        assert_eq!(kept.lines(), ["1", "2"]);
    }

    #[test]
    fn a_reader_that_stands_still_does_not_hold_an_urgent_line_for_ever() {
        let kept = Kept::default();
        let lines = LogLines::begin(kept.clone()).unwrap();
        let held = kept.held.lock().unwrap();
        write(&mut lines.urgent(), 1);
        assert!(kept.lines().is_empty());
        drop(held);
        drop(lines);
        assert_eq!(kept.lines(), ["1"]);
    }
}
