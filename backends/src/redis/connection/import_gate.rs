//! Keeps a gateway from serving from a Redis that holds the first part of an import.
//!
//! The first call looks for the import's marker. Once there was none nobody looks again: an import
//! refuses to begin while a gateway shows that it lives.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Cmd, Value};

use super::server::Failure;
use crate::redis::keys;

/// Shut until it was looked for the marker, and there was none.
pub struct ImportGate(AtomicBool);

impl ImportGate {
    pub fn shut() -> Self {
        Self(AtomicBool::new(false))
    }

    /// For whoever imports.
    pub fn open() -> Self {
        Self(AtomicBool::new(true))
    }

    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What has to be asked at the shut gate.
    pub fn question() -> Cmd {
        let mut question = redis::cmd("GET");
        question.arg(keys::import().1);
        question
    }

    /// An answer opens it, or refuses the call. Where there is none the call goes on, and the next one
    /// asks again: the rest of a cluster serves while one master is away.
    pub fn hear(&self, answer: &Result<Value, Failure>) -> Result<(), Failure> {
        match answer {
            Ok(Value::Nil) => {
                self.0.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(_) => Err(Failure::Away(
                "an import into this store has not ended: run `asset-gateway store import` again \
                 with the same archive",
            )),
            Err(_) => Ok(()),
        }
    }
}
