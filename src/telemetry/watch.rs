//! Metrics that have to be asked for.

use std::time::Duration;

use super::metrics::Metrics;

const EVERY: Duration = Duration::from_secs(5);

/// Keeps the histograms small, for as long as it is polled.
pub async fn upkeep(metrics: Metrics) {
    loop {
        tokio::time::sleep(EVERY).await;
        metrics.run_upkeep();
    }
}
