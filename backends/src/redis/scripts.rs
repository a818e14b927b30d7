//! The Lua scripts: one for each operation, each inside one partition.

pub mod decode;
mod reply;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script, ScriptInvocation, ToRedisArgs};

use super::connection::{Ask, Failure, Link};
use super::keys::{self, Partition};
use crate::error::Result;
pub use reply::{Items, Reply};

macro_rules! scripts {
    ($($room:literal { $($name:ident: $wrote:expr,)+ })+) => {
        /// Every script, with the words they share before it.
        pub struct Scripts {
            $($(pub $name: Named,)+)+
        }

        impl Scripts {
            pub fn new() -> Self {
                Self {
                    $($($name: Named {
                        operation: concat!("redis.", stringify!($name)),
                        wrote: $wrote,
                        script: Script::new(concat!(
                            include_str!("scripts/common.lua"),
                            include_str!(concat!("scripts/", $room, "/", stringify!($name), ".lua")),
                        )),
                    },)+)+
                }
            }
        }
    };
}

scripts! {
    "store" {
        reserve: Wrote::AsTheAnswerSays,
        undo_reserve: Wrote::Nothing,
        charge: Wrote::Always,
        renew: Wrote::Always,
        commit: Wrote::Always,
        release: Wrote::Always,
        add_usage: Wrote::Nothing,
        create: Wrote::Always,
        get: Wrote::Nothing,
        patch: Wrote::Always,
        delete: Wrote::Always,
        list: Wrote::Nothing,
        record_upload: Wrote::Always,
        abandoned_uploads: Wrote::Nothing,
        forget_upload: Wrote::Nothing,
        settlement: Wrote::Nothing,
    }
    "queue" {
        enqueue: Wrote::Always,
        find_due: Wrote::Nothing,
        claim: Wrote::Nothing,
        finish_claim: Wrote::Nothing,
        list_events: Wrote::Nothing,
        get_events: Wrote::Nothing,
        replay: Wrote::Always,
        count_events: Wrote::Nothing,
    }
    "maintenance" {
        sweep: Wrote::Nothing,
        interrupt_downloads: Wrote::Nothing,
        note_node: Wrote::Nothing,
        count_nodes: Wrote::Nothing,
    }
    "offline" {
        is_empty: Wrote::Nothing,
        export: Wrote::Nothing,
        import: Wrote::Always,
    }
}

/// Whether a script has written what somebody counts on, so that replicas have to have it.
#[derive(Clone, Copy)]
enum Wrote {
    /// Nothing, or what is done again where it is lost.
    Nothing,
    Always,
    /// The last item of the answer is `1`.
    AsTheAnswerSays,
}

impl Ask for Call<'_> {
    type Answer = Reply;

    async fn send(&self, to: &mut MultiplexedConnection) -> RedisResult<Reply> {
        self.invocation.invoke_async(to).await
    }

    fn wrote(&self, answer: &Reply) -> bool {
        self.wrote.by(answer)
    }
}

impl Wrote {
    fn by(self, answer: &Reply) -> bool {
        match self {
            Self::Nothing => false,
            Self::Always => true,
            Self::AsTheAnswerSays => answer.ends_with_one(),
        }
    }
}

/// A script and what it is called in errors.
pub struct Named {
    operation: &'static str,
    wrote: Wrote,
    script: Script,
}

impl Named {
    pub fn on(&self, partition: Partition) -> Call<'_> {
        let mut invocation = self.script.prepare_invoke();
        invocation.key(keys::prefix(partition));
        Call {
            operation: self.operation,
            wrote: self.wrote,
            partition,
            invocation,
        }
    }
}

/// A script with its arguments.
pub struct Call<'a> {
    operation: &'static str,
    wrote: Wrote,
    partition: Partition,
    invocation: ScriptInvocation<'a>,
}

impl Call<'_> {
    pub fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.invocation.arg(arg);
        self
    }

    pub fn push(&mut self, arg: impl ToRedisArgs) {
        self.invocation.arg(arg);
    }

    /// One round trip; three where Redis does not have the script yet.
    pub async fn run(&self, link: &Link) -> Result<Reply> {
        let reply = self.attempt(link).await;
        reply.map_err(|failure| failure.of(self.operation))
    }

    /// For callers to whom it matters whether the script may have run.
    pub async fn attempt(&self, link: &Link) -> Result<Reply, Failure> {
        let reply = link.call(self.partition, self).await?;
        Ok(reply.of(self.operation))
    }

    pub fn operation(&self) -> &'static str {
        self.operation
    }
}
