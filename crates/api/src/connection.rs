//! One connection: HTTP/1 or 2 over any stream of bytes, watched so that nobody holds it for nothing.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderValue, Version, header};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep};

use crate::Limits;
use crate::door::Door;
use crate::edge;

/// How many HTTP/2 streams a client may reset before we have worked on them; beyond that it is
/// attacking (CVE-2023-44487).
const RESET_STREAMS_MAX: usize = 20;
/// How often a quiet HTTP/2 connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to say so.
const PING_TIME: Duration = Duration::from_secs(10);

/// How many times within the time for headers a connection is looked at; so much later than its
/// deadline it may be closed.
const LOOKS: u32 = 8;

/// What tells a client that its connection ends.
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// Connections run short when less than this part of them is left.
const SHORT: usize = 4;
/// As long as they do, whoever does nothing has this part of the time.
const HURRY: u32 = 5;

/// How far a stop of the server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It runs.
    No,
    /// Requests that are under way are finished, and no others begin.
    Drain,
    /// What is left is cut.
    Cut,
}

/// How many connections there may still be.
pub(crate) struct Room {
    left: Arc<Semaphore>,
    most: usize,
}

impl Room {
    /// Of so many, as many are left as the semaphore has permits.
    pub(crate) const fn new(left: Arc<Semaphore>, most: usize) -> Self {
        Self { left, most }
    }

    /// How long somebody may do nothing who usually may for so long.
    pub(crate) fn patience(&self, usually: Duration) -> Duration {
        if self.left.available_permits() < self.most / SHORT { usually / HURRY } else { usually }
    }
}

/// Serves one connection until it ends, is idle for too long, or the server stops.
pub(crate) async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    door: Arc<Door>,
    limits: Arc<Limits>,
    room: Arc<Room>,
    mut stopping: watch::Receiver<Stop>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let service = {
        let activity = activity.clone();
        service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(Progress(activity.clone()));
            let (door, activity, busy) = (door.clone(), activity.clone(), activity.begin());
            async move {
                activity.speaks(request.version());
                let last = edge::is_the_last(&request);
                let mut answer = door.answer(request, peer).await;
                if last {
                    answer.headers_mut().insert(header::CONNECTION, CLOSE);
                }
                Ok::<_, Infallible>(answer.map(|body| Delivery { body, busy }))
            }
        })
    };
    let protocol = protocol(&limits);
    let stream = TokioIo::new(Watched::new(stream, limits.write_time, activity.clone()));
    let mut connection = pin!(protocol.serve_connection(stream, service));
    let mut draining = false;
    loop {
        tokio::select! {
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = tokio::time::sleep_until(activity.next_look(&limits, &room)) => {
                if activity.deadline(&limits, &room) <= Instant::now() {
                    tracing::debug!("a connection was closed for doing nothing");
                    return;
                }
            }
            stop = stopping.wait_for(|stop| *stop == Stop::Cut || !draining && *stop != Stop::No) => {
                match stop.map(|stop| *stop) {
                    Ok(Stop::No | Stop::Drain) => {
                        draining = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    // Its only error is that the running server has been dropped.
                    Ok(Stop::Cut) | Err(_) => return,
                }
            }
        }
    }
}

fn protocol(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let header_bytes = usize::try_from(limits.header_bytes_max).unwrap_or(usize::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        // Its clock runs while a connection is idle too; ours tells the two apart.
        .header_read_timeout(None)
        .max_buf_size(header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_bytes_max)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(RESET_STREAMS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIME);
    builder
}

/// What happens on a connection, as far as its time is bounded by it.
struct Activity(Mutex<Events>);

struct Events {
    /// Requests whose answer has not been delivered.
    under_way: usize,
    /// Whether there has been a request.
    used: bool,
    /// Whether it is HTTP/2, on which bytes come without belonging to a request.
    multiplexed: bool,
    /// When the first bytes of a request came that has not begun yet (HTTP/1).
    reading: Option<Instant>,
    /// When the last request began or ended, or else when the connection began.
    last: Instant,
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Events {
            under_way: 0,
            used: false,
            multiplexed: false,
            reading: None,
            last: Instant::now(),
        }))
    }

    fn speaks(&self, version: Version) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.multiplexed = version == Version::HTTP_2;
    }

    /// Bytes came.
    fn received(&self) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.under_way == 0 && events.used && !events.multiplexed {
            events.reading.get_or_insert_with(Instant::now);
        }
    }

    fn begin(self: &Arc<Self>) -> Busy {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.under_way += 1;
        events.used = true;
        events.reading = None;
        events.last = Instant::now();
        Busy(self.clone())
    }

    /// When the connection has to go, if nothing happens on it until then.
    fn deadline(&self, limits: &Limits, room: &Room) -> Instant {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (events.used, events.under_way, events.reading) {
            (false, ..) => events.last + room.patience(limits.header_time),
            (true, 0, Some(since)) => since + room.patience(limits.header_time),
            (true, 0, None) => events.last + room.patience(limits.idle_time),
            (true, ..) => events.last + limits.request_time,
        }
    }

    /// When to look at the deadline, which can come nearer meanwhile.
    fn next_look(&self, limits: &Limits, room: &Room) -> Instant {
        self.deadline(limits, room).min(Instant::now() + limits.header_time / LOOKS)
    }
}

/// Tells a connection that a part of a long body has come, as [`Busy::goes_on`] does for long answers.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Activity>);

impl Progress {
    /// A part has come.
    pub(crate) fn made(&self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).last = Instant::now();
    }
}

/// A request that is under way; it ends when this is dropped.
struct Busy(Arc<Activity>);

impl Busy {
    /// A part of the answer is asked for, because those before it have been taken: a long answer has as
    /// much time for each part as a short one in all.
    fn goes_on(&self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).last = Instant::now();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut events = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.under_way = events.under_way.saturating_sub(1);
        events.last = Instant::now();
    }
}

/// An answer's body; its request is under way until the body has been delivered.
struct Delivery {
    body: axum::body::Body,
    busy: Busy,
}

impl Body for Delivery {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.busy.goes_on();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells when bytes come, and fails when the other side does not take what is written
/// to it.
struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    patience: Duration,
    /// Runs while something is waiting to be taken.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    const fn new(stream: S, patience: Duration, activity: Arc<Activity>) -> Self {
        Self { stream, activity, patience, waiting: None }
    }

    /// Lets the time run while a write is pending, and ends the connection when it is over.
    fn hurry<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before {
            self.activity.received();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.hurry(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.hurry(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.hurry(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.hurry(context, outcome)
    }
}
