//! Which requests were let in before a right was taken away, so that the taking away can be
//! acknowledged when none of them can use it any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom_model::Clock;
use tokio::sync::Notify;

use crate::VaultError;

/// How long an admitted request may go on before it must be decided anew.
const LEASE: Duration = Duration::from_secs(1);

/// The register of admitted requests.
pub(crate) struct Admission {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
    left: Arc<Notify>,
}

#[derive(Default)]
struct State {
    epoch: u64,
    inside: BTreeMap<u64, usize>,
}

/// A request that was let in; it leaves when this is dropped.
pub(crate) struct Ticket {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
    left: Arc<Notify>,
    epoch: u64,
    until: Duration,
}

impl Admission {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default(), left: Arc::default() }
    }

    /// Lets a request in. The lease begins before anything is read for it.
    pub(crate) fn enter(&self) -> Ticket {
        let until = self.clock.elapsed().saturating_add(LEASE);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = state.epoch;
        *state.inside.entry(epoch).or_default() += 1;
        Ticket {
            clock: self.clock.clone(),
            state: self.state.clone(),
            left: self.left.clone(),
            epoch,
            until,
        }
    }

    /// Waits until every request admitted before this moment has left or its lease has passed.
    pub(crate) async fn drain(&self) {
        let epoch = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.epoch += 1;
            state.epoch
        };
        let drained = async {
            loop {
                let left = self.left.notified();
                if !self.state.lock().unwrap_or_else(PoisonError::into_inner).has_before(epoch) {
                    return;
                }
                left.await;
            }
        };
        // A lease that has passed cannot be used: `still_admitted` refuses it before anything is opened.
        let _ = tokio::time::timeout(LEASE, drained).await;
    }
}

impl State {
    fn has_before(&self, epoch: u64) -> bool {
        self.inside.range(..epoch).next().is_some()
    }
}

impl Ticket {
    /// Whether the request may still use what it was granted; asked right before opening.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] if its lease has passed: it is decided anew.
    pub(crate) fn still_admitted(&self) -> Result<(), VaultError> {
        if self.clock.elapsed() <= self.until { Ok(()) } else { Err(VaultError::Conflict) }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inside) = state.inside.get_mut(&self.epoch) {
            *inside -= 1;
            if *inside == 0 {
                state.inside.remove(&self.epoch);
            }
        }
        drop(state);
        self.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn draining_waits_for_those_who_were_inside_and_for_no_others() {
        let admission = Arc::new(Admission::new(Arc::new(crate::SystemClock::new())));
        let before = admission.enter();
        let draining = tokio::spawn({
            let admission = admission.clone();
            async move { admission.drain().await }
        });
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!draining.is_finished());
        let _after = admission.enter();
        drop(before);
        tokio::time::timeout(Duration::from_millis(500), draining).await.unwrap().unwrap();
    }
}
