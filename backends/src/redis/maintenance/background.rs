//! Timer task of a node: writes its heartbeat, counts pending events.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::redis::Inner;

const TICK: Duration = Duration::from_secs(1);
const TICKS_PER_HEARTBEAT: u64 = 8;
/// While the queue is less than half full; else the events are counted each tick.
const TICKS_PER_COUNT: u64 = 5;

/// Runs until the store is dropped.
pub async fn run(store: Weak<Inner>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0_u64.. {
        ticks.tick().await;
        let Some(store) = store.upgrade() else {
            return;
        };
        if tick.is_multiple_of(TICKS_PER_HEARTBEAT) {
            if let Err(error) = store.write_heartbeat().await {
                tracing::debug!(exception.message = %error, "heartbeat not written");
            }
            if let Err(error) = store.note_node().await {
                tracing::debug!(exception.message = %error, "node not noted as one that uses the store");
            }
        }
        let ticks_per_count = match store.queue.is_half_full() {
            true => 1,
            false => TICKS_PER_COUNT,
        };
        if tick.is_multiple_of(ticks_per_count)
            && let Err(error) = store.count_events().await
        {
            tracing::debug!(exception.message = %error, "pending callbacks not counted");
        }
    }
}
