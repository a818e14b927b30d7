//! The running gateway: built from the configuration, served until a signal stops it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::clock::{Clock, SystemClock};
use asset_gateway_backends::metered::{MeteredBackend, MeteredStore};
use asset_gateway_backends::object_backend::ObjectBackend;
use asset_gateway_backends::open::{
    OpenError, Stores, open_bucket, open_stores, refuse_unfinished_import,
};
use asset_gateway_backends::token_store::TokenStore;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::buckets::Buckets;
use crate::callbacks::{
    CallbackSettings, CircuitBreaker, Deliverer, SetupError, TargetPolicy, Worker, queue_metrics,
};
use crate::config::{Config, LimitsConfig, embedded};
use crate::http::rate_limit::ClientLimiter;
use crate::http::server::{BindError, Server, ServerSettings, bind};
use crate::http::state::{AppState, Dependencies};
use crate::http::{metrics_endpoint, router};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::{InstallError, Metrics};
use crate::tokens::{Digester, Redeemer, maintenance};

/// How long the shutdown waits for commits and releases, so that a store that does not answer cannot
/// delay it.
const DETACHED_TASKS_GRACE: Duration = Duration::from_secs(10);

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("bucket `{alias}`: {source}")]
    Bucket { alias: String, source: OpenError },
    #[error("`server.listen`: {0}")]
    Listen(BindError),
    #[error("`metrics.listen`: {0}")]
    MetricsListen(BindError),
    #[error(transparent)]
    Metrics(#[from] InstallError),
    #[error(transparent)]
    Callbacks(#[from] SetupError),
    #[error("cannot install signal handlers: {0}")]
    Signals(std::io::Error),
}

/// Serves until SIGTERM or SIGINT, then ends in order: listener, streams, callbacks, stores.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let metrics = Metrics::install()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store_settings = config.token_store_settings();
    refuse_unfinished_import(&store_settings).await?;
    let stores = open_stores(
        &store_settings,
        config.callback.queue_limits(),
        Arc::clone(&clock),
    )?;
    let Stores { tokens, callbacks } = stores;
    let tokens: Arc<dyn TokenStore> = Arc::new(MeteredStore::new(tokens));
    let buckets = open_buckets(&config)?;
    sweep_buckets(&buckets).await;

    let listener = bind(&config.server.listen.to_string())
        .await
        .map_err(ServeError::Listen)?;
    let port = listener
        .local_addr()
        .map_or(config.server.listen.port(), |address| address.port());
    let scrape_listener = bind_metrics(&config).await?;
    let base_url = config.server.base_url(port);

    let shutdown = Shutdown::new();
    shutdown.listen_for_signals().map_err(ServeError::Signals)?;
    let delivering = shutdown.next_stage();
    let digester = Digester::new(&config.control.token_pepper.clone().unwrap_or_default());
    let circuit_breaker = Arc::new(CircuitBreaker::new(Arc::clone(&callbacks)));
    let redeemer = Redeemer::new(
        Arc::clone(&tokens),
        Arc::clone(&clock),
        digester,
        Arc::clone(&circuit_breaker),
    );
    let target_policy = Arc::new(TargetPolicy::new(
        config.callback.denied_networks(),
        config.callback.allowed_hosts.clone(),
    ));
    let deliverer = Arc::new(Deliverer::new(
        Arc::clone(&circuit_breaker),
        Arc::clone(&clock),
        CallbackSettings {
            timeout: config.callback.timeout(),
            retry: config.callback.retries(),
            secrets: config.callback.secret.clone(),
            target_policy: Arc::clone(&target_policy),
            concurrency: config.callback.concurrency,
        },
    )?);
    let worker = Worker::new(Arc::clone(&deliverer), config.callback.concurrency);
    let state = AppState::new(Dependencies {
        redeemer: redeemer.clone(),
        circuit_breaker: Arc::clone(&circuit_breaker),
        deliverer,
        target_policy,
        buckets: buckets.clone(),
        control_tokens: config.control.tokens.clone(),
        unknown_fields: config.control.unknown_fields,
        public_base: base_url.clone(),
        trusted_proxies: config.server.trusted_proxies.as_slice().into(),
        cors: config.cors.clone(),
        client_limiter: ClientLimiter::new(config.limits.requests_per_second_per_client),
        shutdown: shutdown.clone(),
    });

    let mut background = JoinSet::new();
    background.spawn(maintenance::flush_usage(Arc::clone(&tokens)));
    background.spawn(maintenance::sweep(
        Arc::clone(&tokens),
        buckets.clone(),
        Arc::clone(&clock),
    ));
    background.spawn(maintenance::abort_uploads(
        Arc::clone(&tokens),
        buckets,
        clock,
    ));
    background.spawn(metrics.clone().run_upkeep());
    background.spawn(queue_metrics::update(circuit_breaker));
    let server = Server::new(ServerSettings {
        max_connections_per_client: config.limits.connections_per_client(),
        trusted_proxies: config.server.trusted_proxies.as_slice().into(),
        proxy_protocol: config.server.proxy_protocol,
        cors: config.cors.clone(),
        ..server_settings(&config.limits)
    });
    if let Some(listener) = scrape_listener {
        // A separate connection limit: scraping must work while clients fill the gateway.
        let server = Server::new(server_settings(&config.limits));
        let shutdown = delivering.clone();
        let router = metrics_endpoint::router(metrics);
        background.spawn(async move { server.run(listener, router, shutdown).await });
    }
    let deliveries = tokio::spawn(worker.run(delivering.clone()));

    tracing::info!(listen = %config.server.listen, server.port = port, url.full = base_url, "serving");
    if let Some(token) = &config.embedded_token {
        // The gateway serves whether somebody reads its banner or not.
        let _ = writeln!(
            io::stdout(),
            "{}",
            embedded::banner(&base_url, token.expose())
        );
    }
    server.run(listener, router(state), shutdown.clone()).await;

    let detached_tasks = redeemer.detached_tasks;
    detached_tasks.close();
    if tokio::time::timeout(DETACHED_TASKS_GRACE, detached_tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            left = detached_tasks.len(),
            "accesses neither committed nor released; their leases will lapse"
        );
    }
    delivering.begin();
    if let Err(error) = deliveries.await {
        tracing::error!(exception.message = %error, "the worker failed");
    }
    background.shutdown().await;
    if let Err(error) = tokens.close().await {
        tracing::error!(exception.message = %error, "the token store was not closed in order");
    }
    tracing::info!("stopped");
    Ok(())
}

