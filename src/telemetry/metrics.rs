//! Declares every metric once: name, kind, unit, help text.
//!
//! The constants are used with the `metrics` macros: `counter!(HTTP_REQUESTS.name, …)`. Label values are
//! routes, aliases and outcomes, never tokens, keys or addresses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use asset_gateway_backends::metered::{STORAGE_SECONDS, TOKEN_STORE_SECONDS};
use metrics::{KeyName, Recorder, Unit};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::config::features::Feature;

/// The declaration of one metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    kind: Kind,
    unit: Option<Unit>,
    help: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// From a cached answer to a large file on a slow connection.
const REQUEST_BOUNDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1800.0,
];
/// Embedded stores answer in microseconds.
const STORE_BOUNDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0,
];
const STORAGE_BOUNDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

macro_rules! declare {
    ($($constant:ident: $kind:expr, $unit:expr, $name:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric =
                Metric { name: $name, kind: $kind, unit: $unit, help: $help };
        )*

        /// All metrics.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

declare! {
    HTTP_REQUESTS: Kind::Counter, Some(Unit::Count), "asset_gateway_http_requests_total",
        "Requests answered, by route, method and status class (2xx, …).";
    HTTP_REQUEST_SECONDS: Kind::Histogram(REQUEST_BOUNDS), Some(Unit::Seconds),
        "asset_gateway_http_request_duration_seconds",
        "Time from a request's headers to the last byte of its answer, by route, method and status class.";
    HTTP_REQUEST_BYTES: Kind::Counter, Some(Unit::Bytes), "asset_gateway_http_request_body_bytes_total",
        "Bytes read from uploads.";
    HTTP_RESPONSE_BYTES: Kind::Counter, Some(Unit::Bytes), "asset_gateway_http_response_body_bytes_total",
        "Bytes sent to downloads.";
    HTTP_CONNECTIONS: Kind::Gauge, Some(Unit::Count), "asset_gateway_http_connections",
        "Open connections.";
    HTTP_CONNECTIONS_REFUSED: Kind::Counter, Some(Unit::Count),
        "asset_gateway_http_connections_refused_total",
        "Connections refused because `limits.max_connections` or a client's limit was reached.";
    STREAMS: Kind::Gauge, Some(Unit::Count), "asset_gateway_streams",
        "Transfers in progress, by direction (upload, download).";
    HITS_RESERVED: Kind::Counter, Some(Unit::Count), "asset_gateway_hits_reserved_total",
        "Hits counted or leased at the admission of a request.";
    HITS_COMMITTED: Kind::Counter, Some(Unit::Count), "asset_gateway_hits_committed_total",
        "Hits committed.";
    HITS_RELEASED: Kind::Counter, Some(Unit::Count), "asset_gateway_hits_released_total",
        "Hits released because nothing was delivered or stored.";
    TOKEN_STORE_OPERATION_SECONDS: Kind::Histogram(STORE_BOUNDS), Some(Unit::Seconds),
        TOKEN_STORE_SECONDS,
        "Time of token store operations, by operation and outcome (ok or the kind of error).";
    STORAGE_OPERATION_SECONDS: Kind::Histogram(STORAGE_BOUNDS), Some(Unit::Seconds),
        STORAGE_SECONDS,
        "Time of storage operations, by bucket alias, operation and outcome (ok or the kind of error).";
    CALLBACKS: Kind::Counter, Some(Unit::Count), "asset_gateway_callbacks_total",
        "Attempts to deliver a callback, by outcome (delivered, retried, dead).";
    CALLBACK_QUEUE_PENDING: Kind::Gauge, Some(Unit::Count), "asset_gateway_callback_queue_pending",
        "Callbacks that wait for delivery.";
    CALLBACK_QUEUE_DEAD: Kind::Gauge, Some(Unit::Count), "asset_gateway_callback_queue_dead",
        "Dead letters.";
    CALLBACK_QUEUE_OLDEST_SECONDS: Kind::Gauge, Some(Unit::Seconds),
        "asset_gateway_callback_queue_oldest_age_seconds",
        "Age of the oldest waiting callback; 0 without one.";
    CALLBACK_RECEIVERS_FAILING: Kind::Gauge, Some(Unit::Count),
        "asset_gateway_callback_receivers_failing",
        "Hosts whose callbacks have failed eight times in a row, the last time within a minute.";
    BUILD_INFO: Kind::Gauge, None, "asset_gateway_build_info",
        "Always 1; its labels are the version and the compiled features.";
    PROCESS_START_SECONDS: Kind::Gauge, Some(Unit::Seconds), "process_start_time_seconds",
        "When the process started, in seconds since 1970.";
}

/// Renders the body of `/metrics`.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder of the whole process; once.
    pub fn install() -> Result<Self, InstallError> {
        let (recorder, metrics) = Self::build()?;
        metrics::set_global_recorder(recorder).map_err(|_| InstallError::Twice)?;
        set_constants();
        Ok(metrics)
    }

    fn build() -> Result<(PrometheusRecorder, Self), BuildError> {
        let mut builder = PrometheusBuilder::new();
        for metric in ALL {
            if let Kind::Histogram(bounds) = metric.kind {
                let name = Matcher::Full(metric.name.to_owned());
                builder = builder.set_buckets_for_metric(name, bounds)?;
            }
        }
        let recorder = builder.build_recorder();
        for metric in ALL {
            let (name, help) = (KeyName::from_const_str(metric.name), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, metric.unit, help),
                Kind::Gauge => recorder.describe_gauge(name, metric.unit, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, metric.unit, help),
            }
        }
        let handle = recorder.handle();
        Ok((recorder, Self { handle }))
    }

    /// The Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds the samples of histograms every 5 seconds; without it they grow until the next scrape.
    pub async fn run_upkeep(self) {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            self.handle.run_upkeep();
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("cannot build the metrics recorder: {0}")]
    Build(#[from] BuildError),
    #[error("metrics are installed already")]
    Twice,
}

fn set_constants() {
    let version = env!("CARGO_PKG_VERSION");
    metrics::gauge!(BUILD_INFO.name, "version" => version, "features" => Feature::compiled())
        .set(1.0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    metrics::gauge!(PROCESS_START_SECONDS.name).set(now.unwrap_or_default().as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own_a_base_unit_and_help() {
        for (index, metric) in ALL.iter().enumerate() {
            let name = metric.name;
            let own = name.starts_with("asset_gateway_") || name.starts_with("process_");
            assert!(own, "{name}");
            assert!(metric.help.ends_with('.'), "{name}");
            assert!(
                ALL[..index].iter().all(|other| other.name != name),
                "{name}"
            );
            let total = matches!(metric.kind, Kind::Counter);
            assert_eq!(name.ends_with("_total"), total, "{name}");
            if matches!(metric.unit, Some(Unit::Seconds)) {
                assert!(name.ends_with("_seconds"), "{name}");
            }
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted(), "{name}");
            }
        }
    }

    #[test]
    fn metrics_are_rendered_with_help_and_buckets() {
        let (recorder, metrics) = Metrics::build().expect("valid buckets");
        metrics::with_local_recorder(&recorder, || {
            set_constants();
            metrics::counter!(HTTP_REQUESTS.name, "route" => "/token", "method" => "POST", "status" => "2xx").increment(1);
            metrics::histogram!(TOKEN_STORE_SECONDS, "operation" => "reserve", "outcome" => "ok")
                .record(0.0003);
        });
        metrics.handle.run_upkeep();
        let text = metrics.render();
        for line in [
            "# HELP asset_gateway_http_requests_total Requests answered",
            "# TYPE asset_gateway_http_requests_total counter",
            r#"asset_gateway_http_requests_total{route="/token",method="POST",status="2xx"} 1"#,
            "# TYPE asset_gateway_token_store_operation_duration_seconds histogram",
            r#"le="0.0005"} 1"#,
            "asset_gateway_build_info{",
            "process_start_time_seconds ",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
