//! Refuses requests of a gateway to a Redis that holds an unfinished import.
//!
//! The first request looks for the import's marker. Without one the gate stays open: an import refuses to begin
//! while a node uses the store.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Cmd, Value};

use super::request::RequestError;
use crate::redis::keys;

/// Open once Redis has answered that there is no marker.
pub struct ImportGate(AtomicBool);

impl ImportGate {
    pub fn closed() -> Self {
        Self(AtomicBool::new(false))
    }

    /// For imports themselves.
    pub fn open() -> Self {
        Self(AtomicBool::new(true))
    }

    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The command whose reply goes to [`update`](Self::update).
    pub fn get_marker() -> Cmd {
        let mut get = redis::cmd("GET");
        get.arg(keys::key(keys::FIRST_PARTITION, keys::IMPORT_MARKER));
        get
    }

    /// A marker refuses the request. Without a reply the request goes on, and the next one asks again: the other
    /// masters of a cluster serve while this one is away.
    pub fn update(&self, marker: &Result<Value, RequestError>) -> Result<(), RequestError> {
        match marker {
            Ok(Value::Nil) => {
                self.0.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(_) => Err(RequestError::NotSent(
                "an import into this store has not ended: run `asset-gateway store import` again \
                 with the same archive",
            )),
            Err(_) => Ok(()),
        }
    }
}
