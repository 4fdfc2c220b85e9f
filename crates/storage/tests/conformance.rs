//! What every engine promises, shown for each: the same tests over `memory`, `redb`, `fjall`, `sled`
//! and `postgres`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "conformance/appends.rs"]
mod appends;
#[path = "../../../tests/src/cluster.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with others, who use all of it")]
mod cluster;
#[path = "conformance/commits.rs"]
mod commits;
#[path = "conformance/erasure.rs"]
mod erasure;
#[path = "conformance/fixture.rs"]
mod fixture;
#[path = "conformance/lines.rs"]
mod lines;
#[path = "conformance/model.rs"]
mod model;
#[path = "conformance/rows.rs"]
mod rows;
#[path = "conformance/sums.rs"]
mod sums;

/// Runs each named test function over each engine.
macro_rules! every_engine {
    ($($room:ident :: $test:ident,)*) => {
        mod memory {
            $(#[test]
            fn $test() {
                crate::fixture::run(crate::$room::$test(crate::fixture::Fixture::memory()));
            })*
        }

        mod redb {
            $(#[test]
            fn $test() {
                crate::fixture::run(crate::$room::$test(crate::fixture::Fixture::embedded("redb")));
            })*
        }

        mod fjall {
            $(#[test]
            fn $test() {
                crate::fixture::run(crate::$room::$test(crate::fixture::Fixture::embedded("fjall")));
            })*
        }

        mod sled {
            $(#[test]
            fn $test() {
                crate::fixture::run(crate::$room::$test(crate::fixture::Fixture::embedded("sled")));
            })*
        }

        mod redb_journal {
            $(#[test]
            fn $test() {
                crate::fixture::run(crate::$room::$test(crate::fixture::Fixture::embedded("redb+journal")));
            })*
        }

        mod fjall_journal {
            $(#[test]
            fn $test() {
                crate::fixture::run(crate::$room::$test(crate::fixture::Fixture::embedded("fjall+journal")));
            })*
        }

        mod sled_journal {
            $(#[test]
            fn $test() {
                crate::fixture::run(crate::$room::$test(crate::fixture::Fixture::embedded("sled+journal")));
            })*
        }

        mod postgres {
            $(#[test]
            fn $test() {
                crate::fixture::run(crate::$room::$test(crate::fixture::Fixture::postgres()));
            })*
        }
    };
}

every_engine! {
    rows::rows_come_back_in_the_order_of_the_keys_asked_for,
    rows::a_scan_goes_by_bytes_and_stays_inside_its_prefix,
    rows::pages_of_a_scan_give_every_row_once_in_both_directions,
    rows::a_scan_between_two_keys_leaves_the_second_out,
    rows::a_scan_sees_no_half_of_a_commit,
    rows::values_up_to_the_limit_come_back_and_longer_ones_are_refused,
    rows::what_passes_a_bound_is_refused_and_changes_nothing,
    commits::a_batch_takes_place_as_a_whole_or_not_at_all,
    commits::a_precondition_that_fails_is_a_conflict_and_takes_no_number,
    commits::a_version_never_goes_down,
    commits::a_deleted_row_is_absent_and_may_come_again,
    commits::a_batch_that_contradicts_itself_is_refused,
    commits::preconditions_that_were_read_at_different_times_are_a_conflict,
    commits::an_empty_batch_and_one_of_preconditions_only_are_committed,
    commits::no_increment_is_lost_among_many_writers,
    commits::of_many_that_expect_the_same_version_one_wins,
    commits::more_batches_than_the_queue_holds_all_take_place,
    commits::a_commit_whose_caller_went_away_leaves_the_store_whole,
    lines::a_committed_line_is_read_back_at_its_place,
    lines::chains_have_no_gaps_among_many_writers_and_conflicts,
    lines::lanes_have_different_nodes_and_new_ones_after_opening_again,
    lines::reading_on_from_a_position_gives_every_line_once,
    lines::lines_of_one_tenant_are_read_without_those_of_others,
    lines::a_line_that_is_not_well_formed_is_refused_and_takes_no_number,
    appends::lines_of_an_append_are_recorded_if_the_facts_hold,
    appends::an_append_on_an_old_fact_is_a_conflict_and_records_nothing,
    appends::an_append_without_lines_is_refused,
    appends::nothing_is_admitted_on_a_right_after_its_revocation_was_acknowledged,
    appends::an_append_as_long_as_several_frames_is_refused_and_a_long_one_recorded,
    appends::appends_that_arrive_together_are_all_recorded,
    erasure::no_creation_slips_past_an_erasure,
    erasure::no_read_is_recorded_after_an_erasure_that_it_did_not_see,
    sums::sums_are_over_the_rows_that_stand_there,
    sums::nothing_that_is_summed_is_written_before_the_key_is_there,
    sums::a_row_of_a_policy_that_is_made_again_counts_with_its_value,
}
