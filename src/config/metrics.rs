//! The section `metrics`: the listener of `/metrics`.

use serde::Deserialize;

use super::ListenAddress;

/// The section `metrics`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Default: `127.0.0.1:9464`.
    pub listen: ListenAddress,
    /// Whether the configuration has the section: a port in use then stops the start; else it is a warning.
    #[serde(skip)]
    pub required: bool,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: ListenAddress::Host {
                host: "127.0.0.1".to_owned(),
                port: 9464,
            },
            required: false,
        }
    }
}
