//! Takes the response to a request that a client library has built and signed past the library.

use std::cell::RefCell;

use super::ObjectResponse;
use crate::error::Result;

tokio::task_local! {
    static CAPTURED: RefCell<Option<Result<ObjectResponse>>>;
}

/// The result of a client library's call, and the response that its transport received.
pub type Captured<T> = (T, Option<Result<ObjectResponse>>);

/// Runs `call` of a client library, whose transport [`offer`]s its response. The library must send from
/// the task that calls it.
pub async fn capture<T>(call: impl Future<Output = T>) -> Captured<T> {
    let run = async {
        let result = call.await;
        (result, CAPTURED.with(RefCell::take))
    };
    CAPTURED.scope(RefCell::new(None), run).await
}

/// Whether the caller of the request that is sent now takes its response.
pub fn is_wanted() -> bool {
    CAPTURED.try_with(|_| ()).is_ok()
}

/// Hands the response to [`capture`].
pub fn offer(response: Result<ObjectResponse>) {
    // Without a capture the response is dropped.
    let _ = CAPTURED.try_with(|captured| captured.replace(Some(response)));
}
