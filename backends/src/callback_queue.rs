//! The durable outbox of callback events.
//!
//! Events enter with the token store's own writes (a hit or a commit and its event are one atomic
//! write), or by [`CallbackQueue::enqueue`] for accesses that count nothing. The same adapter
//! implements both ports.

mod fresh;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::client_address::ClientAddress;
use crate::error::Result;
use crate::token_store::{ADDRESS_BYTES, BodyTemplate, ClientKey, TokenId};

pub(crate) use fresh::Fresh;

/// Identifies an event from when it is queued; the receiver's idempotency key. `evt_` + UUIDv7 in
/// hex: they sort by time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(String);

impl EventId {
    pub fn generate() -> Self {
        Self(format!("evt_{}", uuid::Uuid::now_v7().simple()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id as it was handed out; not checked against any queue.
    pub fn from_string(id: String) -> Self {
        Self(id)
    }
}

/// How an access ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything that was asked for went out, or came in.
    Complete,
    /// The client left before the last byte.
    Aborted,
    /// Storage broke in the middle.
    Failed,
    /// The node died in the middle.
    Interrupted,
}

/// Who asked and for what: known when an access is admitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub request_id: String,
    /// `unknown` where it is not known.
    pub client_ip: String,
    pub user_agent: String,
    pub referer: String,
    /// The `Range` header, or empty.
    pub range: String,
}

/// A [`Caller`] as a request holds it: turned into an owned one only where an event is written.
#[derive(Debug, Clone, Copy)]
pub struct CallerRef<'a> {
    pub request_id: &'a str,
    pub client_ip: ClientAddress,
    pub user_agent: &'a str,
    pub referer: &'a str,
    pub range: &'a str,
}

/// What a stranger sends is kept no longer than this (bytes): events wait by the million.
const CLIPPED: usize = 1_024;

/// The beginning of a text that a client sent.
pub fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(CLIPPED))
        .unwrap_or(text)
}

impl CallerRef<'_> {
    pub fn to_caller(&self) -> Caller {
        Caller {
            request_id: self.request_id.to_owned(),
            client_ip: self.client_ip.to_string(),
            user_agent: clip(self.user_agent).to_owned(),
            referer: clip(self.referer).to_owned(),
            range: clip(self.range).to_owned(),
        }
    }

    /// Who this is for `hit_window`: its address (for IPv6 its /64, which is what one customer
    /// has) and its user agent. An unknown client is a new one each time: it rides on nobody's hit.
    pub fn client_key(&self) -> ClientKey {
        let Some(ip) = self.client_ip.ip() else {
            // Rides on nothing; together the unknown have the windows of one address.
            let mut key = Uuid::new_v4().into_bytes();
            key[..ADDRESS_BYTES].fill(0);
            return key;
        };
        let network: [u8; 8] = match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                [0, 0, 0, 4, a, b, c, d]
            }
            IpAddr::V6(ip) => u64::try_from(u128::from(ip) >> 64)
                .unwrap_or_default()
                .to_be_bytes(),
        };
        let address = Sha256::new().chain_update(network);
        let client = address.clone().chain_update(self.user_agent);
        let mut key = ClientKey::default();
        let (of_address, of_agent) = key.split_at_mut(ADDRESS_BYTES);
        of_address.copy_from_slice(&address.finalize()[..ADDRESS_BYTES]);
        let rest = of_agent.len();
        of_agent.copy_from_slice(&client.finalize()[..rest]);
        key
    }
}

/// How it went: known at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub outcome: Outcome,
    /// HTTP status of the answer; 0 where the node died before anyone knew.
    pub status: u16,
    /// Bytes of the object for PUT and HEAD, bytes sent for GET.
    pub size: u64,
    /// Entity tag without quotes, or empty.
    pub etag: String,
    /// Media type of the object, or empty where none is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content_type: String,
}

/// One access of an object through a token with a callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    pub token_id: TokenId,
    /// The callback URL.
    pub target: String,
    pub method: String,
    pub bucket: String,
    pub key: String,
    pub caller: Caller,
    pub report: Report,
    /// Unix seconds of the access.
    pub timestamp: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// `None`: the gateway's own JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<BodyTemplate>,
}

/// One try to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Unix milliseconds at which the try began.
    pub at_ms: u64,
    pub duration_ms: u64,
    /// HTTP status of the receiver, where there was an answer.
    pub status: Option<u16>,
    /// A stable word: `timeout`, `connect`, `status_500`, …; empty after a success.
    pub error: String,
    /// The beginning of the receiver's answer, up to 1 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

/// An event that this node has taken to deliver.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub event: Event,
    /// Tries so far, oldest first.
    pub attempts: Vec<Attempt>,
    /// Unix milliseconds at which it was queued.
    pub queued_at_ms: u64,
}

impl Claimed {
    /// Tries since it was queued or, if it was, replayed: where the retry schedule stands.
    pub fn tries(&self) -> usize {
        let since = self.attempts.iter().rev();
        since.take_while(|attempt| !attempt.is_replay()).count()
    }
}

/// [`Attempt::error`] of an entry that is none: somebody had the event replayed then.
const REPLAYED: &str = "replayed";
/// Entries of an event's history that a replay leaves.
const KEPT_AT_REPLAY: usize = 20;

impl Attempt {
    /// No try, but the moment of a replay.
    pub fn is_replay(&self) -> bool {
        self.error == REPLAYED
    }
}

