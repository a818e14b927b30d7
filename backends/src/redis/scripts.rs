//! The Lua scripts: one for each operation, each inside one partition.

use redis::{Script, ScriptInvocation, ToRedisArgs};

use super::keys::{self, Partition};
use super::link::Link;
use super::reply::Reply;
use crate::error::Result;

macro_rules! scripts {
    ($($name:ident),+ $(,)?) => {
        /// Every script, with the words they share before it.
        pub struct Scripts {
            $(pub $name: Named,)+
        }

        impl Scripts {
            pub fn new() -> Self {
                Self {
                    $($name: Named {
                        operation: concat!("redis.", stringify!($name)),
                        script: Script::new(concat!(
                            include_str!("lua/common.lua"),
                            include_str!(concat!("lua/", stringify!($name), ".lua")),
                        )),
                    },)+
                }
            }
        }
    };
}

scripts!(
    reserve,
    charge,
    extend,
    commit,
    release,
    usage,
    create,
    get,
    patch,
    delete,
    list,
    sweep,
    bury_owner,
    enqueue,
    peek,
    take,
    conclude,
    stats,
    record_upload,
    abandoned,
    forget_upload,
);

/// A script and what it is called in errors.
pub struct Named {
    operation: &'static str,
    script: Script,
}

impl Named {
    pub fn on(&self, partition: Partition) -> Call<'_> {
        let mut invocation = self.script.prepare_invoke();
        invocation.key(keys::prefix(partition));
        Call {
            operation: self.operation,
            invocation,
        }
    }
}

/// A script with its arguments.
pub struct Call<'a> {
    operation: &'static str,
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
        let reply: Reply = link
            .call(self.operation, async |connection| {
                self.invocation.invoke_async(connection).await
            })
            .await?;
        Ok(reply.of(self.operation))
    }
}
