//! Creates tokens, all or none of a batch.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::retry_queue::Operation;
use crate::error::{BackendError, Result};
use crate::redis::keys::{self, Partition};
use crate::redis::{Inner, all_of, error, json, random_id};
use crate::token_store::{Created, HitOn, TokenId, TokenRecord};

struct NewToken {
    /// Position in the caller's batch.
    index: usize,
    id: TokenId,
    incarnation: u64,
    record: String,
    fields: Vec<(&'static str, String)>,
}

/// Why tokens of one partition are not known to be written.
struct WriteError {
    may_be_written: bool,
    error: BackendError,
}

impl Inner {
    /// Runs one script for each partition. A batch checks all partitions before it writes to any. Where a token is taken
    /// in between, what the batch has written is deleted again.
    pub async fn create(self: &Arc<Self>, tokens: Vec<(TokenId, TokenRecord)>) -> Result<Created> {
        let mut seen = HashSet::with_capacity(tokens.len());
        let mut groups: BTreeMap<Partition, Vec<NewToken>> = BTreeMap::new();
        let mut duplicate = None;
        for (index, (id, record)) in tokens.iter().enumerate() {
            if !seen.insert(*id) {
                duplicate = Some(index);
                break;
            }
            let new = NewToken::of(index, *id, record)?;
            groups.entry(keys::partition_of(*id)).or_default().push(new);
        }
        if groups.len() > 1 || duplicate.is_some() {
            let checks = groups.iter().map(async |(p, group)| {
                let taken = self.write(*p, group, "check").await;
                taken.map_err(|failed| failed.error)
            });
            let taken = all_of(checks.collect()).await?.into_iter().flatten();
            if let Some(index) = taken.chain(duplicate).min() {
                return Ok(Created::Exists { index });
            }
        }
        // A task of its own, because a dropped caller must not leave half a batch. `close` waits for it.
        let store = Arc::clone(self);
        let entry = self.retry_queue.enter();
        let written = tokio::spawn(async move {
            let written = store.write_all(groups).await;
            drop(entry);
            written
        });
        let aborted = |_| Err(error::unavailable("redis.create", "the runtime ends"));
        written.await.unwrap_or_else(aborted)
    }

    async fn write_all(
        self: &Arc<Self>,
        groups: BTreeMap<Partition, Vec<NewToken>>,
    ) -> Result<Created> {
        let writes = groups
            .iter()
            .map(async |(p, group)| Ok(self.write(*p, group, "write").await));
        let written = all_of(writes.collect()).await?;
        let mut taken: Option<usize> = None;
        let mut first_error = None;
        let mut maybe_written = Vec::new();
        for (group, outcome) in groups.values().zip(written) {
            let may_be_written = match outcome {
                Ok(None) => true,
                Ok(Some(index)) => {
                    taken = Some(taken.map_or(index, |first| first.min(index)));
                    false
                }
                Err(failed) => {
                    first_error.get_or_insert(failed.error);
                    failed.may_be_written
                }
            };
            if may_be_written {
                maybe_written.extend(group);
            }
        }
        let deletions = maybe_written.into_iter().map(NewToken::deletion);
        match (first_error, taken) {
            (None, None) => Ok(Created::Done),
            (Some(error), _) => {
                for deletion in deletions {
                    self.retry_in_background(deletion?);
                }
                Err(error)
            }
            (None, Some(index)) => {
                let undo = deletions.map(async |deletion| self.run_or_retry(deletion?).await);
                all_of(undo.collect()).await?;
                Ok(Created::Exists { index })
            }
        }
    }

    /// Returns the index of a token that is taken. `mode` is `check` or `write`.
    async fn write(
        &self,
        partition: Partition,
        group: &[NewToken],
        mode: &str,
    ) -> Result<Option<usize>, WriteError> {
        let mut call = self.scripts.create.on(partition).arg(mode);
        for new in group {
            call.push(new.id.to_string());
            call.push(new.fields.len() + 2);
            call.push((keys::INCARNATION, keys::hex(new.incarnation)));
            call.push((keys::RECORD, &new.record));
            for field in &new.fields {
                call.push(field);
            }
        }
        let reply = call.try_run(&self.connection).await;
        let reply = reply.map_err(|error| WriteError {
            may_be_written: error.may_have_run(),
            error: error.of(call.operation()),
        })?;
        let taken = reply.text().map_err(|error| WriteError {
            may_be_written: true,
            error,
        })?;
        let taken = usize::try_from(taken.parse::<i64>().unwrap_or(-1)).ok();
        Ok(taken.and_then(|at| group.get(at)).map(|new| new.index))
    }
}

impl NewToken {
    fn deletion(&self) -> Result<Operation> {
        Ok(Operation::DeleteCreated {
            token_id: self.id,
            incarnation: self.incarnation,
            call_id: random_id()?,
        })
    }

    fn of(index: usize, id: TokenId, record: &TokenRecord) -> Result<Self> {
        Ok(Self {
            index,
            id,
            incarnation: random_id()?,
            record: json("redis.create", record)?,
            fields: admission_fields(record),
        })
    }
}

/// The fields that `reserve` decides by; those at their default are left out.
pub fn admission_fields(record: &TokenRecord) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        (keys::EXPIRE_AT, record.expire_at.to_string()),
        (keys::METHOD, record.method.as_str().to_owned()),
    ];
    for (field, limit) in [
        (keys::MAX_HITS, record.max_hits),
        (keys::MAX_SIZE, record.size),
        (keys::HIT_WINDOW, record.hit_window_seconds),
    ] {
        fields.extend(limit.map(|limit| (field, limit.to_string())));
    }
    for (field, set) in [
        (keys::HAS_RULES, record.has_rules()),
        (keys::HIT_ON_COMPLETE, record.hit_on == HitOn::Complete),
        (keys::HAS_CALLBACK, record.callback.is_some()),
    ] {
        fields.extend(set.then(|| (field, "1".to_owned())));
    }
    fields
}
