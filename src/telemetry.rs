//! What the process says about itself: [`logs`] for people, [`metrics`] for Prometheus, [`record`]
//! and [`watch`] to fill them.

pub mod logs;
pub mod metrics;
pub mod record;
pub mod watch;
