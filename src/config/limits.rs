//! The section `limits`: time, connection and request limits.

use std::time::Duration;

use serde::Deserialize;

use super::error::Problems;

/// The section `limits`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Time limit for a request's headers. Default: 10.
    pub header_read_seconds: u64,
    /// Idle timeout of a connection. Default: 60.
    pub idle_seconds: u64,
    /// Connections at the same time. Default: 10000.
    pub max_connections: usize,
    /// Connections of one client at the same time, trusted proxies excepted; 0: a quarter of
    /// `max_connections`. Default: 0.
    pub max_connections_per_client: usize,
    /// Time for streams to end after the shutdown has begun. Default: 30.
    pub shutdown_seconds: u64,
    /// Requests of one client per second; 0: any number. Default: 0.
    pub requests_per_second_per_client: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            header_read_seconds: 10,
            idle_seconds: 60,
            max_connections: 10_000,
            max_connections_per_client: 0,
            shutdown_seconds: 30,
            requests_per_second_per_client: 0,
        }
    }
}

impl LimitsConfig {
    pub fn header_read(&self) -> Duration {
        Duration::from_secs(self.header_read_seconds)
    }

    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    pub fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds)
    }

    /// At least one.
    pub fn connections_per_client(&self) -> usize {
        match self.max_connections_per_client {
            0 => (self.max_connections / 4).max(1),
            connections => connections,
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        for (key, seconds) in [
            ("header_read_seconds", self.header_read_seconds),
            ("idle_seconds", self.idle_seconds),
            ("shutdown_seconds", self.shutdown_seconds),
        ] {
            if !(1..=86_400).contains(&seconds) {
                problems.add(&["limits", key], "expected 1 to 86400 seconds");
            }
        }
        if !(1..=1_000_000).contains(&self.max_connections) {
            problems.add(&["limits", "max_connections"], "expected 1 to 1000000");
        }
        if self.max_connections_per_client > 1_000_000 {
            problems.add(
                &["limits", "max_connections_per_client"],
                "expected 0 (a quarter of `max_connections`) to 1000000",
            );
        }
    }
}
