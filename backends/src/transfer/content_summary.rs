//! Counts of entries, and a digest of them that their order does not change.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Entry, TransferError};

/// How many entries of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    pub tokens: u64,
    pub finalising: u64,
    pub uploads: u64,
    pub downloads: u64,
    pub pending: u64,
    pub dead: u64,
}

impl Counts {
    pub fn add(&mut self, entry: &Entry) {
        let count = match entry {
            Entry::Token(_) => &mut self.tokens,
            Entry::Finalising(_) => &mut self.finalising,
            Entry::Upload(_) => &mut self.uploads,
            Entry::Download(_) => &mut self.downloads,
            Entry::Pending(_) => &mut self.pending,
            Entry::Dead(_) => &mut self.dead,
        };
        *count += 1;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tokens,
            finalising,
            uploads,
            downloads,
            pending,
            dead,
        } = self;
        write!(
            f,
            "{tokens} tokens, {finalising} uploads left finalising, {uploads} open uploads in parts, \
             {downloads} open downloads, {pending} pending and {dead} dead callbacks"
        )
    }
}

/// What a store or an archive holds. Two that hold the same entries are equal, whatever the order:
/// engines keep entries in orders of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub counts: Counts,
    /// The sum of the entries' SHA-256, lane by lane: entries that come twice do not cancel out.
    sum: [u64; 4],
}

impl Tally {
    pub fn add(&mut self, entry: &Entry) -> Result<(), TransferError> {
        let canonical = serde_json::to_vec(entry).map_err(std::io::Error::other)?;
        self.counts.add(entry);
        let digest = Sha256::digest(canonical);
        for (sum, bytes) in self.sum.iter_mut().zip(digest.chunks_exact(8)) {
            let mut lane = [0; 8];
            lane.copy_from_slice(bytes);
            *sum = sum.wrapping_add(u64::from_be_bytes(lane));
        }
        Ok(())
    }
}
