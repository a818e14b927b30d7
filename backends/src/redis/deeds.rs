//! What has to be done though Redis is away for a moment, and though nobody waits for it any more:
//! the end of an access, a hit whose answer was lost, a token that nobody was handed.
//!
//! Each has an id of its own under which Redis remembers it for a minute: done twice it counts once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::ending::Ending;
use super::reply::Reply;
use super::scripts::Call;
use super::{Inner, keys};
use crate::callback_queue::EventId;
use crate::error::{ErrorKind, Result};
use crate::token_store::{ClientKey, TokenId};

/// Pauses (ms) before further tries: with the time limits of all tries less than the minute.
const PAUSES_MS: [u64; 8] = [100, 400, 1_000, 2_000, 4_000, 8_000, 8_000, 16_000];
/// How long an orderly end waits for what is left.
const AT_THE_END: Duration = Duration::from_secs(3);

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
                .undo
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

    fn done(&self, store: &Inner, reply: Reply) -> Result<()> {
        match self {
            Self::End(ending) => ending.done(store, reply).map(drop),
            Self::Undo { .. } | Self::Delete { .. } => Ok(()),
        }
    }
}

/// How many are under way.
#[derive(Default)]
pub struct Deeds(AtomicUsize);

/// One of them.
struct UnderWay(Arc<Inner>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.deeds.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Inner {
    /// Tries until it is done, beside the caller, who has had his answer.
    pub fn see_to(self: &Arc<Self>, deed: Deed) {
        self.deeds.0.fetch_add(1, Ordering::AcqRel);
        let under_way = UnderWay(Arc::clone(self));
        tokio::spawn(async move {
            let store = &under_way.0;
            for pause in PAUSES_MS {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let done = match deed.call(store).run(&store.link).await {
                    Ok(reply) => deed.done(store, reply),
                    Err(error) if error.kind == ErrorKind::Unavailable => continue,
                    Err(error) => Err(error),
                };
                if let Err(error) = done {
                    tracing::error!(%error, token_id = %deed.token_id(), "not written");
                }
                return;
            }
            tracing::error!(token_id = %deed.token_id(), "not written: Redis was away for too long");
        });
    }

    pub async fn finish_deeds(&self) {
        let wait = async {
            while self.deeds.0.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(AT_THE_END, wait).await.is_err() {
            tracing::error!("Redis is away: ends of accesses are not written");
        }
    }
}
