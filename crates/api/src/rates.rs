//! How often somebody may ask: by credential, by tenant, and by address for whoever shows no
//! credential.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};
use strongroom_model::TenantId;
use strongroom_vault::{Credential, TenantCtx};

use crate::limits::{IMPORT_ITEMS_MAX, Rates};
use crate::problem::Problem;

/// How many seconds' worth may come at once after a pause.
const BURST_SECONDS: u32 = 5;
/// A backend may ask as often as so many tenants together.
const BACKEND_TENANTS: u32 = 10;
/// Most keys that one bound remembers. Keys that are at rest are forgotten; when as many as this are
/// busy, all further ones share one key.
const KEYS_MAX: usize = 100_000;
/// How often keys that are at rest are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// How often they are, while there is no room for more keys.
const SWEEP_INTERVAL_FULL: Duration = Duration::from_secs(1);
/// How many bits of an IPv6 address name a network; whoever has one has all addresses in it.
const NETWORK_BITS: u32 = 64;

/// Which bound somebody has run into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bound {
    /// That of a credential.
    Credential,
    /// That of a tenant, over all of its credentials.
    Tenant,
    /// That of an address, for requests without a credential in force.
    Address,
    /// That of an address, for what proves itself by a secret in the body.
    Proof,
}

impl Bound {
    /// Every bound.
    pub(crate) const ALL: [Self; 4] = [Self::Credential, Self::Tenant, Self::Address, Self::Proof];

    /// Its word in metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Tenant => "tenant",
            Self::Address => "address",
            Self::Proof => "proof",
        }
    }
}

/// Somebody asks too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// Which bound it is.
    pub(crate) bound: Bound,
    /// After how many seconds the same request would be let in, if nothing else comes.
    pub(crate) seconds: u32,
}

impl From<TooMany> for Problem {
    fn from(too_many: TooMany) -> Self {
        Self::too_many_requests(too_many)
    }
}

/// Counts requests. Time is that of the machine's monotonic clock; tests move their own.
pub(crate) struct RateLimits<C: Clock = DefaultClock> {
    api_keys: Twofold<[u8; 16], C>,
    sessions: Twofold<[u8; 16], C>,
    backends: Twofold<[u8; 16], C>,
    tenants: Counter<TenantId, C>,
    addresses: Counter<IpAddr, C>,
    proofs: Counter<IpAddr, C>,
}

