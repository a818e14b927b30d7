//! `TokenStoreLayer`: wraps every call of a token store by one method.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    AbandonedUpload, Charged, Created, Filter, Intent, LeaseId, LeaseState, MultipartUpload, Page,
    Patch, Reservation, ReserveRequest, Reserved, Settlement, StoredToken, TokenId, TokenRecord,
    TokenStore, UnsettledUpload,
};
use crate::error::Result;
use crate::event::{ClaimedEvent, Report};

/// Passes all required methods of [`TokenStore`], each with its name in metrics, to the macro
/// `$implement`, for stores that treat all of them alike.
macro_rules! token_store_methods {
    ($implement:ident) => {
        $implement! {
            "create": create(tokens: Vec<(TokenId, TokenRecord)>) -> Created;
            "get": get(id: TokenId) -> Option<StoredToken>;
            "patch": patch(id: TokenId, patch: Patch) -> Option<StoredToken>;
            "delete": delete(id: TokenId) -> bool;
            "list": list(filter: &Filter, limit: usize, cursor: Option<&str>) -> Option<Page>;
            "delete_matching": delete_matching(filter: &Filter) -> u64;
            "reserve": reserve(id: TokenId, request: &ReserveRequest<'_>) -> Reserved;
            "charge": charge(reservation: &Reservation, bytes: u64, budget: u64) -> Charged;
            "renew": renew(lease: LeaseId, duration: Duration) -> LeaseState;
            "finalise": finalise(reservation: &Reservation, intent: Intent, lease: Duration) -> LeaseState;
            "commit": commit_claiming(reservation: Reservation, report: Report, claim: Option<Duration>)
                -> (LeaseState, Option<ClaimedEvent>);
            "release": release(reservation: Reservation, unsent: u64, report: Option<Report>) -> ();
            "sweep": sweep(lease: Duration) -> Vec<UnsettledUpload>;
            "settlement": settlement(lease: LeaseId) -> Settlement;
            "record_upload": record_upload(lease: LeaseId, upload: MultipartUpload) -> LeaseState;
            "abandoned_uploads": abandoned_uploads(retry: Duration) -> Vec<AbandonedUpload>;
            "forget_upload": forget_upload(upload: &AbandonedUpload) -> ();
            "flush_usage": flush_usage() -> ();
            "ping": ping() -> ();
            "close": close() -> ();
        }
    };
}
#[cfg(feature = "redis")]
pub(crate) use token_store_methods;

/// A decorator of a token store. It is a [`TokenStore`] itself, which passes each call through
/// [`around`](Self::around).
pub trait TokenStoreLayer: Send + Sync {
    /// The decorated store.
    fn inner(&self) -> &dyn TokenStore;

    /// Carries out `call`, a call of the method `operation` (`commit` for `commit_claiming`, too).
    /// Dropping `call` skips it.
    fn around<T: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send;
}

macro_rules! implement_layer {
    ($($operation:literal: $method:ident($($name:ident: $type:ty),*) -> $reply:ty;)+) => {
        #[async_trait]
        impl<L: TokenStoreLayer> TokenStore for L {
            $(async fn $method(&self, $($name: $type),*) -> Result<$reply> {
                self.around($operation, self.inner().$method($($name),*)).await
            })+
        }
    };
}
token_store_methods!(implement_layer);
