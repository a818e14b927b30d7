//! Telemetry: [`logs`] on stderr, [`metrics`] for Prometheus, and [`record`], which fills them.

pub mod logs;
pub mod metrics;
pub mod record;
