//! Summary of a store's or an archive's content: counts, and a digest that ignores the order.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Entry;

/// Number of entries of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Tokens.
    pub tokens: u64,
    /// Uploads left finalising.
    pub finalising: u64,
    /// Multipart uploads in storage.
    pub uploads: u64,
    /// Downloads in flight.
    pub downloads: u64,
    /// Pending callback events.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
}

impl Counts {
    /// Counts an entry.
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

/// Summary of the entries of a store or an archive. Equal content has equal summaries in any order,
/// because each engine has an order of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentSummary {
    /// Number of entries.
    pub counts: Counts,
    /// Sum of the entries' SHA-256 digests, by 64-bit lanes, so that duplicates do not cancel out.
    sum: [u64; 4],
}

impl ContentSummary {
    /// Adds an entry.
    pub fn add(&mut self, entry: &Entry) -> std::io::Result<()> {
        let canonical = serde_json::to_vec(entry)?;
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
