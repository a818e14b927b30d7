//! What has to be done though Redis is away, and though nobody waits for it any more: the end of an
//! access, a hit whose answer was lost, a token that nobody was handed.
//!
//! Each has an id of its own under which Redis remembers it for a minute: done twice it counts once.
//! What counts once without that is tried until Redis answers, however long it is away; but a leased
//! hit (`hit_on: complete` with a limit) is free again when its lease has lapsed, and not reported.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::commit_or_release::Ending;
use crate::caller::ClientKey;
use crate::error::{BackendError, ErrorKind, Result};
use crate::event::EventId;
use crate::redis::scripts::Call;
use crate::redis::scripts::Reply;
use crate::redis::{Inner, keys};
use crate::token_store::TokenId;

/// How long an orderly end waits for what is left, and the pauses between its tries.
const AT_THE_END: Duration = Duration::from_secs(3);
const AT_THE_END_EVERY: Duration = Duration::from_millis(250);
/// Past the minute no more are kept: 128 MiB at the worst, some 2 KiB each. That is above what is under
/// way on 10,000 connections, but many requests on each can get there.
const KEPT: usize = 65_536;

pub enum Deed {
    End(Ending),
    /// A `reserve` whose answer was lost.
    Undo {
        token_id: TokenId,
        /// The call that is undone, and this one.
        reserve: u64,
        call: u64,
        client: ClientKey,
        event: EventId,
    },
    /// A token that was written, or may have been, by a `create` that failed.
    Delete {
        token_id: TokenId,
        incarnation: u64,
        call: u64,
    },
}

impl Deed {
    fn token_id(&self) -> TokenId {
        match self {
            Self::End(ending) => ending.token_id,
            Self::Undo { token_id, .. } | Self::Delete { token_id, .. } => *token_id,
        }
    }

    fn call<'a>(&self, store: &'a Inner) -> Call<'a> {
        let id = self.token_id();
        let partition = keys::partition_of(id);
        match self {
            Self::End(ending) => ending.call(store),
            Self::Undo {
                reserve,
                call,
                client,
                event,
                ..
            } => store
                .scripts
                .undo_reserve
                .on(partition)
                .arg(id.to_string())
                .arg(keys::hex(*reserve))
                .arg(hex::encode(client))
                .arg(&store.owner)
                .arg(event.as_str())
                .arg(keys::hex(*call)),
            Self::Delete {
                incarnation, call, ..
            } => store
                .scripts
                .delete
                .on(partition)
                .arg(id.to_string())
                .arg(keys::hex(*incarnation))
                .arg(keys::hex(*call)),
        }
    }

    /// What of it counts once though Redis has forgotten its id.
    fn past_the_minute(self) -> Option<Self> {
        match self {
            Self::End(ending) => ending.past_the_minute().map(Self::End),
            // The second time there is nothing left to undo, or to delete.
            again @ (Self::Undo { .. } | Self::Delete { .. }) => Some(again),
        }
    }

    fn done(&self, store: &Inner, reply: Reply) -> Result<()> {
        match self {
            Self::End(ending) => ending.done(store, reply).map(drop),
            Self::Undo { .. } | Self::Delete { .. } => Ok(()),
        }
    }
}

/// Those that are under way.
#[derive(Default)]
pub struct Deeds {
    count: Arc<AtomicUsize>,
    /// Set when the store is closed: until when it waits for them.
    end: watch::Sender<Option<Instant>>,
}

/// One of them.
pub struct UnderWay {
    count: Arc<AtomicUsize>,
    end: watch::Receiver<Option<Instant>>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Deeds {
    pub fn begin(&self) -> UnderWay {
        self.count.fetch_add(1, Ordering::AcqRel);
        UnderWay {
            count: Arc::clone(&self.count),
            end: self.end.subscribe(),
        }
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

impl UnderWay {
    /// Waits until it is time for the next try; once the store is being closed, that is soon. `false`
    /// where there is none any more.
    async fn pause(&mut self, pause: Duration) -> bool {
        let end = *self.end.borrow();
        match end {
            None => match tokio::time::timeout(pause, self.end.changed()).await {
                Ok(changed) => changed.is_ok(),
                Err(_) => true,
            },
            Some(end) => {
                tokio::time::sleep(pause.min(AT_THE_END_EVERY)).await;
                Instant::now() < end
            }
        }
    }
}

impl Inner {
    /// Tries until it is done, beside the caller, who has had his answer.
    pub fn see_to(self: &Arc<Self>, deed: Deed) {
        let under_way = self.deeds.begin();
        let pauses_ms = self.patience.pauses_ms;
        tokio::spawn(see(Arc::downgrade(self), under_way, deed, pauses_ms));
    }

    /// Tries at once; where Redis is away it is [seen to](Self::see_to), though the caller is told.
    pub async fn do_or_see_to(self: &Arc<Self>, deed: Deed) -> Result<()> {
        let tried = self.attempt(&deed).await;
        if tried.as_ref().is_err_and(is_away) {
            self.see_to(deed);
        }
        tried
    }

    async fn attempt(&self, deed: &Deed) -> Result<()> {
        deed.done(self, deed.call(self).run(&self.link).await?)
    }

    pub async fn finish_deeds(&self) {
        let end = Instant::now() + AT_THE_END;
        self.deeds.end.send_replace(Some(end));
        while self.deeds.count() > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left = self.deeds.count();
        if left > 0 {
            tracing::error!(left, "Redis is away: ends of accesses are not written");
        }
    }
}

fn is_away(error: &BackendError) -> bool {
    error.kind == ErrorKind::Unavailable
}

/// Holds the store only while it tries: one that is dropped without an end is gone.
async fn see(store: Weak<Inner>, mut under_way: UnderWay, mut deed: Deed, pauses_ms: &[u64]) {
    let mut tries = 0;
    loop {
        if tries == pauses_ms.len() {
            let token_id = deed.token_id();
            let kept = under_way.count.load(Ordering::Acquire) <= KEPT;
            match deed.past_the_minute().filter(|_| kept) {
                Some(later) => deed = later,
                None => {
                    tracing::error!(%token_id, "not written: Redis was away for too long");
                    return;
                }
            }
        }
        let pause = pauses_ms.get(tries).or(pauses_ms.last());
        let pause = Duration::from_millis(pause.copied().unwrap_or_default());
        if !under_way.pause(pause).await {
            return;
        }
        let Some(store) = store.upgrade() else { return };
        match store.attempt(&deed).await {
            Ok(()) => return,
            Err(error) if is_away(&error) => {}
            Err(error) => {
                tracing::error!(exception.message = %error, token_id = %deed.token_id(), "not written");
                return;
            }
        }
        // The many tries at the end are no sign of how long it is.
        tries += usize::from(under_way.end.borrow().is_none());
    }
}
