//! Listing and mass revocation: reads an index, partition after partition.

use std::ops::RangeInclusive;

use crate::error::Result;
use crate::redis::keys::{self, Partition};
use crate::redis::scripts::{Items, decode};
use crate::redis::{Inner, all_of};
use crate::token_store::{Filter, Page, StoredToken};

/// About how many index members one page reads. Past it the page ends early, with a cursor.
const MAX_MEMBERS_PER_PAGE: usize = 10_000;
/// Partitions that are read at once.
const PARTITIONS_PER_ROUND: usize = 16;
/// Members that one script reads.
const CHUNK: RangeInclusive<usize> = 16..=1_000;
/// Tokens that a mass revocation deletes at once.
const DELETIONS_PER_PAGE: usize = 500;
/// First byte of each cursor.
const CURSOR_VERSION: u8 = 1;

/// The narrowest index for a filter, and the prefix of the members that match.
struct Index {
    name: &'static str,
    prefix: String,
}

/// Where the next page begins.
#[derive(Default)]
struct Position {
    partition: Partition,
    /// The last member of the page before; empty at the begin of a partition.
    after: Vec<u8>,
}

/// A member of an index, and its token where that is there.
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
        let Some(position) = index.position(cursor) else {
            return Ok(None);
        };
        let (tokens, next) = self.page(&index, filter, limit, position).await?;
        Ok(Some(Page {
            tokens,
            cursor: next.map(|position| position.cursor()),
        }))
    }

    pub async fn delete_matching(&self, filter: &Filter) -> Result<u64> {
        let index = Index::of(filter);
        let mut position = index.position(None);
        let mut deleted = 0;
        while let Some(from) = position {
            let (tokens, next) = self.page(&index, filter, DELETIONS_PER_PAGE, from).await?;
            let each = tokens
                .iter()
                .map(|token| self.delete_incarnation(token.id, Some(token.incarnation)));
            let results = all_of(each.collect()).await?.into_iter();
            let count = results.filter(|was_there| *was_there).count();
            deleted += u64::try_from(count).unwrap_or(u64::MAX);
            position = next;
        }
        Ok(deleted)
    }

    /// Tokens that match, and where the next page begins.
    async fn page(
        &self,
        index: &Index,
        filter: &Filter,
        limit: usize,
        mut position: Position,
    ) -> Result<(Vec<StoredToken>, Option<Position>)> {
        let chunk = limit.clamp(*CHUNK.start(), *CHUNK.end());
        let mut tokens = Vec::new();
        let mut members_read = 0;
        while members_read < MAX_MEMBERS_PER_PAGE {
            let partitions = (position.partition..=Partition::MAX).take(PARTITIONS_PER_ROUND);
            let begin = std::mem::take(&mut position.after);
            let reads = partitions.map(|partition| {
                let is_first = partition == position.partition;
                let after: &[u8] = if is_first { &begin } else { &[] };
                self.rows(index, partition, after, chunk)
            });
            let mut next = None;
            let mut full = false;
            for (partition, now, rows) in all_of(reads.collect()).await? {
                full = rows.len() == chunk;
                let mut last = Vec::new();
                for Row { member, token } in rows {
                    members_read += 1;
                    last = member.into_bytes();
                    tokens.extend(token.filter(|token| matches(token, filter, now)));
                    if tokens.len() >= limit {
                        let position = Position {
                            partition,
                            after: last,
                        };
                        return Ok((tokens, Some(position)));
                    }
                }
                next = Some(Position {
                    partition,
                    after: last,
                });
                if full {
                    // The rest of this partition comes before the next partitions.
                    break;
                }
            }
            let Some(mut reached) = next else {
                return Ok((tokens, None));
            };
            if !full {
                let Some(partition) = reached.partition.checked_add(1) else {
                    return Ok((tokens, None));
                };
                reached = Position {
                    partition,
                    after: Vec::new(),
                };
            }
            position = reached;
        }
        Ok((tokens, Some(position)))
    }

    async fn rows(
        &self,
        index: &Index,
        partition: Partition,
        after: &[u8],
        max: usize,
    ) -> Result<(Partition, u64, Vec<Row>)> {
        let (from, to) = index.range(after);
        let call = self.scripts.list.on(partition).arg(index.name);
        let call = call.arg(from).arg(to).arg(max);
        let mut items = call.run(&self.connection).await?.items()?;
        let now = items.number()?;
        let mut rows = Vec::new();
        for row in items.item()?.items()? {
            match row.items().and_then(|mut row| self.row(&mut row)) {
                Ok(row) => rows.push(row),
                // The other tokens can still be listed and revoked.
                Err(error) => {
                    tracing::error!(exception.message = %error, partition, "a token cannot be parsed")
                }
            }
        }
        Ok((partition, now, rows))
    }

    fn row(&self, items: &mut Items) -> Result<Row> {
        let member = items.text()?;
        let token = match items.is_empty() {
            true => None,
            false => {
                let id = member.get(member.len().saturating_sub(keys::TOKEN_ID_LENGTH)..);
                let id = decode::token_id(id.unwrap_or_default())?;
                let record = decode::record(&items.text()?)?;
                Some(self.parse_stored(id, record, items)?)
            }
        };
        Ok(Row { member, token })
    }
}

impl Index {
    fn of(filter: &Filter) -> Self {
        let (name, prefix) = match (&filter.tag, &filter.bucket) {
            (Some(tag), _) => (keys::TOKENS_BY_TAG, format!("{tag}\0")),
            (None, Some(bucket)) => {
                let key = filter.prefix.as_deref().unwrap_or_default();
                (keys::TOKENS_BY_OBJECT, format!("{bucket}\0{key}"))
            }
            (None, None) => (keys::TOKENS, String::new()),
        };
        Self { name, prefix }
    }

    /// Bounds for `ZRANGEBYLEX`. Members are UTF-8, so that 0xff sorts after all of them.
    fn range(&self, after: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let from = match (after, self.prefix.as_bytes()) {
            ([], prefix) => [b"[", prefix].concat(),
            (after, _) => [b"(", after].concat(),
        };
        (from, [b"(", self.prefix.as_bytes(), &[0xff]].concat())
    }

    /// `None`: the cursor belongs to another index.
    fn position(&self, cursor: Option<&str>) -> Option<Position> {
        let Some(cursor) = cursor else {
            return Some(Position::default());
        };
        let bytes = hex::decode(cursor).ok()?;
        let [CURSOR_VERSION, partition, after @ ..] = bytes.as_slice() else {
            return None;
        };
        (after.is_empty() || after.starts_with(self.prefix.as_bytes())).then(|| Position {
            partition: *partition,
            after: after.to_vec(),
        })
    }
}

impl Position {
    fn cursor(&self) -> String {
        hex::encode([&[CURSOR_VERSION, self.partition], self.after.as_slice()].concat())
    }
}

fn matches(token: &StoredToken, filter: &Filter, now: u64) -> bool {
    let record = &token.record;
    filter.matches_record(record) && filter.matches_state(record, token.used_hits, now)
}
