//! The section `cors`: origins whose pages may use the gateway.

use std::time::Duration;

use serde::Deserialize;

use super::error::Problems;
use super::server::http_url;

/// The section `cors`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins such as `https://app.example.com`, or `*`. Default: none, no CORS headers.
    pub allowed_origins: Vec<String>,
    /// How long a browser may cache the answer to a preflight. Default: 600.
    pub max_age_seconds: u64,
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            max_age_seconds: 600,
        }
    }
}

impl CorsConfig {
    pub fn max_age(&self) -> Duration {
        Duration::from_secs(self.max_age_seconds)
    }

    /// Whether `*` is among the origins.
    pub fn allows_any(&self) -> bool {
        self.allowed_origins.iter().any(|origin| origin == "*")
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        for origin in &self.allowed_origins {
            // Browsers send exactly this form; another one would never match.
            let exact = || http_url(origin).map(|url| url.origin().ascii_serialization());
            if origin != "*" && exact().ok().as_ref() != Some(origin) {
                problems.add(
                    &["cors", "allowed_origins"],
                    format!("`{origin}`: expected `*`, or `scheme://host[:port]` in lower case, without a default port and a slash at its end"),
                );
            }
        }
        if self.max_age_seconds > 86_400 {
            problems.add(&["cors", "max_age_seconds"], "expected 0 to 86400 seconds");
        }
    }
}
