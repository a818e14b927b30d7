//! Callbacks of real accesses, from a real gateway to a real receiver.

mod durable;
mod incomplete;
mod reported;
mod signed;
mod sync;
mod targets;
mod templates;
