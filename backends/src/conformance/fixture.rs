//! The fixture of a case: an empty store, its clock, and shortcuts for common calls.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::caller::CallerRef;
use crate::client_address::ClientAddress;
use crate::clock::{Clock, SystemClock, TestClock};
use crate::event::{Attempt, Event, Outcome, Report};
use crate::open::Stores;
use crate::settings::QueueLimits;
use crate::token_store::{
    Access, Created, Intent, LeaseState, Method, Refusal, Reservation, ReserveRequest, Reserved,
    TokenId, TokenRecord,
};

/// Lease of a hit: short, because some stores have no clock that can be moved.
pub const LEASE: Duration = Duration::from_millis(500);
/// Past the end of a [`LEASE`].
pub const PAST_LEASE: Duration = Duration::from_millis(600);
/// Limits of most groups.
pub const DEFAULT_LIMITS: QueueLimits = QueueLimits {
    max_pending: 10_000,
    report_incomplete: false,
    keep_dead: None,
};

/// The usual caller.
pub const CALLER: CallerRef<'static> = caller(1);

/// A caller; each number is another client.
pub const fn caller(n: u8) -> CallerRef<'static> {
    CallerRef {
        request_id: "req-1",
        client_ip: ClientAddress::Known(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))),
        user_agent: "curl/8.7.1",
        referer: "https://example.com/",
        range: "bytes=0-9",
    }
}

/// The clock of the store under test.
pub enum Time {
    /// A clock that cases advance.
    Moved(TestClock),
    /// The system's clock: cases wait.
    Real,
}

/// An empty store for one case.
pub struct Fixture {
    /// The store under test.
    pub stores: Stores,
    /// Its clock.
    pub time: Time,
    /// Dropped after the case: a folder, a server.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// A token id; each number is another token, in another partition.
pub fn id(n: u64) -> TokenId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    TokenId(bytes)
}

/// Milliseconds.
pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A request of the usual caller.
pub fn request(access: Access) -> ReserveRequest<'static> {
    ReserveRequest {
        access,
        declared_size: None,
        rules_checked: None,
        lease: LEASE,
        caller: CALLER,
    }
}

/// A report with this outcome.
pub fn report(outcome: Outcome) -> Report {
    Report {
        outcome,
        status: 200,
        size: 42,
        etag: "abc".into(),
        content_type: "text/plain".into(),
    }
}

impl Fixture {
    /// Renews the lease of a reservation, if there is one.
    pub async fn renew(&self, reservation: &Reservation) -> LeaseState {
        match reservation.lease() {
            Some(lease) => self.stores.tokens.renew(lease, LEASE).await.unwrap(),
            None => LeaseState::Held,
        }
    }

