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
                refusals_come_in_the_documented_order,
                a_token_permits_one_method,
                the_declared_size_of_an_upload_is_checked,
                rules_are_returned_and_count_nothing,
                rules_of_an_earlier_incarnation_are_returned_again,
            ],
            byte_budget: [
                bytes_over_the_budget_are_not_charged,
                unsent_bytes_are_refunded,
                sent_bytes_stay_charged,
                a_lapsed_lease_cannot_charge_but_refunds,
                charges_of_a_lapsed_lease_are_free_with_its_hit,
                a_deleted_token_charges_nothing,
                a_hit_without_a_lease_has_no_budget,
            ],
            open_events: [
                a_complete_download_queues_its_event_at_the_end,
                an_unlimited_download_queues_its_event_too,
                each_ride_queues_an_event,
                the_event_of_an_incomplete_download_is_dropped,
                the_event_of_a_released_download_is_dropped,
                a_lost_lease_queues_nothing,
                a_counted_download_of_a_deleted_token_is_reported,
                a_sweep_keeps_the_event_of_a_download_in_flight,
                the_age_of_an_event_starts_when_it_is_queued,
                an_upload_without_a_callback_makes_no_event,
            ],
            finalising: [
                an_upload_counts_and_reports_once,
                a_commit_can_claim_its_event,
                an_event_claimed_with_its_commit_is_acked_or_retried,
                without_a_callback_or_a_lease_nothing_is_claimed,
                finalise_renews_the_lease,
                a_lapsed_finalising_upload_is_handed_out_once,
                a_holder_whose_upload_was_taken_over_cannot_commit,
                a_holder_whose_upload_was_taken_over_cannot_release,
                recovery_may_release_an_upload,
                an_upload_whose_recovery_dies_is_handed_out_again,
                a_failed_finalising_upload_is_released,
                deleting_the_token_ends_a_finalising_upload,
                the_event_goes_to_the_callback_at_commit_time,
                several_finalising_uploads_are_handed_out_once_each,
                a_holder_that_lost_its_lease_learns_the_settlement,
                the_settlement_of_a_released_lease_is_void,
            ],
            full_queue: [
                accesses_with_a_callback_are_refused_while_the_queue_is_full,
                an_admitted_upload_reports_to_a_full_queue,
                accesses_without_a_callback_ignore_a_full_queue,
            ],
            hits: [
                two_hundred_concurrent_accesses_get_ten_hits,
                a_counted_hit_is_spent_at_once_and_released_once,
                a_hit_of_an_earlier_incarnation_is_not_released,
                all_hits_of_an_unlimited_token_are_counted,
                unwritten_hits_end_with_their_token,
                an_unlimited_download_is_not_leased,
                a_dropped_reserve_releases_its_hit,
            ],
            report_incomplete: [
                every_outcome_is_queued,
                a_released_hit_is_queued_only_with_a_report,
                a_lost_lease_is_neither_counted_nor_queued,
            ],
            leases: [
                a_leased_hit_is_held_but_not_spent,
                a_lapsed_lease_frees_its_hit,
                a_sweep_frees_lapsed_leases_only,
                a_lapsed_lease_is_lost_even_if_its_hit_is_free,
                renewing_keeps_a_hit,
                lease_calls_on_a_hit_without_a_lease_have_no_effect,
                an_upload_commits_after_its_token_has_expired,
                deleting_a_token_revokes_its_leases,
                a_new_incarnation_has_no_old_leases,
                uploads_of_an_unlimited_token_are_leased,
                each_lease_has_its_own_marker,
            ],
            create_get_delete: [
                a_created_token_is_returned_unchanged,
                a_missing_token_is_an_answer,
                a_taken_id_is_refused,
                a_conflict_undoes_the_batch,
                a_batch_of_a_thousand,
                one_of_many_concurrent_creates_wins,
                an_expired_token_is_known_for_its_grace_period,
                a_token_past_its_grace_period_is_gone,
                deleting_a_token_takes_effect_at_once,
            ],
            listing: [
                by_bucket_prefix_tag_and_method,
                by_state,
                a_listing_includes_used_hits,
                pages_list_each_of_500_tokens_once,
                a_listing_continues_after_deletions,
                a_foreign_cursor_is_refused,
                mass_revocation_counts_and_is_idempotent,
                mass_revocation_of_500,
            ],
            multipart_uploads: [
                a_running_multipart_upload_is_not_handed_out,
                a_lapsed_multipart_upload_is_handed_out_and_its_hit_is_free,
                an_abandoned_upload_is_handed_out_again_until_forgotten,
                a_commit_forgets_the_multipart_upload,
                a_release_hands_out_the_multipart_upload,
                a_finalising_multipart_upload_waits_for_its_settlement,
                recovery_gets_the_reference_of_the_multipart_upload,
                deletion_and_re_creation_keep_the_multipart_upload,
                a_lost_lease_records_nothing,
                several_abandoned_uploads_are_handed_out_once,
            ],
            patch: [
                each_field_is_patched_alone,
                optional_fields_are_cleared,
                an_expired_token_is_revived,
                a_sweep_uses_the_patched_expiry,
                max_hits_may_be_patched_below_used_hits,
                a_new_limit_counts_earlier_unlimited_hits,
            ],
            reused_ids: [
                an_expired_id_may_be_reused,
                a_new_incarnation_has_no_uploads_leases_or_charges,
                a_re_created_token_is_not_swept,
            ],
            hit_windows: [
                the_same_client_rides_and_another_is_counted,
                a_window_runs_from_the_counted_hit,
                an_unlimited_token_has_windows_too,
                a_release_ends_the_window_of_its_hit,
                a_hit_with_a_ride_is_not_released,
                releasing_a_ride_has_no_effect,
                a_late_release_keeps_the_next_window,
                a_hit_with_a_past_ride_is_not_released,
                windows_of_many_clients_open_and_expire,
                a_client_without_a_window_is_counted_each_time,
                expired_windows_make_room,
                one_address_leaves_windows_for_others,
            ],
        }
    };
}
