//! The conformance suite of every [`ObjectBackend`]: one named test for each case.
//!
//! Run it on a backend of your own with [`object_backend_suite!`](crate::object_backend_suite) or, where
//! the storage is slow to start, with [`run_all`] in one test.

#[allow(missing_docs, reason = "the name of a case says what it checks")]
mod bodies;
#[allow(missing_docs, reason = "the name of a case says what it checks")]
mod conditions;
#[allow(missing_docs, reason = "the name of a case says what it checks")]
mod keys;
#[allow(missing_docs, reason = "the name of a case says what it checks")]
mod ranges;
mod tools;
#[allow(missing_docs, reason = "the name of a case says what it checks")]
mod uploads;
#[allow(missing_docs, reason = "the name of a case says what it checks")]
mod writers;

use std::pin::Pin;
use std::sync::Arc;

pub use bodies::*;
pub use conditions::*;
pub use keys::*;
pub use ranges::*;
pub use uploads::*;
pub use writers::*;

use crate::object_backend::ObjectBackend;

/// A backend under test.
#[derive(Clone)]
pub struct Subject {
    /// A bucket that the cases may fill.
    pub backend: Arc<dyn ObjectBackend>,
    /// Begins every key, so that cases do not share objects.
    pub prefix: String,
    /// Known defects of the storage.
    pub gaps: Gaps,
}

impl Subject {
    /// A backend without known defects.
    pub fn new(backend: Arc<dyn ObjectBackend>) -> Self {
        Self {
            backend,
            prefix: String::new(),
            gaps: Gaps::default(),
        }
    }

    /// The same backend, with known defects of its storage.
    pub fn with_gaps(self, gaps: Gaps) -> Self {
        Self { gaps, ..self }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// Known defects of the storage behind an adapter. The caller of the suite names each with its reason.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gaps {
    /// Storage ignores conditions on a GET. The adapter evaluates those on a HEAD.
    pub ignores_get_conditions: bool,
    /// Storage fails where a suffix is longer than the object.
    pub breaks_on_long_suffixes: bool,
    /// Storage checks for the object before it writes: two exclusive writers may win.
    pub exclusive_create_is_racy: bool,
    /// Storage treats the unknown type as none, and guesses one from the key's extension.
    pub guesses_unknown_types: bool,
    /// Storage refuses to abort an unknown upload, in place of "not found".
    pub refuses_unknown_uploads: bool,
    /// Storage fails for a key that is a folder of other keys.
    pub breaks_on_folders: bool,
    /// Storage keeps objects as files: some keys fail, and some name the same file.
    pub keys_are_paths: bool,
}

/// Calls another macro with the name of every case.
#[doc(hidden)]
#[macro_export]
macro_rules! __object_backend_cases {
    ($then:path, $($arguments:tt)*) => {
        $then! {
            [$($arguments)*]
            round_trip_keeps_bytes_and_type,
            codings_and_languages_come_back,
            an_object_without_a_type_has_the_unknown_type,
            an_empty_object_is_an_object,
            a_small_object_is_read_whole,
            an_upload_of_unknown_length_in_many_chunks,
            an_upload_of_known_length_in_many_chunks,
            a_reader_in_progress_sees_one_version,
            a_body_may_be_dropped_half_way,
            many_readers_at_once,
            ranges_inside_the_object,
            ranges_are_clamped_to_the_object,
            ranges_outside_the_object,
            ranges_of_a_large_object,
            if_match_on_get,
            if_none_match_on_get,
            dates_on_get,
            conditions_on_head,
            tags_take_precedence_over_dates_and_preconditions_over_freshness,
            conditions_are_evaluated_before_the_range,
            overwriting_replaces_everything,
            must_not_exist_creates_once,
            must_not_exist_holds_for_large_uploads,
            one_of_many_exclusive_writers_wins,
            nothing_is_visible_before_finish,
            abort_leaves_nothing,
            abort_leaves_the_old_object,
            a_dropped_upload_leaves_nothing,
            a_multipart_upload_is_aborted_by_its_id,
            an_upload_whose_id_cannot_be_recorded_fails,
            a_past_fence_keeps_the_object_invisible,
            a_fenced_off_upload_stays_invisible,
            the_marker_comes_back,
            deleting_is_idempotent,
            a_missing_object_is_not_found,
            keys_may_hold_any_character,
            similar_keys_name_different_objects,
            every_call_agrees_with_check_key,
            ping_and_sweep_succeed,
        }
    };
}

/// Makes a module with one test for each case.
///
/// Each test evaluates `setup` inside an async function. It gives a [`Subject`] and a guard that lives as
/// long.
///
/// ```ignore
/// object_backend_suite!(memory, (Subject::new(Arc::new(MemoryBackend::default())), ()));
/// ```
#[macro_export]
macro_rules! object_backend_suite {
    ($name:ident, $setup:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $crate::__object_backend_cases!($crate::__object_backend_tests, $setup);
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __object_backend_tests {
    ([$setup:expr] $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (subject, _guard) = $setup;
                $crate::conformance::object_backend::$case(&subject).await;
            }
        )*
    };
}

type Running<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;
type Case = for<'s> fn(&'s Subject) -> Running<'s>;

macro_rules! list {
    ([] $($case:ident,)*) => {
        /// Every case by name.
        const CASES: &[(&str, Case)] = &[$((stringify!($case), |subject| Box::pin($case(subject)))),*];
    };
}
use list as list_cases;
crate::__object_backend_cases!(list_cases,);

/// Runs every case, each below its own prefix, and returns the names of those that failed.
pub async fn run_all(subject: &Subject) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let subject = Subject {
            prefix: format!("{}{name}/", subject.prefix),
            ..subject.clone()
        };
        // A panic in a task of its own ends the case and not the run.
        let running = tokio::spawn(async move { case(&subject).await });
        if running.await.is_err() {
            failed.push(*name);
        }
    }
    failed
}
