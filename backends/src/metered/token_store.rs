//! Durations of a token store's operations.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use metrics::Histogram;

use super::{TOKEN_STORE_SECONDS, outcome, seconds};
use crate::error::Result;
use crate::token_store::{TokenStore, TokenStoreLayer};

/// Measures the operations of a token store, but for `ping` and `close`.
pub struct MeteredStore {
    inner: Arc<dyn TokenStore>,
    /// The histogram of successful reservations, looked up once because each download needs it.
    reserved: OnceLock<Histogram>,
}

impl MeteredStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn TokenStore>) -> Self {
        Self {
            inner,
            reserved: OnceLock::new(),
        }
    }
}

fn histogram(operation: &'static str, outcome: &'static str) -> Histogram {
    metrics::histogram!(TOKEN_STORE_SECONDS, "operation" => operation, "outcome" => outcome)
}

impl TokenStoreLayer for MeteredStore {
    fn inner(&self) -> &dyn TokenStore {
        &*self.inner
    }

    async fn around<T: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let began = Instant::now();
        let result = call.await;
        match (operation, &result) {
            ("ping" | "close", _) => {}
            ("reserve", Ok(_)) => self
                .reserved
                .get_or_init(|| histogram("reserve", "ok"))
                .record(seconds(began)),
            _ => histogram(operation, outcome(&result)).record(seconds(began)),
        }
        result
    }
}
