//! The router in the test's process, over a store and a bucket in memory that can fail.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use asset_gateway::buckets::Buckets;
use asset_gateway::callbacks::{CallbackSettings, CircuitBreaker, Deliverer};
use asset_gateway::config::{ControlToken, CorsConfig, UnknownFields};
use asset_gateway::http::rate_limit::ClientLimiter;
use asset_gateway::http::router;
use asset_gateway::http::server::{Server, ServerSettings};
use asset_gateway::http::state::{AppState, Dependencies};
use asset_gateway::shutdown::Shutdown;
use asset_gateway::tokens::{Digester, Redeemer, maintenance};
use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::object_backend::ObjectBackend;
use asset_gateway_backends::object_backend::memory::MemoryBackend;
use asset_gateway_backends::open::{Stores, open_stores};
use asset_gateway_backends::settings::{QueueLimits, TokenStoreSettings};
use asset_gateway_backends::token_store::TokenStore;
use tokio::net::TcpListener;

use super::api::{Api, CONTROL, install_crypto};
use super::faulty_store::{FaultyStore, StoreFaults};

pub struct InProcess {
    api: Api,
    shutdown: Shutdown,
    store: Arc<dyn TokenStore>,
    buckets: Buckets,
    clock: Arc<dyn Clock>,
}

impl Deref for InProcess {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl InProcess {
    /// Begins a graceful shutdown.
    pub fn begin_shutdown(&self) {
        self.shutdown.begin();
    }

    pub fn api(&self) -> Api {
        self.api.clone()
    }

    pub fn port(&self) -> u16 {
        let (_, port) = self.api.base.rsplit_once(':').unwrap();
        port.parse().unwrap()
    }

    /// Recovers uploads that were left finalising, as every node does, until the test ends.
    pub fn sweep(&self) {
        tokio::spawn(maintenance::sweep(
            Arc::clone(&self.store),
            self.buckets.clone(),
            Arc::clone(&self.clock),
        ));
    }

    /// Over a store that fails on demand.
    pub async fn with_faulty_store() -> (Self, Arc<StoreFaults>) {
        let faults = Arc::<StoreFaults>::default();
        let of_store = Arc::clone(&faults);
        let wrap = |store| -> Arc<dyn TokenStore> { Arc::new(FaultyStore::new(store, of_store)) };
        let bucket = MemoryBackend::default();
        (
            Self::start(Arc::new(SystemClock), bucket, wrap).await,
            faults,
        )
    }

    /// Over `bucket` as `local`.
    pub async fn over(bucket: impl ObjectBackend + 'static) -> Self {
        Self::start(Arc::new(SystemClock), bucket, |store| store).await
    }

    /// The same with a clock, and with a token store that `wrap` may decorate.
    pub async fn start(
        clock: Arc<dyn Clock>,
        bucket: impl ObjectBackend + 'static,
        wrap: impl FnOnce(Arc<dyn TokenStore>) -> Arc<dyn TokenStore>,
    ) -> Self {
        install_crypto();
        let limits = QueueLimits::default();
        let stores = open_stores(&TokenStoreSettings::Memory, limits, clock.clone());
        let Stores { tokens, callbacks } = stores.unwrap_or_else(|error| panic!("{error}"));
        let bucket: Arc<dyn ObjectBackend> = Arc::new(bucket);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let circuit_breaker = Arc::new(CircuitBreaker::new(callbacks));
        let deliverer = Deliverer::new(
            circuit_breaker.clone(),
            clock.clone(),
            CallbackSettings::default(),
        );
        let store = wrap(tokens);
        let buckets = Buckets::new(BTreeMap::from([("local".to_owned(), bucket)]));
        let state = AppState::new(Dependencies {
            redeemer: Redeemer::new(
                Arc::clone(&store),
                clock.clone(),
                Digester::default(),
                circuit_breaker.clone(),
            ),
            circuit_breaker,
            deliverer: Arc::new(deliverer.unwrap()),
            target_policy: Arc::default(),
            buckets: buckets.clone(),
            control_tokens: vec![ControlToken::try_from(CONTROL.to_owned()).unwrap()],
            unknown_fields: UnknownFields::Reject,
            public_base: base.clone(),
            trusted_proxies: Arc::default(),
            cors: CorsConfig::default(),
            client_limiter: ClientLimiter::default(),
            shutdown: shutdown.clone(),
        });
        let stop = shutdown.clone();
        tokio::spawn(async move {
            let server = Server::new(ServerSettings::default());
            server.run(listener, router(state), stop).await;
        });
        Self {
            api: Api::new(base),
            shutdown,
            store,
            buckets,
            clock,
        }
    }
}
