//! Records metrics, with handles that are looked up once.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge, histogram};

use super::metrics as declared;

/// Records one request; `route`: its template.
pub fn http_request(route: &str, method: &'static str, status: u16, took: Duration) {
    let class = match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    let labels = [
        ("route", route.to_owned()),
        ("method", method.to_owned()),
        ("status", class.to_owned()),
    ];
    counter!(declared::HTTP_REQUESTS.name, &labels).increment(1);
    histogram!(declared::HTTP_REQUEST_SECONDS.name, &labels).record(took.as_secs_f64());
}

/// Records hits of tokens.
pub mod hits {
    use super::{Counter, LazyLock, counter, declared};

    static RESERVED: LazyLock<Counter> = LazyLock::new(|| counter!(declared::HITS_RESERVED.name));
    static COMMITTED: LazyLock<Counter> = LazyLock::new(|| counter!(declared::HITS_COMMITTED.name));
    static RELEASED: LazyLock<Counter> = LazyLock::new(|| counter!(declared::HITS_RELEASED.name));

    pub fn reserved() {
        RESERVED.increment(1);
    }

    pub fn committed() {
        COMMITTED.increment(1);
    }

    pub fn released() {
        RELEASED.increment(1);
    }
}

static UPLOADS: LazyLock<Gauge> =
    LazyLock::new(|| gauge!(declared::STREAMS.name, "direction" => "upload"));
static DOWNLOADS: LazyLock<Gauge> =
    LazyLock::new(|| gauge!(declared::STREAMS.name, "direction" => "download"));
static BYTES_IN: LazyLock<Counter> = LazyLock::new(|| counter!(declared::HTTP_REQUEST_BYTES.name));
static BYTES_OUT: LazyLock<Counter> =
    LazyLock::new(|| counter!(declared::HTTP_RESPONSE_BYTES.name));

/// A transfer in progress, counted until it is dropped.
#[derive(Debug)]
pub struct Transfer {
    streams: &'static Gauge,
    bytes: &'static Counter,
}

impl Transfer {
    pub fn upload() -> Self {
        Self::start(&UPLOADS, &BYTES_IN)
    }

    pub fn download() -> Self {
        Self::start(&DOWNLOADS, &BYTES_OUT)
    }

    fn start(streams: &'static Gauge, bytes: &'static Counter) -> Self {
        streams.increment(1);
        Self { streams, bytes }
    }

    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.increment(bytes);
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.streams.decrement(1);
    }
}
