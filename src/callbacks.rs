//! Callbacks: events leave the durable queue for the token's callback URL.
//!
//! - `deliverer`: claims events that are due and has them delivered.
//! - `delivery`: one event's try and what the queue is told about it.
//! - `message`: what a receiver gets. `signature`: how it knows from whom. `sender`: one HTTP
//!   request, and how it can fail. `targets`: where it may go. `template`: bodies after a token's
//!   own words.
//! - `retry`: when to try again. `hosts`: no receiver may keep the others waiting. `backlog`: nor
//!   fill the queue for them; `head_reports`: nor may clients with what counts nothing. `turns`: nor hold up their uploads.

mod backlog;
mod deliverer;
mod delivery;
mod head_reports;
mod hosts;
mod message;
mod retry;
mod sender;
mod signature;
mod targets;
pub mod template;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use crate::config::WebhookSecret;

pub use backlog::Backlog;
pub use deliverer::Deliverer;
pub use delivery::{Courier, NotAnswered, SetupError, target_host};
pub use head_reports::HeadReports;
pub use sender::Failure;
pub use targets::{Denied, Targets};

/// How events are delivered.
#[derive(Debug, Clone)]
pub struct CallbackSettings {
    /// One limit for a whole try: name, connection, TLS, request, answer.
    pub timeout: Duration,
    /// The pauses after the first, second, … try that failed. After the last, the event is dead.
    pub retry: Vec<Duration>,
    /// All sign. Empty: nothing is signed.
    pub secrets: Vec<WebhookSecret>,
    pub targets: Arc<Targets>,
    /// Tries at the same time, and as many more that uploads wait for.
    pub concurrency: usize,
}

impl Default for CallbackSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            retry: [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
                .map(Duration::from_secs)
                .to_vec(),
            secrets: Vec::new(),
            targets: Arc::default(),
            concurrency: 32,
        }
    }
}