impl RateLimits {
    /// Counts against these rates.
    pub(crate) fn new(rates: Rates) -> Self {
        Self::with_clock(rates, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    fn with_clock(rates: Rates, clock: &C) -> Self {
        let Rates { api_key, session, tenant, address, proof } = rates;
        Self {
            api_keys: Twofold::new(Bound::Credential, api_key, clock),
            sessions: Twofold::new(Bound::Credential, session, clock),
            backends: Twofold::new(Bound::Credential, of_backend(tenant), clock),
            tenants: Counter::new(Bound::Tenant, tenant, items_burst(tenant), clock),
            addresses: Counter::new(Bound::Address, address, burst(address), clock),
            proofs: Counter::new(Bound::Proof, proof, burst(proof), clock),
        }
    }

    /// Counts a request of somebody whose credential has been checked: an unchecked one could use
    /// up what belongs to somebody else.
    ///
    /// # Errors
    /// [`TooMany`]; the request must not be carried out.
    pub(crate) fn request(&self, ctx: &TenantCtx) -> Result<(), TooMany> {
        self.request_of(ctx.credential(), ctx.tenant())
    }

    fn request_of(&self, credential: Credential, tenant: TenantId) -> Result<(), TooMany> {
        let (counters, id) = self.of(credential);
        counters.requests.count(id, NonZeroU32::MIN)?;
        counters.items.count(id, NonZeroU32::MIN)?;
        match credential {
            // It is not yet in a tenant.
            Credential::Backend(_) => Ok(()),
            Credential::ApiKey(_) | Credential::Session(_) => {
                self.tenants.count(tenant, NonZeroU32::MIN)
            }
        }
    }

    /// Counts a request of a backend for the tenant that has let it in.
    ///
    /// # Errors
    /// [`TooMany`]; the request must not be carried out.
    pub(crate) fn entered(&self, ctx: &TenantCtx) -> Result<(), TooMany> {
        self.tenants.count(ctx.tenant(), NonZeroU32::MIN)
    }

    /// Counts the items of a batch beyond the first, which was counted as the request.
    ///
    /// # Errors
    /// [`TooMany`]; no item must be carried out.
    pub(crate) fn batch(&self, ctx: &TenantCtx, items: usize) -> Result<(), TooMany> {
        self.batch_of(ctx.credential(), ctx.tenant(), items)
    }

    fn batch_of(
        &self,
        credential: Credential,
        tenant: TenantId,
        items: usize,
    ) -> Result<(), TooMany> {
        let further = u32::try_from(items.saturating_sub(1)).unwrap_or(u32::MAX);
        let Some(further) = NonZeroU32::new(further) else { return Ok(()) };
        let (counters, id) = self.of(credential);
        counters.items.count(id, further)?;
        self.tenants.count(tenant, further)
    }

    fn of(&self, credential: Credential) -> (&Twofold<[u8; 16], C>, [u8; 16]) {
        match credential {
            Credential::ApiKey(id) => (&self.api_keys, *id.as_bytes()),
            Credential::Session(id) => (&self.sessions, *id.as_bytes()),
            Credential::Backend(id) => (&self.backends, *id.as_bytes()),
        }
    }

    /// Counts a request that shows no credential in force.
    ///
    /// # Errors
    /// [`TooMany`]; the request must not be carried out.
    pub(crate) fn stranger(&self, address: IpAddr) -> Result<(), TooMany> {
        self.addresses.count(network(address), NonZeroU32::MIN)
    }

    /// Counts an attempt to prove something by a secret in the body.
    ///
    /// # Errors
    /// [`TooMany`]; the secret must not be looked at.
    pub(crate) fn proof(&self, address: IpAddr) -> Result<(), TooMany> {
        self.proofs.count(network(address), NonZeroU32::MIN)
    }
}

/// Requests, and the items in them: a whole batch may come at once although as many requests may
/// not.
struct Twofold<K: Hash + Eq + Clone, C: Clock> {
    requests: Counter<K, C>,
    items: Counter<K, C>,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Twofold<K, C> {
    fn new(bound: Bound, rate: NonZeroU32, clock: &C) -> Self {
        Self {
            requests: Counter::new(bound, rate, burst(rate), clock),
            items: Counter::new(bound, rate, items_burst(rate), clock),
        }
    }
}

/// A backend works for many tenants, each of which has its own bound.
fn of_backend(tenant: NonZeroU32) -> NonZeroU32 {
    tenant.saturating_mul(NonZeroU32::MIN.saturating_add(BACKEND_TENANTS - 1))
}

fn burst(rate: NonZeroU32) -> NonZeroU32 {
    rate.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1))
}

/// As much as a burst, and at least the largest batch: it could never be let in otherwise.
fn items_burst(rate: NonZeroU32) -> NonZeroU32 {
    let batch = u32::try_from(IMPORT_ITEMS_MAX).ok().and_then(NonZeroU32::new);
    burst(rate).max(batch.unwrap_or(NonZeroU32::MIN))
}

/// The library's counter, by key.
type Limiter<K, C> = RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// One bound over many keys.
struct Counter<K: Hash + Eq + Clone, C: Clock> {
    bound: Bound,
    /// None is the key that all share for whom there is no room.
    limiter: Limiter<Option<K>, C>,
    keys_max: usize,
    clock: C,
    swept: Mutex<C::Instant>,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Counter<K, C> {
    fn new(bound: Bound, rate: NonZeroU32, burst: NonZeroU32, clock: &C) -> Self {
        let quota = Quota::per_second(rate).allow_burst(burst);
        let state = HashMapStateStore::default();
        Self {
            bound,
            limiter: RateLimiter::new(quota, state, clock.clone()),
            keys_max: KEYS_MAX,
            clock: clock.clone(),
            swept: Mutex::new(clock.now()),
        }
    }

    fn count(&self, key: K, cells: NonZeroU32) -> Result<(), TooMany> {
        let full = self.sweep();
        let key = if full { None } else { Some(key) };
        match self.limiter.check_key_n(&key, cells) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(self.too_many(&not_until)),
            // More than a whole burst, which no batch is.
            Err(_) => Err(TooMany { bound: self.bound, seconds: u32::MAX }),
        }
    }

    fn too_many(&self, not_until: &NotUntil<C::Instant>) -> TooMany {
        let wait = not_until.wait_time_from(self.clock.now());
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        TooMany { bound: self.bound, seconds: u32::try_from(seconds).unwrap_or(u32::MAX) }
    }

    /// Forgets keys that are at rest, from time to time. Says whether there is no room for more.
    fn sweep(&self) -> bool {
        let full = self.limiter.len() >= self.keys_max;
        let interval = if full { SWEEP_INTERVAL_FULL } else { SWEEP_INTERVAL };
        let now = self.clock.now();
        let due = {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            let due = Duration::from(now.duration_since(*swept)) >= interval;
            if due {
                *swept = now;
            }
            due
        };
        if !due {
            return full;
        }
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        self.limiter.len() >= self.keys_max
    }
}

/// What stands for an address where addresses are counted: of IPv6, the network of 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let bits = address.to_bits() & (u128::MAX << (128 - NETWORK_BITS));
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use strongroom_model::{KeyId, SessionId};

