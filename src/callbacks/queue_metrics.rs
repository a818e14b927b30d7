//! Gauges of the callback queue and its receivers, read every few seconds.

use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;

use super::CircuitBreaker;
use crate::telemetry::metrics::{
    CALLBACK_QUEUE_DEAD, CALLBACK_QUEUE_OLDEST_SECONDS, CALLBACK_QUEUE_PENDING,
    CALLBACK_RECEIVERS_FAILING,
};

const UPDATE_INTERVAL: Duration = Duration::from_secs(5);

/// Updates the gauges for as long as the future is polled.
pub async fn update(circuit_breaker: Arc<CircuitBreaker>) {
    loop {
        let failing = u32::try_from(circuit_breaker.failing_receivers()).unwrap_or(u32::MAX);
        gauge!(CALLBACK_RECEIVERS_FAILING.name).set(failing);
        match circuit_breaker.queue().stats().await {
            Ok(stats) => {
                #[allow(clippy::cast_precision_loss)] // Exact up to 2^53.
                let [pending, dead, oldest] =
                    [stats.pending, stats.dead, stats.oldest_ms].map(|n| n as f64);
                gauge!(CALLBACK_QUEUE_PENDING.name).set(pending);
                gauge!(CALLBACK_QUEUE_DEAD.name).set(dead);
                gauge!(CALLBACK_QUEUE_OLDEST_SECONDS.name).set(oldest / 1000.0);
            }
            Err(error) => tracing::warn!(
                exception.message = %error, "callback queue statistics not read"
            ),
        }
        tokio::time::sleep(UPDATE_INTERVAL).await;
    }
}