    /// Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        match &self.time {
            Time::Moved(clock) => clock.now_ms(),
            Time::Real => SystemClock.now_ms(),
        }
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        self.now_ms() / 1000
    }

    /// Advances the clock, or waits.
    pub async fn advance(&self, by: Duration) {
        match &self.time {
            Time::Moved(clock) => clock.advance(by),
            Time::Real => tokio::time::sleep(by).await,
        }
    }

    /// A token that expires in an hour.
    pub fn record(&self, method: Method) -> TokenRecord {
        TokenRecord::new("bucket", "a/key", method, self.now(), self.now() + 3600)
    }

    /// [`record`](Self::record) with `max_hits`.
    pub fn limited(&self, method: Method, max_hits: u64) -> TokenRecord {
        let mut record = self.record(method);
        record.max_hits = Some(max_hits);
        record
    }

    /// [`limited`](Self::limited), with a callback.
    pub fn reported(&self, method: Method, max_hits: u64) -> TokenRecord {
        let mut record = self.limited(method, max_hits);
        record.callback = Some("https://back.example.com/hook".into());
        record
    }

    /// Creates a token, and expects success.
    pub async fn create(&self, id: TokenId, record: TokenRecord) {
        let created = self.stores.tokens.create(vec![(id, record)]).await.unwrap();
        assert_eq!(created, Created::Done);
    }

    /// Reserves, and expects an answer.
    pub async fn reserve(&self, id: TokenId, request: &ReserveRequest<'_>) -> Reserved {
        self.stores.tokens.reserve(id, request).await.unwrap()
    }

    /// Reserves, and expects to be admitted.
    pub async fn admit(&self, id: TokenId, access: Access) -> Reservation {
        self.admit_with(id, &request(access)).await
    }

    /// [`admit`](Self::admit) with this request.
    pub async fn admit_with(&self, id: TokenId, request: &ReserveRequest<'_>) -> Reservation {
        match self.reserve(id, request).await {
            Reserved::Admitted { reservation, .. } => reservation,
            other @ (Reserved::CheckRules { .. } | Reserved::Refused(_)) => {
                panic!("expected to be admitted, got {other:?}")
            }
        }
    }

    /// Reserves, and expects to be refused.
    pub async fn refusal(&self, id: TokenId, access: Access) -> Refusal {
        self.refusal_with(id, &request(access)).await
    }

    /// [`refusal`](Self::refusal) with this request.
    pub async fn refusal_with(&self, id: TokenId, request: &ReserveRequest<'_>) -> Refusal {
        match self.reserve(id, request).await {
            Reserved::Refused(refusal) => refusal,
            other @ (Reserved::CheckRules { .. } | Reserved::Admitted { .. }) => {
                panic!("expected a refusal, got {other:?}")
            }
        }
    }

    /// Spent hits of a token.
    pub async fn used(&self, id: TokenId) -> u64 {
        self.stores.tokens.get(id).await.unwrap().unwrap().used_hits
    }

    /// Commits a complete access.
    pub async fn commit(&self, reservation: Reservation) -> LeaseState {
        self.commit_as(reservation, Outcome::Complete).await
    }

    /// Commits an access with this outcome.
    pub async fn commit_as(&self, reservation: Reservation, outcome: Outcome) -> LeaseState {
        let committed = self.stores.tokens.commit(reservation, report(outcome));
        committed.await.unwrap()
    }

    /// Finalises an upload.
    pub async fn finalise(&self, upload: &Reservation) -> LeaseState {
        let finalised = self.stores.tokens.finalise(upload, self.intent(), LEASE);
        finalised.await.unwrap()
    }

    /// The intent of an upload now.
    pub fn intent(&self) -> Intent {
        Intent {
            size: 42,
            caller: CALLER.into(),
            at_ms: self.now_ms(),
        }
    }

    /// Claims and acknowledges all due events.
    pub async fn take_events(&self) -> Vec<Event> {
        let claimed = self.stores.callbacks.claim(1000, LEASE).await.unwrap();
        for claim in &claimed {
            self.stores.callbacks.ack(&claim.event.id).await.unwrap();
        }
        claimed.into_iter().map(|claim| claim.event).collect()
    }

    /// [`event`] now.
    pub fn event(&self, key: &str) -> Event {
        event(key, self.now())
    }

    /// [`attempt`] now.
    pub fn attempt(&self, error: &str) -> Attempt {
        attempt(error, self.now_ms())
    }
}

/// The event of a HEAD on `key` at `timestamp` (Unix seconds), through a token that no store knows.
pub fn event(key: &str, timestamp: u64) -> Event {
    let record = TokenRecord {
        callback: Some("https://back.example.com/hook".into()),
        metadata: [("order".to_owned(), "7".to_owned())].into(),
        ..TokenRecord::new("bucket", key, Method::Head, timestamp, timestamp)
    };
    let report = report(Outcome::Complete);
    Event::of(id(1), &record, Method::Head, CALLER, report, timestamp).unwrap()
}

/// An attempt that failed with this error; `status_…` has an answer.
pub fn attempt(error: &str, at_ms: u64) -> Attempt {
    let status = error.strip_prefix("status_");
    Attempt {
        at_ms,
        duration_ms: 12,
        status: status.map(|status| status.parse().unwrap()),
        error: error.into(),
        answer: status.map_or("", |_| "nö\"").into(),
    }
}
