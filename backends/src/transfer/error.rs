//! Why a move was not made. The texts are for the operator's terminal.

use std::io;

use super::Tally;
use crate::error::BackendError;

#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The archive is cut off, was edited, or is none.
    #[error("line {line} of the archive: {problem}")]
    Archive { line: u64, problem: String },
    #[error("the archive cannot be read or written: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] BackendError),
    #[error(
        "{nodes} gateways use the {engine} store: stop all of them (one that was killed counts for half \
         a minute), or say --force"
    )]
    NodesAlive { nodes: u64, engine: &'static str },
    #[error(
        "the {engine} store holds an import that has not ended (export {export_id}): run that import \
         again with the same archive, or empty the store"
    )]
    HalfImported {
        engine: &'static str,
        export_id: String,
    },
    #[error(
        "the {engine} store is not empty: an import needs an empty one (another `sled.path`, another \
         `redis.db`, or the old content removed)"
    )]
    NotEmpty { engine: &'static str },
    #[error(
        "the store does not hold what the archive holds: expected {}, found {}; the import has not \
         ended, run it again", .expected.counts, .found.counts
    )]
    Differs {
        expected: Box<Tally>,
        found: Box<Tally>,
    },
    #[error("the store was not read to its end: {0}")]
    Stopped(String),
}

impl TransferError {
    pub(super) fn archive(line: u64, problem: impl Into<String>) -> Self {
        Self::Archive {
            line,
            problem: problem.into(),
        }
    }
}
