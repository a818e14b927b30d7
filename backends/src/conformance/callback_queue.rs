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
                a_full_queue_refuses_events,
                dead_letters_take_no_room,
                a_replay_leaves_half_the_room,
            ],
            delivery: [
                an_event_is_claimed_unchanged,
                the_oldest_due_time_comes_first,
                a_new_event_is_not_delayed_by_a_backlog,
                an_event_is_claimed_once_until_the_claim_lapses,
                concurrent_claims_share_no_event,
                an_acked_event_is_gone,
                a_retried_event_waits_and_keeps_its_attempts,
                a_released_claim_adds_no_attempt,
                a_dead_letter_is_not_claimed,
                calls_on_unknown_events_have_no_effect,
                stats_count_pending_events_and_their_age,
                waiting_ends_when_an_event_comes,
                waiting_ends_at_once_for_what_came_before,
                waiting_ends_when_its_time_is_up,
            ],
            dead_letters: [
                pages_list_each_event_once_oldest_first,
                an_event_shows_its_attempts_and_due_time,
                a_replayed_dead_letter_restarts_its_schedule,
                a_replay_truncates_a_long_history,
                a_replay_makes_a_pending_event_due,
                dead_letters_are_replayed_by_queueing_time,
                a_foreign_cursor_is_refused,
                an_old_dead_letter_is_dropped,
            ],
        }
    };
}
