//! The bodies of requests: how fast they must come, how long they may be, and where their bytes go.

use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use strongroom_model::Wiping;
use tokio::time::{Instant, Sleep};

use crate::Limits;
use crate::connection::Progress;
use crate::problem::Problem;

/// A body that ends with an error when it comes too slowly: after the grace its bytes must have
/// come at the least rate, and all of it must have come within the body's time.
pub(crate) struct Paced {
    body: Incoming,
    /// When the client has to have sent more; it begins with the first look at the body, so that
    /// waiting for our own turn does not count.
    due: Option<Due>,
    grace: Duration,
    rate: u32,
    time: Duration,
    long: LongBody,
}

/// Whether a body may take longer than others, as whoever reads it says: it has to come at the least rate
/// too and never to rest for as long as another one may take in all, and its connection stays open while it
/// comes.
#[derive(Clone)]
pub(crate) struct LongBody {
    allowed: Arc<AtomicBool>,
    progress: Option<Progress>,
}

impl LongBody {
    /// Of a request on a connection that is to hear of what comes.
    pub(crate) fn new(progress: Option<Progress>) -> Self {
        Self { allowed: Arc::default(), progress }
    }

    /// Lets the body take long.
    pub(crate) fn allow(&self) {
        self.allowed.store(true, Ordering::Relaxed);
    }
}

/// How long the longest body may take in all.
const LONG_BODY_TIME: Duration = Duration::from_hours(24);

struct Due {
    begun: Instant,
    received: usize,
    sleep: Pin<Box<Sleep>>,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body came too slowly")]
    Slow,
    #[error("the body did not come to its end")]
    Cut,
}

impl Paced {
    pub(crate) fn new(body: Incoming, limits: &Limits, long: LongBody) -> Self {
        Self {
            body,
            due: None,
            grace: limits.body_grace,
            rate: limits.body_rate_min,
            time: limits.body_time,
            long,
        }
    }

    /// Until when the next bytes have to come, after so many.
    fn until(&self, begun: Instant, received: usize) -> Instant {
        let received = u64::try_from(received).unwrap_or(u64::MAX);
        let earned = received.saturating_mul(1000) / u64::from(self.rate.max(1));
        let allowed = self.grace.saturating_add(Duration::from_millis(earned));
        if self.long.allowed.load(Ordering::Relaxed) {
            (begun + allowed.min(LONG_BODY_TIME)).min(Instant::now() + self.time)
        } else {
            begun + allowed.min(self.time)
        }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let now = Instant::now();
        let first = this.until(now, 0);
        let due = this.due.get_or_insert_with(|| Due {
            begun: now,
            received: 0,
            sleep: Box::pin(tokio::time::sleep_until(first)),
        });
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                due.received = due.received.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                let (begun, received) = (due.begun, due.received);
                let until = this.until(begun, received);
                if let Some(progress) = &this.long.progress
                    && this.long.allowed.load(Ordering::Relaxed)
                {
                    progress.made();
                }
                if let Some(due) = &mut this.due {
                    due.sleep.as_mut().reset(until);
                }
                if until <= Instant::now() {
                    return Poll::Ready(Some(Err(BodyError::Slow)));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BodyError::Cut))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match due.sleep.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::Slow))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The whole body, in memory that is wiped afterwards. The buffers of the HTTP library and of the
/// system, through which the bytes came, are not ours to wipe.
///
/// # Errors
/// 413 for a body above `most`, 408 for one that comes too slowly, 400 for one that breaks off.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    most: usize,
) -> Result<Wiping<Vec<u8>>, Problem> {
    let declared: Option<usize> = declared_length(headers);
    if let Some(length) = declared
        && length > most
    {
        // Whoever waits for our consent has not begun to send.
        if length <= most.saturating_add(DISCARDED_MAX) && !headers.contains_key(header::EXPECT) {
            discard(body, DISCARDED_MAX).await;
        }
        return Err(Problem::body_too_large(most));
    }
    let mut bytes = Wiping::new(Vec::with_capacity(declared.unwrap_or(0).min(FIRST_CAPACITY)));
    while let Some(data) = next(&mut body).await? {
        if data.len() > most.saturating_sub(bytes.len()) {
            // One that is not declared may have no end.
            let more = if declared.is_some() { DISCARDED_MAX } else { UNDECLARED_DISCARDED_MAX };
            discard(body, more).await;
            return Err(Problem::body_too_large(most));
        }
        append(&mut bytes, &data);
    }
    Ok(bytes)
}

/// The next bytes of a body; nothing at its end.
///
/// # Errors
/// 408 for a body that comes too slowly, 400 for one that breaks off.
pub(crate) async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(failed)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// What is allotted to a body before any of it has come.
const FIRST_CAPACITY: usize = 64 * 1024;

/// Appends without leaving an unwiped copy behind, as a growing vector would.
fn append(bytes: &mut Wiping<Vec<u8>>, data: &[u8]) {
    make_room(bytes, data.len());
    bytes.extend_from_slice(data);
}

/// Makes room for so many bytes more; what is there moves, if it must, and is wiped where it was.
pub(crate) fn make_room(bytes: &mut Wiping<Vec<u8>>, more: usize) {
    let needed = bytes.len().saturating_add(more);
    if needed > bytes.capacity() {
        let mut larger = Wiping::new(Vec::with_capacity(needed.max(bytes.capacity() * 2)));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
}

pub(crate) fn declared_length<N: FromStr>(headers: &HeaderMap) -> Option<N> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// How many bytes of a body that is too long are read and thrown away.
pub(crate) const DISCARDED_MAX: usize = 8 * 1024 * 1024;
/// The same of a body that does not say how long it is.
const UNDECLARED_DISCARDED_MAX: usize = 256 * 1024;

/// Reads on for a while, so that a client that is still sending can see the answer before the
/// connection closes.
pub(crate) async fn discard(mut body: Body, most: usize) {
    let mut left = most;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn failed(error: axum::Error) -> Problem {
    match error.into_inner().downcast_ref::<BodyError>() {
        Some(BodyError::Slow) => Problem::body_too_slow(),
        Some(BodyError::Cut) | None => Problem::body_incomplete(),
    }
}
