//! The suite of a [`TokenStore`](crate::token_store::TokenStore) and the events that it queues.
#![allow(missing_docs, reason = "the name of a case says what it checks")]

pub mod byte_budget;
pub mod create_get_delete;
pub mod finalising;
pub mod full_queue;
pub mod hit_windows;
pub mod hits;
pub mod leases;
pub mod listing;
pub mod multipart_uploads;
pub mod open_events;
pub mod patch;
pub mod refusals;
pub mod report_incomplete;
pub mod reused_ids;

/// Makes a module `name` with a test for each case. `setup` is an `async fn(QueueLimits) -> Fixture`
/// that opens an empty store.
#[macro_export]
macro_rules! token_store_suite {
    ($name:ident, $setup:path) => {
        $crate::store_suite_cases! { $name, $setup, token_store =>
            refusals: [
                reasons_come_in_the_documented_order,
                a_token_is_for_one_method,
                a_declared_length_is_checked_for_uploads,
                rules_are_given_back_and_count_nothing,
                rules_of_an_earlier_life_are_asked_again,
            ],
            byte_budget: [
                what_does_not_fit_is_not_charged,
                what_was_not_sent_is_given_back,
                what_was_sent_stays_charged,
                a_lapsed_lease_cannot_charge_but_gives_back,
                what_a_dead_holder_charged_comes_back_with_its_hit,
                a_deleted_token_charges_nothing,
                a_hit_without_a_lease_has_no_budget,
            ],
            open_events: [
                a_complete_download_is_queued_when_it_ends,
                without_a_limit_it_is_queued_too,
                each_ride_is_an_access_of_its_own,
                an_incomplete_one_is_dropped,
                a_released_one_is_dropped,
                a_lost_lease_queues_nothing,
                a_counted_download_is_reported_though_its_token_is_deleted,
                a_download_under_way_is_left_alone_by_housekeeping,
                a_long_download_does_not_look_like_a_long_wait,
                an_upload_without_a_callback_makes_no_event,
            ],
            finalising: [
                an_upload_counts_and_reports_once,
                the_event_may_be_claimed_with_the_commit,
                a_claimed_event_is_acked_or_tried_again_as_any_other,
                without_a_callback_or_a_lease_nothing_is_claimed,
                finalising_renews,
                a_lapsed_one_is_held_back_and_handed_out,
                once_it_is_taken_over_the_original_has_no_say,
                once_it_is_taken_over_the_original_cannot_free_it,
                whoever_took_over_may_release,
                whoever_took_over_may_die_too,
                one_that_is_known_to_have_failed_is_released,
                deleting_the_token_ends_it,
                the_event_goes_where_the_token_says_at_the_commit,
                several_are_handed_out_each_once,
                whoever_lost_it_is_told_what_became_of_it,
                a_lease_that_was_lost_for_nothing_is_void,
            ],
            full_queue: [
                accesses_with_a_callback_are_refused_until_there_is_room,
                an_upload_that_was_admitted_reports_though_the_queue_is_full,
                accesses_without_a_callback_do_not_care,
            ],
            hits: [
                two_hundred_at_once_on_ten_hits,
                a_counted_hit_is_spent_at_once_and_given_back_once,
                a_hit_of_an_earlier_life_is_not_given_back,
                hits_without_a_limit_are_all_told,
                hits_without_a_limit_end_with_the_token,
                without_a_limit_a_download_is_not_leased,
                a_dropped_reserve_gives_its_hit_back,
            ],
            report_incomplete: [
                every_outcome_is_queued,
                a_hit_given_back_is_queued_with_its_report_only,
                a_lost_lease_was_not_counted_and_is_not_queued,
            ],
            leases: [
                a_held_hit_is_taken_but_not_spent,
                a_lapsed_lease_frees_its_hit,
                housekeeping_frees_lapsed_leases_only,
                a_lapsed_lease_that_nobody_took_is_lost_all_the_same,
                renewing_keeps_a_hit,
                calls_on_a_hit_without_a_lease_are_harmless,
                an_upload_may_end_after_its_token_has_expired,
                deleting_revokes_leases,
                a_new_life_does_not_know_old_leases,
                uploads_without_a_limit,
                markers_differ,
            ],
            create_get_delete: [
                a_token_is_there_as_it_was_given,
                a_missing_token_is_an_answer,
                a_taken_id_is_refused,
                a_conflict_undoes_the_batch,
                a_batch_of_a_thousand,
                of_many_that_create_one_id_one_wins,
                an_expired_token_is_known_for_a_day,
                past_its_day_a_token_is_gone,
                deleting_holds_at_once,
            ],
            listing: [
                by_bucket_prefix_tag_and_method,
                by_state,
                a_listing_tells_the_hits,
                pages_give_each_of_500_once,
                a_listing_goes_on_though_tokens_are_deleted,
                a_cursor_of_somebody_else_is_refused,
                mass_revocation_counts_and_may_be_repeated,
                mass_revocation_of_500,
            ],
            multipart_uploads: [
                an_upload_under_way_is_nobody_elses,
                a_lapsed_one_is_handed_out_and_its_hit_is_free,
                one_that_is_not_forgotten_comes_again,
                a_commit_forgets_it,
                a_hit_that_is_given_back_leaves_it,
                one_left_finalising_waits_for_its_settlement,
                whoever_settles_it_knows_its_name,
                neither_revoking_nor_a_new_life_forgets_it,
                a_lost_lease_records_nothing,
                several_are_handed_out_once,
            ],
            patch: [
                each_field_alone,
                fields_are_cleared,
                an_expired_token_is_revived,
                a_moved_expiry_counts_for_housekeeping,
                max_hits_below_what_is_used,
                a_limit_counts_the_hits_of_the_unlimited_time,
            ],
            reused_ids: [
                an_expired_id_may_be_taken_again,
                a_new_life_knows_no_uploads_leases_or_charges,
                a_token_made_anew_is_not_swept_away,
            ],
            hit_windows: [
                the_same_client_rides_another_counts,
                a_window_runs_from_the_counted_hit,
                a_window_counts_without_a_limit_too,
                a_hit_that_is_given_back_ends_its_window,
                a_hit_that_is_ridden_on_is_not_given_back,
                giving_a_ride_back_changes_nothing,
                a_late_release_leaves_the_next_window_alone,
                a_hit_that_was_ridden_on_is_never_given_back,
                many_clients_come_and_go,
                a_client_too_many_is_counted_each_time,
                windows_that_are_over_make_room,
                one_address_leaves_room_for_others,
            ],
        }
    };
}