    use super::*;

    fn session(n: u8) -> Credential {
        Credential::Session(SessionId::from_bytes([n; 16]))
    }

    fn api_key(n: u8) -> Credential {
        Credential::ApiKey(KeyId::from_bytes([n; 16]))
    }

    fn tenant(n: u8) -> TenantId {
        TenantId::from_bytes([n; 16])
    }

    fn limits() -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (RateLimits::with_clock(Rates::default(), &clock), clock)
    }

    /// How many in a row are let in, of at most ten thousand.
    fn let_in(mut ask: impl FnMut() -> Result<(), TooMany>) -> usize {
        (0..10_000).take_while(|_| ask().is_ok()).count()
    }

    #[test]
    fn a_credential_has_its_burst_and_then_its_rate_and_no_other_pays_for_it() {
        let (limits, clock) = limits();
        assert_eq!(let_in(|| limits.request_of(session(1), tenant(1))), 100);
        let refused = limits.request_of(session(1), tenant(1)).unwrap_err();
        assert_eq!(refused, TooMany { bound: Bound::Credential, seconds: 1 });
        assert_eq!(let_in(|| limits.request_of(session(2), tenant(1))), 100);
        assert_eq!(let_in(|| limits.request_of(api_key(1), tenant(1))), 1000);
        clock.advance(Duration::from_secs(1));
        assert_eq!(let_in(|| limits.request_of(session(1), tenant(1))), 20);
        assert_eq!(let_in(|| limits.request_of(api_key(1), tenant(1))), 200);
    }

    #[test]
    fn many_credentials_of_one_tenant_do_not_get_more_than_the_tenant() {
        let (limits, _) = limits();
        let mut let_in = 0;
        for n in 0..100 {
            for _ in 0..100 {
                let_in += usize::from(limits.request_of(session(n), tenant(1)).is_ok());
            }
        }
        assert_eq!(let_in, 5000);
        let refused = limits.request_of(session(200), tenant(1)).unwrap_err();
        assert_eq!(refused.bound, Bound::Tenant);
        assert!(limits.request_of(session(200), tenant(2)).is_ok());
    }

    #[test]
    fn a_batch_counts_as_its_items() {
        let (limits, clock) = limits();
        let batch = |items| {
            limits.request_of(session(1), tenant(1))?;
            limits.batch_of(session(1), tenant(1), items)
        };
        assert_eq!(batch(IMPORT_ITEMS_MAX), Ok(()));
        assert_eq!(batch(2).unwrap_err().bound, Bound::Credential);
        clock.advance(Duration::from_secs(5));
        assert!(batch(102).is_err());
        clock.advance(Duration::from_secs(5));
        assert_eq!(batch(100), Ok(()));
        assert!(batch(100).is_err());
    }

    #[test]
    fn whoever_waits_as_long_as_was_said_is_let_in() {
        let (limits, clock) = limits();
        limits.batch_of(session(1), tenant(1), IMPORT_ITEMS_MAX).unwrap();
        let refused = limits.batch_of(session(1), tenant(1), IMPORT_ITEMS_MAX).unwrap_err();
        assert!((24..=25).contains(&refused.seconds), "{refused:?}");
        clock.advance(Duration::from_secs(u64::from(refused.seconds) - 2));
        assert!(limits.batch_of(session(1), tenant(1), IMPORT_ITEMS_MAX).is_err());
        clock.advance(Duration::from_secs(2));
        assert!(limits.batch_of(session(1), tenant(1), IMPORT_ITEMS_MAX).is_ok());
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one() {
        let (limits, _) = limits();
        let of = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, n, n, n, n]);
        let mut n = 0;
        let let_in = let_in(|| {
            n += 1;
            limits.proof(of(n))
        });
        assert_eq!(let_in, 25);
        assert_eq!(limits.proof(of(7)).unwrap_err().bound, Bound::Proof);
        assert!(limits.proof(IpAddr::from([0x2001, 0xdb8, 0, 2, 1, 1, 1, 1])).is_ok());
        assert!(limits.stranger(of(7)).is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let clock = FakeRelativeClock::default();
        let one = NonZeroU32::MIN;
        let mut counter = Counter::<u32, _>::new(Bound::Address, one, one, &clock);
        counter.keys_max = 1000;
        let let_in = (0..10_000).filter(|n| counter.count(*n, one).is_ok()).count();
        assert_eq!(let_in, 1001, "one more than there is room for: the key that all share");
        assert_eq!(counter.limiter.len(), 1001);
        clock.advance(Duration::from_secs(5));
        assert!(counter.count(1, one).is_ok());
        assert_eq!(counter.limiter.len(), 1);
    }
}
