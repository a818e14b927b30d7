//! The suites over sled, and what only sled can get wrong.

use std::sync::Arc;

use asset_gateway_backends::clock::TestClock;
use asset_gateway_backends::conformance::fixture::{Fixture, Time};
use asset_gateway_backends::open::open_stores;
use asset_gateway_backends::settings::{QueueLimits, SledSettings, TokenStoreSettings};
use asset_gateway_backends::{callback_queue_suite, token_store_suite};

async fn on_disk(limits: QueueLimits) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::at(super::START_MS);
    let settings = TokenStoreSettings::Sled(SledSettings {
        path: folder.path().join("tokens"),
    });
    Fixture {
        stores: open_stores(&settings, limits, Arc::new(clock.clone())).unwrap(),
        time: Time::Moved(clock),
        guard: Box::new(folder),
    }
}

token_store_suite!(tokens, on_disk);
callback_queue_suite!(callbacks, on_disk);
