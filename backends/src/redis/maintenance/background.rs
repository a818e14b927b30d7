//! What a node does by itself: it shows that it lives, and keeps in mind how full the queue is.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::redis::Inner;

const EVERY: Duration = Duration::from_secs(1);
/// Ticks from one sign of life to the next.
const SIGN_EVERY: u64 = 8;
/// From one count of the waiting events to the next, while they are far from too many.
const COUNT_EVERY: u64 = 5;

/// Runs until the store is dropped.
pub async fn run(store: Weak<Inner>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0_u64.. {
        ticks.tick().await;
        let Some(store) = store.upgrade() else {
            return;
        };
        if tick.is_multiple_of(SIGN_EVERY)
            && let Err(error) = store.show_life().await
        {
            tracing::debug!(exception.message = %error, "no sign of life given");
        }
        if tick.is_multiple_of(SIGN_EVERY)
            && let Err(error) = store.note_node().await
        {
            tracing::debug!(exception.message = %error, "not noted as a node");
        }
        let count_every = match store.queue_fills_up() {
            true => 1,
            false => COUNT_EVERY,
        };
        if tick.is_multiple_of(count_every)
            && let Err(error) = store.count_pending().await
        {
            tracing::debug!(exception.message = %error, "waiting callbacks not counted");
        }
    }
}
