//! Listing and mass revocation: the partitions' indexes, one after the other.

use crate::error::Result;
use crate::redis::Inner;
use crate::redis::keys::Partition;
use crate::redis::scripts::Items;
use crate::redis::scripts::decode;
use crate::token_store::{Filter, Page, StoredToken, TokenState};

/// Index entries that one page looks at, about; past it the page ends early, with a cursor.
const PAGE_SCAN: usize = 10_000;
/// Partitions that are read at once.
const WAVE: usize = 16;
/// Entries that are read of one partition at once: at least, at most.
const CHUNK: (usize, usize) = (16, 1_000);
/// Tokens that a mass revocation deletes at once.
const DELETED_AT_ONCE: usize = 500;
/// The first byte of a cursor.
const CURSOR: u8 = 1;

/// The narrowest index for a filter, and what its members begin with.
struct Index {
    name: &'static str,
    prefix: String,
}

/// Where a listing goes on.
struct Place {
    partition: Partition,
    /// The member that came last; empty at a partition's begin.
    after: Vec<u8>,
}

/// A member of an index, and its token where it is still there.
struct Row {
    member: String,
    token: Option<StoredToken>,
}

impl Inner {
    pub async fn list(
        &self,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>> {
        let index = Index::of(filter);
        let Some(place) = index.place(cursor) else {
            return Ok(None);
        };
        let (tokens, next) = self.page(&index, filter, limit, place).await?;
        Ok(Some(Page {
            tokens,
            cursor: next.map(|place| place.cursor()),
        }))
    }

    pub async fn delete_matching(&self, filter: &Filter) -> Result<u64> {
        let index = Index::of(filter);
        let mut place = index.place(None);
        let mut deleted = 0;
        while let Some(from) = place {
            let (tokens, next) = self.page(&index, filter, DELETED_AT_ONCE, from).await?;
            let each = tokens
                .iter()
                .map(|token| self.delete(token.id, Some(token.incarnation)));
            let gone = self
                .on_each(each.collect())
                .await?
                .into_iter()
                .filter(|gone| *gone);
            deleted += u64::try_from(gone.count()).unwrap_or(u64::MAX);
            place = next;
        }
        Ok(deleted)
    }

    /// Tokens that match, with their incarnations, and where the next page begins.
    async fn page(
        &self,
        index: &Index,
        filter: &Filter,
        limit: usize,
        mut place: Place,
    ) -> Result<(Vec<StoredToken>, Option<Place>)> {
        let chunk = limit.clamp(CHUNK.0, CHUNK.1);
        let mut tokens = Vec::new();
        let mut looked_at = 0;
        while looked_at < PAGE_SCAN {
            let wave = (place.partition..=Partition::MAX).take(WAVE);
            let begin = std::mem::take(&mut place.after);
            let reads = wave.map(|partition| {
                let after: &[u8] = if partition == place.partition {
                    &begin
                } else {
                    &[]
                };
                self.rows(index, partition, after, chunk)
            });
            let mut next = None;
            let mut full = false;
            for (partition, now, rows) in self.on_each(reads.collect()).await? {
                full = rows.len() == chunk;
                let mut last = Vec::new();
                for Row { member, token } in rows {
                    looked_at += 1;
                    last = member.into_bytes();
                    tokens.extend(token.filter(|token| matches(token, filter, now)));
                    if tokens.len() >= limit {
                        let place = Place {
                            partition,
                            after: last,
                        };
                        return Ok((tokens, Some(place)));
                    }
                }
                next = Some(Place {
                    partition,
                    after: last,
                });
                if full {
                    // The rest of it comes before the partitions behind it.
                    break;
                }
            }
            let Some(mut reached) = next else {
                return Ok((tokens, None));
            };
            if !full {
                let Some(behind) = reached.partition.checked_add(1) else {
                    return Ok((tokens, None));
                };
                reached = Place {
                    partition: behind,
                    after: Vec::new(),
                };
            }
            place = reached;
        }
        Ok((tokens, Some(place)))
    }

    async fn rows(
        &self,
        index: &Index,
        partition: Partition,
        after: &[u8],
        most: usize,
    ) -> Result<(Partition, u64, Vec<Row>)> {
        let (from, to) = index.range(after);
        let script = &self.scripts.list;
        let call = script
            .on(partition)
            .arg(index.name)
            .arg(from)
            .arg(to)
            .arg(most);
        let mut items = call.run(&self.link).await?.items()?;
        let now = items.number()?;
        let mut rows = Vec::new();
        for row in items.part()?.items()? {
            match row.items().and_then(|mut row| self.row(&mut row)) {
                Ok(row) => rows.push(row),
                // It must not keep the others from being listed and revoked.
                Err(error) => tracing::error!(
                    exception.message = %error, partition, "a token cannot be read"
                ),
            }
        }
        Ok((partition, now, rows))
    }

    fn row(&self, items: &mut Items) -> Result<Row> {
        let member = items.text()?;
        let token = match items.is_empty() {
            true => None,
            false => {
                let id = member.get(member.len().saturating_sub(32)..);
                let id = decode::token_id(id.unwrap_or_default())?;
                let record = decode::record(&items.text()?)?;
                Some(self.stored(id, record, items)?)
            }
        };
        Ok(Row { member, token })
    }
}

impl Index {
    fn of(filter: &Filter) -> Self {
        match (&filter.tag, &filter.bucket) {
            (Some(tag), _) => Self {
                name: "g",
                prefix: format!("{tag}\0"),
            },
            (None, Some(bucket)) => {
                let key = filter.prefix.as_deref().unwrap_or_default();
                Self {
                    name: "b",
                    prefix: format!("{bucket}\0{key}"),
                }
            }
            (None, None) => Self {
                name: "a",
                prefix: String::new(),
            },
        }
    }

    /// As `ZRANGEBYLEX` wants it. Members are UTF-8, so 0xff stands behind all of them.
    fn range(&self, after: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let from = match (after, self.prefix.as_bytes()) {
            ([], prefix) => [b"[", prefix].concat(),
            (after, _) => [b"(", after].concat(),
        };
        (from, [b"(", self.prefix.as_bytes(), &[0xff]].concat())
    }

    /// `None`: the cursor is not one of this index.
    fn place(&self, cursor: Option<&str>) -> Option<Place> {
        let Some(cursor) = cursor else {
            return Some(Place {
                partition: 0,
                after: Vec::new(),
            });
        };
        let bytes = hex::decode(cursor).ok()?;
        let [CURSOR, partition, after @ ..] = bytes.as_slice() else {
            return None;
        };
        (after.is_empty() || after.starts_with(self.prefix.as_bytes())).then(|| Place {
            partition: *partition,
            after: after.to_vec(),
        })
    }
}

impl Place {
    fn cursor(&self) -> String {
        hex::encode([&[CURSOR, self.partition], self.after.as_slice()].concat())
    }
}

fn matches(token: &StoredToken, filter: &Filter, now: u64) -> bool {
    let StoredToken {
        record, used_hits, ..
    } = token;
    let state = if now >= record.expire_at {
        TokenState::Expired
    } else if record.max_hits.is_some_and(|max| *used_hits >= max) {
        TokenState::Exhausted
    } else {
        TokenState::Active
    };
    filter.is_about(record) && filter.state.is_none_or(|wanted| wanted == state)
}
