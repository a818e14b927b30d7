//! Test suites that every adapter passes, for the adapters of third parties, too.
//!
//! Each case is a function, and becomes a test with the function's name.
#![allow(clippy::unwrap_used)]

pub mod callback_queue;
pub mod fixture;
pub mod object_backend;
pub mod token_store;

#[cfg(feature = "redis")]
pub use crate::redis::script_names as redis_script_names;

/// Makes a test of each case, in a module for each group, on a store opened with the group's `LIMITS`.
#[doc(hidden)]
#[macro_export]
macro_rules! store_suite_cases {
    ($name:ident, $setup:path, $suite:ident => $($group:ident: [$($case:ident),+ $(,)?]),+ $(,)?) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $(mod $group {
                #[allow(unused_imports)]
                use super::*;
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    use $crate::conformance::$suite::$group as group;
                    group::$case($setup(group::LIMITS).await).await;
                })+
            })+
        }
    };
}
