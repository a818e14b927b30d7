//! The Lua scripts: one for each operation, each inside one partition.
//!
//! A script is `common.lua` and its own file, after the constants of [`keys`] that it names: Lua and Rust share them,
//! and a call sends none of them. The scripts are in `scripts/`, in a folder of the room that calls them.
//!
//! - `reply`: takes a reply apart; `decode`: strings of a reply become values.

pub mod decode;
mod reply;
#[cfg(test)]
mod tests;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, ScriptInvocation, ToRedisArgs};

use super::connection::{Connection, Request, RequestError};
use super::keys::{self, Partition};
use crate::error::Result;
pub use reply::{Items, Reply};

macro_rules! scripts {
    ($($room:literal { $($name:ident: $replicated:expr,)+ })+) => {
        pub struct Scripts {
            $($(pub $name: Script,)+)+
        }

        impl Scripts {
            pub fn new() -> Self {
                Self {
                    $($($name: Script {
                        operation: concat!("redis.", stringify!($name)),
                        replicated: $replicated,
                        script: redis::Script::new(&source(include_str!(
                            concat!("scripts/", $room, "/", stringify!($name), ".lua")
                        ))),
                    },)+)+
                }
            }

            /// SHA-1 and name of each script, for tests that count what requests cost.
            #[cfg(feature = "conformance")]
            pub fn names(&self) -> Vec<(String, &'static str)> {
                vec![$($((self.$name.script.get_hash().to_owned(), stringify!($name)),)+)+]
            }
        }
    };
}

scripts! {
    "store" {
        reserve: Replicated::IfReplySaysSo,
        undo_reserve: Replicated::Never,
        charge: Replicated::Always,
        renew: Replicated::Always,
        commit: Replicated::Always,
        release: Replicated::Always,
        add_usage: Replicated::Never,
        create: Replicated::Always,
        get: Replicated::Never,
        patch: Replicated::Always,
        delete: Replicated::Always,
        list: Replicated::Never,
        record_upload: Replicated::Always,
        abandoned_uploads: Replicated::Never,
        forget_upload: Replicated::Never,
        settlement: Replicated::Never,
    }
    "queue" {
        enqueue: Replicated::Always,
        find_due: Replicated::Never,
        claim: Replicated::Never,
        finish_claim: Replicated::Never,
        list_events: Replicated::Never,
        get_events: Replicated::Never,
        replay: Replicated::Always,
        count_events: Replicated::Never,
    }
    "maintenance" {
        sweep: Replicated::Never,
        interrupt_downloads: Replicated::Never,
        note_node: Replicated::Never,
        count_nodes: Replicated::Never,
    }
    "offline" {
        is_empty: Replicated::Never,
        export: Replicated::Never,
        import: Replicated::Always,
    }
}

/// A script as Redis gets it.
fn source(file: &str) -> String {
    let common = include_str!("scripts/common.lua");
    let mut source = String::new();
    for (name, value) in keys::lua_constants() {
        if common.contains(name) || file.contains(name) {
            source += &format!("local {name} = {value}\n");
        }
    }
    source + common + file
}

/// Whether replicas must have what a script has written before its caller goes on.
#[derive(Clone, Copy)]
enum Replicated {
    /// The script writes nothing, or only what is written again where it is lost.
    Never,
    Always,
    /// The last item of the reply is `1`.
    IfReplySaysSo,
}

/// A script, its name in errors, and what has to be replicated.
pub struct Script {
    operation: &'static str,
    replicated: Replicated,
    script: redis::Script,
}

impl Script {
    pub fn on(&self, partition: Partition) -> ScriptCall<'_> {
        let mut invocation = self.script.prepare_invoke();
        invocation.key(keys::prefix(partition));
        ScriptCall {
            operation: self.operation,
            replicated: self.replicated,
            partition,
            invocation,
        }
    }
}

/// A script with its arguments.
pub struct ScriptCall<'a> {
    operation: &'static str,
    replicated: Replicated,
    partition: Partition,
    invocation: ScriptInvocation<'a>,
}

impl ScriptCall<'_> {
    pub fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.invocation.arg(arg);
        self
    }

    pub fn push(&mut self, arg: impl ToRedisArgs) {
        self.invocation.arg(arg);
    }

    /// One round trip; three where Redis does not have the script yet.
    pub async fn run(&self, connection: &Connection) -> Result<Reply> {
        let reply = self.try_run(connection).await;
        reply.map_err(|error| error.of(self.operation))
    }

    /// [`run`](Self::run) for callers that need to know whether the script may have run.
    pub async fn try_run(&self, connection: &Connection) -> Result<Reply, RequestError> {
        let reply = connection.request(self.partition, self).await?;
        Ok(reply.of(self.operation))
    }

    pub fn operation(&self) -> &'static str {
        self.operation
    }
}

impl Request for ScriptCall<'_> {
    type Reply = Reply;

    async fn send(&self, to: &mut MultiplexedConnection) -> RedisResult<Reply> {
        self.invocation.invoke_async(to).await
    }

    fn must_replicate(&self, reply: &Reply) -> bool {
        match self.replicated {
            Replicated::Never => false,
            Replicated::Always => true,
            Replicated::IfReplySaysSo => reply.ends_with_one(),
        }
    }
}
