//! The conformance suites of token store and callback queue, for each store that is compiled in.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use asset_gateway_backends::clock::TestClock;
use asset_gateway_backends::conformance::fixture::{Fixture, Time};
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{QueueLimits, TokenStoreSettings};
use asset_gateway_backends::{callback_queue_suite, token_store_suite};

#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sled")]
mod sled;
#[cfg(all(feature = "redis", feature = "sled"))]
mod transfer;

/// A time in 2026, Unix milliseconds.
const START_MS: u64 = 1_780_000_000_250;

async fn memory(limits: QueueLimits) -> Fixture {
    let clock = TestClock::at(START_MS);
    let stores = open_stores(&TokenStoreSettings::Memory, limits, Arc::new(clock.clone())).unwrap();
    Fixture {
        stores,
        time: Time::Moved(clock),
        guard: Box::new(()),
    }
}

token_store_suite!(memory_tokens, memory);
callback_queue_suite!(memory_callbacks, memory);
