//! The running gateway: built from the configuration, served until it is told to stop.

mod serve;
mod state;

pub use serve::{ServeError, serve};
pub use state::{AppState, Parts};
