//! The list of cases. A case stands here or it is not run; a name here without a case does not compile.

/// Calls `$then!` with `$make` and every case of a store, grouped by verb.
#[macro_export]
macro_rules! for_each_case {
    ($then:path, $make:expr) => {
        $then! { $make;
            enqueue {
                a_new_run_is_queued_with_one_event,
                a_run_is_kept_as_it_was_asked_for,
                thirty_enqueues_of_one_key_at_once_make_one_run,
                the_same_request_under_the_same_key_is_the_same_run,
                a_key_reused_for_another_request_is_refused,
                the_same_id_and_request_again_is_a_replay,
                one_bad_item_of_a_batch_never_fails_its_neighbours,
                a_batch_made_whole_leaves_nothing_when_one_item_is_refused,
                an_unknown_project_or_agent_task_is_refused_with_its_command,
                a_key_twice_in_one_batch_is_one_run,
                an_item_never_finds_what_a_later_one_of_its_batch_made,
                an_id_twice_in_one_batch_is_checked_twice,
            }
            claim {
                two_claimers_never_hold_the_same_run,
                a_claim_starts_the_run_under_a_new_epoch,
                a_claim_never_gives_more_than_its_limit,
                runs_are_claimed_by_priority_then_due_time_then_id,
                a_delayed_run_is_claimed_when_it_is_due_and_not_before,
                a_claim_gives_the_kinds_asked_for_that_are_not_paused,
                the_same_claim_again_gives_the_same_runs,
                a_named_claim_that_gave_nothing_may_give_something_later,
                a_claim_behind_a_gate_carries_the_attempts_steps,
                a_claim_takes_over_what_a_dead_worker_held,
            }
            lease {
                nothing_is_reported_without_the_claims_token,
                a_repeated_claim_tells_a_new_token_and_voids_the_one_before,
                a_named_claim_is_for_its_own_api_token_alone,
                a_named_claim_gives_a_narrowed_caller_nothing_it_may_not_touch,
                a_token_is_void_once_its_claim_is_over,
                a_report_is_repeated_with_its_own_token_alone,
                a_cleanup_has_a_token_of_its_own,
            }
            heartbeat {
                a_heartbeat_lengthens_the_lease_and_writes_no_event,
                a_lease_made_shorter_ends_sooner,
                a_late_heartbeat_is_refused_even_before_anybody_took_the_run,
                one_lost_lease_never_costs_the_others,
                a_heartbeat_tells_a_draining_worker,
                a_closing_lease_says_cancel_and_ends_after_ten_minutes,
            }
            finish {
                a_success_ends_the_run_with_its_result,
                the_same_success_again_is_answered_alike_and_another_is_a_conflict,
                a_failure_is_tried_again_until_its_attempts_are_used_up,
                a_backoff_is_what_was_drawn,
                a_failure_for_good_or_a_single_attempt_ends_the_run,
                a_release_gives_the_attempt_back,
                a_repeated_fail_or_release_is_known_until_the_next_claim,
                a_report_is_taken_only_under_the_live_lease_of_its_own_epoch,
                one_bad_report_never_fails_its_neighbours,
                a_long_error_is_cut_at_16_kib,
                a_nul_becomes_a_replacement_character,
            }
            cancel {
                a_queued_run_is_canceled_and_never_claimed,
                a_canceled_run_takes_no_result,
                an_ended_run_is_not_canceled_and_the_refusal_names_both_states,
                a_cancel_and_a_success_at_once_leave_one_ending,
            }
            retry {
                a_retry_starts_over_under_the_same_epoch,
                a_retry_at_an_epoch_is_granted_once,
                a_canceled_run_may_be_retried,
                a_run_that_has_not_failed_is_not_retried,
                a_retried_run_does_not_expire_at_once,
            }
            gate {
                a_run_that_waits_is_held_by_nobody_and_not_claimed,
                an_approval_lets_the_run_go_on_and_is_given_once,
                a_rejection_fails_the_run_for_good_with_its_reason,
                a_gate_that_runs_out_fails_the_run,
                what_does_not_wait_is_not_answered,
                an_answer_does_not_meet_the_next_gate,
                two_answers_at_once_are_one_answer,
                the_step_of_a_gate_ends_with_its_run,
                the_step_of_a_later_gate_ends_with_its_run,
            }
            waiting {
                a_run_is_due_since_it_could_be_claimed,
                runs_are_listed_by_what_they_wait_for,
                what_stands_before_a_run_and_what_workers_hold_is_counted,
                runs_are_found_by_the_beginning_or_the_end_of_their_ids,
            }
            cleaned {
                a_closing_lease_is_good_for_cleaning_up_alone,
                an_owed_cleanup_is_handed_out_once_and_only_once,
                a_handed_out_cleanup_is_closed_by_its_own_holder,
                a_run_that_succeeded_owes_no_cleanup,
            }
            expire {
                a_lost_lease_is_queued_again_at_once,
                the_third_crash_fails_the_run_and_says_why,
                a_single_attempt_is_never_run_twice,
                an_unstarted_run_expires_and_a_started_one_does_not,
                expiry_moves_no_more_than_it_was_asked_to,
            }
            record {
                a_steps_statuses_are_told_once_each,
                every_execution_has_its_own_steps,
                a_gate_carries_the_steps_of_its_own_execution_alone,
                lines_are_numbered_without_a_gap_over_all_attempts,
                what_is_too_long_is_cut,
                progress_is_told_when_it_changes,
                a_stale_holder_records_nothing,
                news_is_what_was_added_since,
            }
            artifact {
                an_artifact_is_kept_listed_and_read,
                an_artifact_of_the_same_name_takes_its_place,
                a_file_is_put_under_a_live_hold_alone,
                bytes_get_a_row_while_they_are_expected,
                retention_leaves_the_bytes_of_its_runs_unwanted,
                a_deleted_workspace_leaves_its_bytes_unwanted,
                a_narrowed_caller_has_the_files_of_its_projects,
                a_run_keeps_a_thousand_artifacts,
                a_kept_work_directory_goes_on_behind_its_gate,
                a_kept_work_directory_goes_when_no_cleanup_needs_it,
            }
            files {
                bytes_are_measured_on_their_way,
                an_artifact_that_is_too_large_is_not_kept,
                a_body_that_breaks_off_keeps_nothing,
                bytes_of_a_stale_holder_are_not_read,
                an_artifact_is_read_in_parts,
                a_sweep_deletes_what_nobody_wants,
                bytes_go_with_the_call_that_takes_their_row,
            }
            list {
                pages_hold_each_run_once_in_order,
                a_list_holds_what_its_filter_says,
                a_limit_or_cursor_that_does_not_fit_is_refused,
            }
            prune {
                retention_takes_what_ended_long_ago_and_nothing_else,
                retention_goes_in_batches_and_frees_keys,
                a_kind_is_kept_by_its_own_limits,
                a_narrowed_caller_prunes_its_projects,
            }
            tenants {
                a_run_of_another_workspace_does_not_exist,
                two_workspaces_go_their_own_ways,
                a_deleted_workspace_takes_everything_along,
                a_narrowed_caller_sees_its_projects_alone,
                a_key_or_id_of_what_one_may_not_see_is_taken,
            }
            directory {
                making_a_place_twice_is_making_it_once,
                agent_tasks_come_newest_first,
                a_narrowed_caller_knows_the_agent_tasks_of_its_projects_alone,
                a_worker_is_seen_drained_forgotten_and_missed,
                nobody_speaks_for_the_worker_of_another_api_token,
                a_kind_is_paused_and_resumed,
                the_figures_count_each_run_once,
                the_figures_do_not_depend_on_what_was_added_up,
            }
            token {
                a_token_lives_its_life,
                tokens_come_newest_first,
                a_token_needs_its_projects_and_its_workspace,
                tokens_of_another_workspace_do_not_exist,
                a_deleted_workspace_takes_its_tokens_along,
            }
            session {
                a_session_stands_for_its_token,
                sessions_go_when_they_are_over,
                a_token_has_so_many_sessions_and_no_more,
            }
            stream {
                every_event_comes_once_and_in_order,
                nothing_of_another_workspace_is_streamed,
                a_narrowed_reader_reads_of_its_projects_alone,
                the_end_lies_before_everything_to_come,
                a_reader_passes_over_what_retention_took,
                a_reader_among_writers_misses_nothing,
            }
            audit {
                everything_is_looked_back_upon_newest_first,
                what_is_looked_for_alone_is_found,
                nobody_looks_back_upon_what_is_anothers,
                a_look_is_bounded_and_says_where_it_came_to,
            }
            operator {
                tokens_are_made_and_revoked_on_record,
                acts_are_on_record_and_what_changes_nothing_is_not,
                an_act_of_many_at_once_is_on_record_once,
                what_retention_took_is_on_record,
                a_deleted_workspace_is_on_record_elsewhere,
                the_record_is_read_in_pages,
            }
            schedule {
                a_tick_makes_one_run_whoever_looks_first,
                a_claim_waits_no_longer_than_until_the_next_tick,
                sixteen_lookers_at_once_make_one_run_of_a_tick,
                a_tick_is_made_once_while_its_schedule_is_edited,
                a_pruned_run_never_opens_its_tick_again,
                skipped_ticks_are_in_the_stream,
                a_tick_is_skipped_while_a_run_is_live_and_told_in_the_audit,
                a_live_run_is_canceled_for_the_next_tick,
                a_tick_waits_until_the_live_run_has_ended,
                missed_ticks_follow_the_policy,
                a_week_of_sleep_is_one_run_and_two_lines,
                a_pause_skips_and_a_resume_goes_on,
                an_edit_is_a_new_revision_and_loses_no_tick,
                a_schedule_is_created_once_by_many_at_once,
                a_deleted_schedule_makes_no_run_and_keeps_those_it_made,
                a_backfill_leaves_out_ticks_whose_run_is_kept,
                schedules_of_another_workspace_are_not_seen,
                a_narrowed_caller_sees_schedules_of_its_projects_alone,
                what_a_file_changes_tells_no_input_to_those_who_may_not_read,
                what_a_file_says_is_applied_whole_and_pruned,
                figures_count_states_late_ones_and_what_was_skipped,
            }
            rollup {
                minutes_are_what_the_stream_tells,
                tokens_are_added_up_as_steps_end,
                every_event_counts_once_however_many_count,
                minutes_are_of_one_workspace_and_of_all_its_projects,
                old_minutes_are_forgotten,
                figures_made_anew_are_what_they_were,
            }
            service {
                subscribers_hear_the_domain_events_in_order,
            }
            dispatch {
                a_claim_is_what_the_rule_chooses,
                a_blocked_run_is_queued_and_not_claimed,
                a_freed_run_comes_back_into_its_place,
                a_blocked_run_waits_on_when_it_is_due,
                a_blocked_run_expires_and_is_canceled,
                a_claim_may_block_what_it_does_not_take,
            }
            write_set {
                a_set_of_several_runs_is_written_whole,
                a_rule_that_refuses_writes_nothing,
                a_rule_decides_over_its_callers_runs_alone,
            }
            table {
                every_verb_in_every_state_does_what_the_table_says,
                a_foreign_hold_is_refused_in_every_state,
                a_claim_in_every_state_gives_what_the_table_says,
            }
            wake {
                a_change_wakes_those_who_wait,
                a_change_before_the_wait_is_not_missed,
                a_wait_ends_by_itself,
                a_caller_that_gives_up_harms_nobody,
            }
        }
    };
}

/// One test for every promise of a store. `$make` is an `async fn(TurnedClock) -> (Arc<dyn Store>, Guard)`; the guard is kept
/// until the case has ended.
#[macro_export]
macro_rules! store_conformance {
    ($make:expr) => {
        $crate::for_each_case!($crate::store_tests, $make);
    };
}

/// One test a case of a store; see [`store_conformance!`].
#[doc(hidden)]
#[macro_export]
macro_rules! store_tests {
    ($make:expr; $($verb:ident { $($case:ident,)+ })+) => {
        $(mod $verb {
            #[allow(unused_imports, reason = "a factory may be named by an absolute path")]
            use super::*;

            $(#[test]
            fn $case() {
                $crate::fixture::drive($make, $crate::store::$verb::$case);
            })+
        })+
    };
}
