//! The corners of the REST API where servers differ, one module each: `cargo test --test it edge_03`. The stories stand with
//! their subjects. Corners 8 to 12 are searches: `search/edges.rs`; 7 in a crowd of 64 is `proof::exactly_once`.

mod edge_01_if_match_is_kept_everywhere {
    use super::super::lifecycle::{
        a_stale_if_match_is_412_and_a_malformed_one_400, of_32_parallel_updates_with_the_same_etag_one_wins,
    };
    use super::super::transaction::a_patch_and_an_if_match_work_in_a_bundle;
    both_databases!(
        of_32_parallel_updates_with_the_same_etag_one_wins,
        a_stale_if_match_is_412_and_a_malformed_one_400,
        a_patch_and_an_if_match_work_in_a_bundle
    );
}

mod edge_02_what_is_deleted_is_gone_and_comes_back_with_the_next_version {
    use super::super::lifecycle::what_is_deleted_answers_410_and_comes_back_with_the_next_version;
    both_databases!(what_is_deleted_answers_410_and_comes_back_with_the_next_version);
}

mod edge_03_a_transaction_has_an_order_of_its_own_and_is_all_or_nothing {
    use super::super::transaction::{
        a_shuffled_transaction_deletes_creates_updates_and_reads_in_that_order,
        after_a_failing_entry_nothing_exists_and_one_outcome_names_every_entry, the_same_identity_twice_fails_all,
    };
    both_databases!(
        a_shuffled_transaction_deletes_creates_updates_and_reads_in_that_order,
        the_same_identity_twice_fails_all,
        after_a_failing_entry_nothing_exists_and_one_outcome_names_every_entry
    );
}

mod edge_04_links_are_rewritten_by_type_and_not_by_text {
    use super::super::transaction::{
        circles_contained_and_fragments_hold, links_are_rewritten_by_type_and_texts_that_mention_them_stay,
    };
    both_databases!(links_are_rewritten_by_type_and_texts_that_mention_them_stay, circles_contained_and_fragments_hold);
}

mod edge_05_versioned_references_stay_or_come_when_asked_for {
    use super::super::transaction::a_reference_may_ask_for_its_version;
    both_databases!(a_reference_may_ask_for_its_version);
}

mod edge_06_conditional_references_resolve_inside_the_transaction {
    use super::super::transaction::{
        a_conditional_reference_may_name_a_resource_of_the_same_bundle,
        a_conditional_reference_resolves_inside_and_0_or_2_matches_fail_all,
        the_same_bundle_again_creates_nothing_and_points_at_the_same,
    };
    both_databases!(
        a_conditional_reference_resolves_inside_and_0_or_2_matches_fail_all,
        a_conditional_reference_may_name_a_resource_of_the_same_bundle,
        the_same_bundle_again_creates_nothing_and_points_at_the_same
    );
}

mod edge_07_conditional_writes_make_find_or_refuse_in_crowds_and_bundles {
    use super::super::conditional::{
        a_conditional_create_makes_finds_or_refuses, a_conditional_update_creates_updates_or_refuses,
        two_entries_for_one_resource_are_refused,
    };
    both_databases!(
        a_conditional_create_makes_finds_or_refuses,
        a_conditional_update_creates_updates_or_refuses,
        two_entries_for_one_resource_are_refused
    );
}

mod edge_13_pages_walk_a_snapshot_and_say_what_they_did {
    use super::super::pages::{
        a_page_link_is_its_callers_own_and_cannot_be_changed, a_search_says_what_it_did,
        pages_walk_a_snapshot_while_others_write,
    };
    both_databases!(
        pages_walk_a_snapshot_while_others_write,
        a_page_link_is_its_callers_own_and_cannot_be_changed,
        a_search_says_what_it_did
    );
}

mod edge_14_a_history_is_newest_first_and_a_poller_sees_each_version_once {
    use super::super::history::{
        a_history_is_newest_first_and_shows_deletions_without_a_resource,
        a_since_poller_sees_each_version_once_while_others_write,
    };
    both_databases!(
        a_history_is_newest_first_and_shows_deletions_without_a_resource,
        a_since_poller_sees_each_version_once_while_others_write
    );
}

mod edge_15_digits_order_extensions_and_the_envelope_survive {
    use super::super::envelope::{
        a_create_ignores_the_id_and_says_where_the_resource_is, prefer_decides_what_comes_back,
        what_was_sent_comes_back_digit_for_digit,
    };
    use super::super::lifecycle::an_update_as_create_keeps_the_id_and_if_none_match_star_guards_it;
    both_databases!(
        what_was_sent_comes_back_digit_for_digit,
        a_create_ignores_the_id_and_says_where_the_resource_is,
        prefer_decides_what_comes_back,
        an_update_as_create_keeps_the_id_and_if_none_match_star_guards_it
    );
}
