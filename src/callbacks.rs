//! Callbacks: events leave the durable queue for the token's callback URL.
//!
//! - `worker` claims due events and starts their attempts. `delivery` makes one attempt and records
//!   its outcome.
//! - `message` builds the request, `signature` signs it, `template` renders a token's own body, `sender`
//!   sends it, `target_policy` decides where it may go, `retry` when to try again.
//! - `host_limits` and `bulkhead` keep one slow receiver from taking all attempts, `circuit_breaker` one
//!   failing receiver from filling the queue, `head_event_throttle` clients from filling it with `HEAD`.
//! - `queue_metrics` watches the queue.
//!
//! Callbacks take events from the queue and never call `tokens`.

mod bulkhead;
mod circuit_breaker;
mod delivery;
mod head_event_throttle;
mod host_limits;
mod message;
pub mod queue_metrics;
mod retry;
mod sender;
mod signature;
mod target_policy;
pub mod template;
mod worker;

pub use circuit_breaker::{CircuitBreaker, receiver_host};
pub use delivery::{CallbackSettings, Deliverer, NotAnswered, SetupError};
pub use head_event_throttle::HeadEventThrottle;
pub use sender::Failure;
pub use target_policy::{TargetDenied, TargetPolicy};
pub use worker::Worker;