/// The history of an event that is replayed at `now_ms`.
pub(crate) fn replayed(mut attempts: Vec<Attempt>, now_ms: u64) -> Vec<Attempt> {
    attempts.drain(..attempts.len().saturating_sub(KEPT_AT_REPLAY));
    attempts.push(Attempt {
        at_ms: now_ms,
        duration_ms: 0,
        status: None,
        error: REPLAYED.to_owned(),
        answer: String::new(),
    });
    attempts
}

/// Which events are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventState {
    /// Waits for delivery, claimed or not.
    Pending,
    /// Given up.
    Dead,
}

/// An event as the queue keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptEvent {
    pub event: Event,
    /// Oldest first; a replay has an entry, too ([`Attempt::is_replay`]).
    pub attempts: Vec<Attempt>,
    /// Unix milliseconds at which it was queued.
    pub queued_at_ms: u64,
    /// Unix milliseconds of the next try; `None`: a dead letter.
    pub due_ms: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct EventPage {
    pub events: Vec<KeptEvent>,
    /// Where the next page begins; `None` = this was the last. Opaque, printable ASCII.
    pub cursor: Option<String>,
}

/// The queue's state, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Events that wait for delivery, claimed ones included.
    pub pending: u64,
    /// Events that were given up.
    pub dead: u64,
    /// Age in milliseconds of the event that has waited longest; 0 where none waits.
    pub oldest_ms: u64,
}

/// The answer of [`CallbackQueue::replay_since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    pub replayed: u64,
    /// There are more, for which there is no room now.
    pub more: bool,
}

/// Events that [`CallbackQueue::replay_since`] replays at once.
const REPLAYED_AT_ONCE: usize = 200;

/// The answer of [`CallbackQueue::enqueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    Queued,
    /// `max_pending` events wait; nothing was written.
    Full,
}

/// - Delivery is at least once: a claim that is neither acked, retried nor buried before its lease
///   ends, or whose process dies, is handed out again.
/// - Every method is durable when it returns. Dropping a future may or may not have done the work.
/// - `ack`, `retry`, `bury` and `put_back` of an event that is not there do nothing.
#[async_trait]
pub trait CallbackQueue: Send + Sync {
    /// Adds an event that is due at once.
    async fn enqueue(&self, event: Event) -> Result<Enqueued>;

    /// Takes up to `max` events that are due, oldest due time first. Up to half of them may be ones
    /// that this node has queued since: a backlog does not hold up what happens now.
    async fn claim(&self, max: usize, lease: Duration) -> Result<Vec<Claimed>>;

    /// Returns when an event may have become due since the last call, or after `at_most`.
    async fn wait(&self, at_most: Duration);

    /// Delivered: the event is removed.
    async fn ack(&self, id: &EventId) -> Result<()>;

    /// Not delivered: try again at `at_ms`, Unix milliseconds.
    async fn retry(&self, id: &EventId, attempt: Attempt, at_ms: u64) -> Result<()>;

    /// Not tried: the claim is given up, and the event is due again at `at_ms`, Unix milliseconds.
    /// Its attempts stay as they are.
    async fn put_back(&self, id: &EventId, at_ms: u64) -> Result<()>;

    /// Not delivered and given up: kept as a dead letter.
    async fn bury(&self, id: &EventId, attempt: Attempt) -> Result<()>;

    /// A page of up to `limit` events, oldest first. `None`: the cursor is not one of this queue's.
    async fn list_events(
        &self,
        state: EventState,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<EventPage>>;

    /// The event, waiting or dead; `None` where it is neither: delivered, or never there.
    async fn get_event(&self, id: &EventId) -> Result<Option<KeptEvent>>;

    /// A dead letter waits again, due at once, its schedule from the beginning. One that waits anyway
    /// is due at once. `false` where it is not there.
    async fn replay(&self, id: &EventId) -> Result<bool>;

    /// How many events may wait: past it accesses with a callback are refused.
    fn max_pending(&self) -> u64;

    /// How many events wait, as this process knows it: it may lag behind what other nodes do.
    fn pending(&self) -> u64;

    /// Replays the dead letters that were queued at `since_ms` (Unix milliseconds) or later, until half
    /// of what may wait does: replaying must not make accesses be refused. Not atomic; calling it again
    /// goes on.
    async fn replay_since(&self, since_ms: u64) -> Result<Replayed> {
        let mut replayed = 0;
        let mut cursor = None;
        loop {
            let page = self.list_events(EventState::Dead, REPLAYED_AT_ONCE, cursor.as_deref());
            let Some(page) = page.await? else {
                return Ok(Replayed {
                    replayed,
                    more: false,
                });
            };
            let any = page.events.iter().any(|e| e.queued_at_ms >= since_ms);
            if any && self.stats().await?.pending >= self.max_pending() / 2 {
                return Ok(Replayed {
                    replayed,
                    more: true,
                });
            }
            let wanted = page.events.iter().filter(|e| e.queued_at_ms >= since_ms);
            let all = join_all(wanted.map(|kept| self.replay(&kept.event.id))).await;
            for was_there in all {
                replayed += u64::from(was_there?);
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(Replayed {
                    replayed,
                    more: false,
                });
            }
        }
    }

    async fn stats(&self) -> Result<QueueStats>;
}
