//! Errors of exports and imports. Their texts are for the operator's terminal.

use std::io;

use super::ContentSummary;
use crate::error::BackendError;

/// Why an export or import failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The archive is truncated or edited, or the file is no archive.
    #[error("line {line} of the archive: {problem}")]
    Archive {
        /// Line number, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The archive file cannot be read or written.
    #[error("the archive cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] BackendError),
    /// Gateways use the store.
    #[error(
        "{nodes} gateways use the {engine} store: stop all of them (one that was killed counts for half \
         a minute), or say --force"
    )]
    NodesAlive {
        /// How many.
        nodes: u64,
        /// The store's engine.
        engine: &'static str,
    },
    /// The store holds an unfinished import of another archive.
    #[error(
        "the {engine} store holds an import that has not ended (export {export_id}): run that import \
         again with the same archive, or empty the store"
    )]
    UnfinishedImport {
        /// The store's engine.
        engine: &'static str,
        /// The export that was being imported.
        export_id: String,
    },
    /// An import needs an empty store.
    #[error(
        "the {engine} store is not empty: an import needs an empty one (another `sled.path`, another \
         `redis.db`, or the old content removed)"
    )]
    NotEmpty {
        /// The store's engine.
        engine: &'static str,
    },
    /// The content after an import differs from the archive.
    #[error(
        "the store does not hold what the archive holds: expected {}, found {}; the import has not \
         ended, run it again", .expected.counts, .found.counts
    )]
    Differs {
        /// Content of the archive.
        expected: Box<ContentSummary>,
        /// Content of the store.
        found: Box<ContentSummary>,
    },
    /// Reading the store ended early.
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
