//! The suite of a [`CallbackQueue`](crate::callback_queue::CallbackQueue).
#![allow(missing_docs, reason = "the name of a case says what it checks")]

pub mod dead_letters;
pub mod delivery;
pub mod max_pending;

/// Makes a module `name` with a test for each case, as
/// [`token_store_suite!`](crate::token_store_suite) does.
#[macro_export]
macro_rules! callback_queue_suite {
    ($name:ident, $setup:path) => {
        $crate::store_suite_cases! { $name, $setup, callback_queue =>
            max_pending: [
                a_full_queue_takes_nothing,
                the_dead_take_no_room,
                a_replay_leaves_room,
            ],
            delivery: [
                an_event_comes_back_as_it_was,
                the_oldest_due_time_comes_first,
                a_new_event_does_not_stand_behind_a_backlog,
                a_claim_is_handed_out_once_until_it_lapses,
                claims_at_once_share_nothing,
                an_acked_event_is_gone,
                a_retried_event_waits_and_remembers_its_attempts,
                an_event_put_back_waits_untried,
                a_buried_event_is_dead,
                what_is_not_there_is_left_alone,
                stats_tell_what_waits_and_for_how_long,
                waiting_ends_when_an_event_comes,
                waiting_ends_at_once_for_what_came_before,
                waiting_ends_when_its_time_is_up,
            ],
            dead_letters: [
                pages_give_each_event_once_oldest_first,
                an_event_tells_all_that_became_of_it,
                a_replayed_letter_starts_over,
                a_long_history_is_cut_by_a_replay,
                an_event_that_waits_may_be_hurried,
                letters_are_replayed_by_when_they_were_queued,
                a_cursor_of_somebody_else_is_refused,
                a_letter_is_dropped_in_the_end,
            ],
        }
    };
}