fn server_settings(limits: &LimitsConfig) -> ServerSettings {
    ServerSettings {
        header_read: limits.header_read(),
        idle: limits.idle(),
        max_connections: limits.max_connections,
        max_connections_per_client: limits.max_connections,
        shutdown: limits.shutdown(),
        ..ServerSettings::default()
    }
}

fn open_buckets(config: &Config) -> Result<Buckets, ServeError> {
    let mut buckets: BTreeMap<String, Arc<dyn ObjectBackend>> = BTreeMap::new();
    for (alias, settings) in config.bucket_settings() {
        let bucket = open_bucket(&settings).map_err(|source| ServeError::Bucket {
            alias: alias.clone(),
            source,
        })?;
        let metered = MeteredBackend::new(&alias, bucket);
        buckets.insert(alias, Arc::new(metered));
    }
    Ok(Buckets::new(buckets))
}

/// Removes temporary files. A failure does not stop the start: storage may be away.
async fn sweep_buckets(buckets: &Buckets) {
    for (alias, bucket) in buckets.iter() {
        if let Err(error) = bucket.sweep().await {
            tracing::warn!(
                exception.message = %error, bucket = alias, "temporary files were not removed"
            );
        }
    }
}

/// A port in use is only a warning where the configuration has no section `metrics`.
async fn bind_metrics(config: &Config) -> Result<Option<TcpListener>, ServeError> {
    match bind(&config.metrics.listen.to_string()).await {
        Ok(listener) => {
            let port = listener.local_addr().map(|address| address.port()).ok();
            tracing::info!(listen = %config.metrics.listen, server.port = port, "serving metrics");
            Ok(Some(listener))
        }
        Err(error) if config.metrics.required => Err(ServeError::MetricsListen(error)),
        Err(error) => {
            tracing::warn!(exception.message = %error, "/metrics is not served; set `metrics.listen`");
            Ok(None)
        }
    }
}
