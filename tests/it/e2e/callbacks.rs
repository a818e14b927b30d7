//! Callbacks of real accesses, from a real gateway to a real receiver.

mod bulkhead;
mod certificates;
mod circuit_breaker;
mod dead_letters;
mod durability;
mod head_events;
mod receivers;
mod report_incomplete;
mod reported_accesses;
mod signatures;
mod sync;
mod targets;
mod templates;
