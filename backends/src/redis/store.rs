//! The token store: one file for each operation.
//!
//! - `reserve`, `lease`, `commit_or_release`: an access from its admission to its end.
//! - `retry_queue`: commits, releases and undos that Redis has not answered.
//! - `usage_buffer`: hits of unlimited tokens, written in batches.
//! - `create`, `get_patch_delete`, `listing`: the control plane.
//! - `multipart_uploads`: multipart uploads that may have to be aborted in storage.

mod commit_or_release;
pub mod create;
mod get_patch_delete;
mod lease;
mod listing;
mod multipart_uploads;
mod reserve;
pub mod retry_queue;
pub mod usage_buffer;

use std::time::Duration;

use async_trait::async_trait;

use super::{Inner, RedisStore};
use crate::error::Result;
use crate::event::{ClaimedEvent, Report};
use crate::token_store::layer::token_store_methods;
use crate::token_store::{
    AbandonedUpload, Charged, Created, Filter, Intent, LeaseId, LeaseState, MultipartUpload, Page,
    Patch, Reservation, ReserveRequest, Reserved, Settlement, StoredToken, TokenId, TokenRecord,
    TokenStore, UnsettledUpload,
};

macro_rules! implement_token_store {
    ($($operation:literal: $method:ident($($name:ident: $type:ty),*) -> $reply:ty;)+) => {
        #[async_trait]
        impl TokenStore for RedisStore {
            $(async fn $method(&self, $($name: $type),*) -> Result<$reply> {
                self.0.$method($($name),*).await
            })+
        }
    };
}
token_store_methods!(implement_token_store);

impl Inner {
    async fn ping(&self) -> Result<()> {
        self.connection.ping().await
    }

    /// Only hits of unlimited tokens and the retry queue are not written yet.
    async fn close(&self) -> Result<()> {
        self.drain_retry_queue().await;
        self.flush_usage().await?;
        self.sign_off().await
    }
}
