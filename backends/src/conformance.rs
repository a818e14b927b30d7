//! Suites of cases that every adapter passes; each case is its own named test.
//!
//! An adapter of a third party passes them or is not one.
#![allow(clippy::unwrap_used)]

pub mod callback_queue;
pub mod fixture;
pub mod object_backend;
pub mod token_store;

#[cfg(feature = "redis")]
pub use crate::redis::script_names as redis_script_names;

/// Makes a test of each case: a module for each group, opened with the group's `LIMITS`.
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
