//! Making tokens, one or many, all or none.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::retry_queue::Deed;
use crate::error::{BackendError, Result};
use crate::redis::keys::{self, Partition};
use crate::redis::{Inner, error, fresh_id, json};
use crate::token_store::{Created, HitOn, TokenId, TokenRecord};

/// A token that is to be written, and its place in the input.
struct New {
    index: usize,
    id: TokenId,
    incarnation: u64,
    record: String,
    fields: Vec<(&'static str, String)>,
}

/// Tokens of one partition that were perhaps not written.
struct Unwritten {
    may_be_there: bool,
    error: BackendError,
}

impl Inner {
    /// One script for each partition. A batch looks at all of them before it writes any; where a
    /// token is taken between the two, what this batch has written is deleted again.
    pub async fn create(self: &Arc<Self>, tokens: &[(TokenId, TokenRecord)]) -> Result<Created> {
        let mut seen = HashSet::with_capacity(tokens.len());
        let mut groups: BTreeMap<Partition, Vec<New>> = BTreeMap::new();
        let mut twice = None;
        for (index, (id, record)) in tokens.iter().enumerate() {
            if !seen.insert(*id) {
                twice = Some(index);
                break;
            }
            let new = New::of(index, *id, record)?;
            groups.entry(keys::partition_of(*id)).or_default().push(new);
        }
        if groups.len() > 1 || twice.is_some() {
            let checks = groups.iter().map(async |(p, group)| {
                let taken = self.write(*p, group, "check").await;
                taken.map_err(|unwritten| unwritten.error)
            });
            let taken = self.on_each(checks.collect()).await?.into_iter().flatten();
            if let Some(index) = taken.chain(twice).min() {
                return Ok(Created::Exists { index });
            }
        }
        // To its end though the caller goes away: all of it or nothing. An orderly end waits for it.
        let store = Arc::clone(self);
        let under_way = self.deeds.begin();
        let written = tokio::spawn(async move {
            let written = store.write_all(groups).await;
            drop(under_way);
            written
        });
        let ends = |_| Err(error::away("redis.create", "the runtime ends"));
        written.await.unwrap_or_else(ends)
    }

    async fn write_all(self: &Arc<Self>, groups: BTreeMap<Partition, Vec<New>>) -> Result<Created> {
        let writes = groups
            .iter()
            .map(async |(p, group)| Ok(self.write(*p, group, "write").await));
        let written = self.on_each(writes.collect()).await?;
        let mut taken: Option<usize> = None;
        let mut failed = None;
        let mut there = Vec::new();
        for (group, outcome) in groups.values().zip(written) {
            let may_be_there = match outcome {
                Ok(None) => true,
                Ok(Some(index)) => {
                    taken = Some(taken.map_or(index, |first| first.min(index)));
                    false
                }
                Err(unwritten) => {
                    failed.get_or_insert(unwritten.error);
                    unwritten.may_be_there
                }
            };
            if may_be_there {
                there.extend(group);
            }
        }
        let deletions = there.into_iter().map(New::deletion);
        match (failed, taken) {
            (None, None) => Ok(Created::Done),
            (Some(error), _) => {
                for deletion in deletions {
                    self.see_to(deletion?);
                }
                Err(error)
            }
            (None, Some(index)) => {
                let undo = deletions.map(async |deletion| self.do_or_see_to(deletion?).await);
                self.on_each(undo.collect()).await?;
                Ok(Created::Exists { index })
            }
        }
    }

    /// Returns the index in the input of a token that is taken.
    async fn write(
        &self,
        partition: Partition,
        group: &[New],
        mode: &str,
    ) -> Result<Option<usize>, Unwritten> {
        let mut call = self.scripts.create.on(partition).arg(mode);
        for new in group {
            call.push(new.id.to_string());
            call.push(new.fields.len() + 2);
            call.push(("i", keys::hex(new.incarnation)));
            call.push(("r", &new.record));
            for field in &new.fields {
                call.push(field);
            }
        }
        let reply = call.attempt(&self.link).await;
        let reply = reply.map_err(|failure| Unwritten {
            may_be_there: failure.may_have_run(),
            error: failure.of(call.operation()),
        })?;
        let taken = reply.text().map_err(|error| Unwritten {
            may_be_there: true,
            error,
        })?;
        let taken = usize::try_from(taken.parse::<i64>().unwrap_or(-1)).ok();
        Ok(taken.and_then(|at| group.get(at)).map(|new| new.index))
    }
}

impl New {
    fn deletion(&self) -> Result<Deed> {
        Ok(Deed::Delete {
            token_id: self.id,
            incarnation: self.incarnation,
            call: fresh_id()?,
        })
    }

    fn of(index: usize, id: TokenId, record: &TokenRecord) -> Result<Self> {
        Ok(Self {
            index,
            id,
            incarnation: fresh_id()?,
            record: json("redis.create", record)?,
            fields: admission_fields(record),
        })
    }
}

/// The fields that admission looks at; what is at its default is left out.
pub fn admission_fields(record: &TokenRecord) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("x", record.expire_at.to_string()),
        ("m", record.method.as_str().to_owned()),
    ];
    for (field, limit) in [
        ("n", record.max_hits),
        ("z", record.size),
        ("w", record.hit_window_seconds),
    ] {
        fields.extend(limit.map(|limit| (field, limit.to_string())));
    }
    for (field, set) in [
        ("k", record.has_rules()),
        ("c", record.hit_on == HitOn::Complete),
        ("cb", record.callback.is_some()),
    ] {
        fields.extend(set.then(|| (field, "1".to_owned())));
    }
    fields
}
