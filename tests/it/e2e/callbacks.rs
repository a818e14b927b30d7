//! Callbacks of real accesses, from a real gateway to a real receiver.

mod backlog;
mod certificates;
mod durable;
mod heads;
mod incomplete;
mod letters;
mod receivers;
mod reported;
mod share;
mod signed;
mod sync;
mod targets;
mod templates;
