//! The Lua scripts: one for each operation, each inside one partition.
//!
//! A script is `common.lua` and its own file, in which the constants of [`keys`] are replaced by their values. The
//! scripts are in `scripts/`, with a folder for each module that calls them.
//!
//! - `reply`: takes a reply apart; `decode`: strings of a reply become values.

pub mod decode;
mod reply;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, ScriptInvocation, ToRedisArgs};

use super::connection::{Connection, Request, RequestError};
use super::keys::{self, Partition};
use crate::error::Result;
use crate::event::EventId;
use crate::token_store::{LeaseId, TokenId};
pub use reply::{Items, Reply};

macro_rules! scripts {
    ($($folder:literal { $($name:ident: $replicated:expr,)+ })+) => {
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
                            concat!("scripts/", $folder, "/", stringify!($name), ".lua")
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

/// A script as Redis gets it: each constant is replaced by its value, so that it costs a call nothing.
fn source(file: &str) -> String {
    let constants: HashMap<_, _> = keys::lua_constants().into_iter().collect();
    let text = concat!(include_str!("scripts/common.lua"), "\n").to_owned() + file;
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut source = String::with_capacity(text.len());
    for word in words {
        let name = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        source += constants.get(name).map_or(name, String::as_str);
        source += &word[name.len()..];
    }
    source
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
    /// A call whose first argument is the token's id.
    pub fn on_token(&self, id: TokenId) -> ScriptCall<'_> {
        self.on(keys::partition_of(id)).arg(id.to_string())
    }

    /// A call whose first arguments are token id, lease and fencing token.
    pub fn on_lease(&self, lease: LeaseId) -> ScriptCall<'_> {
        let call = self.on_token(lease.token_id);
        call.arg(keys::hex(lease.lease)).arg(lease.fencing_token)
    }

    /// A call whose first argument is the event's id.
    pub fn on_event(&self, id: &EventId) -> ScriptCall<'_> {
        self.on(keys::partition_of_event(id)).arg(id.as_str())
    }

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
