//! The way past a client library: what it has signed is sent, what is answered goes to the caller.

use std::cell::RefCell;

use super::Answer;
use crate::error::Result;

tokio::task_local! {
    static CAPTURED: RefCell<Option<Result<Answer>>>;
}

/// What a call of a client library came to, and what its transport was answered.
pub type Captured<T> = (T, Option<Result<Answer>>);

/// Runs `call` of a client library, whose transport [`offer`]s what it is answered. The library must
/// send from the task that calls it.
pub async fn capture<T>(call: impl Future<Output = T>) -> Captured<T> {
    let run = async {
        let result = call.await;
        (result, CAPTURED.with(RefCell::take))
    };
    CAPTURED.scope(RefCell::new(None), run).await
}

/// The request that is sent now is one whose answer its caller takes.
pub fn is_wanted() -> bool {
    CAPTURED.try_with(|_| ()).is_ok()
}

/// Hands the answer to [`capture`].
pub fn offer(answer: Result<Answer>) {
    // Nobody waits for it: it is dropped.
    let _ = CAPTURED.try_with(|captured| captured.replace(Some(answer)));
}
