// SPDX-License-Identifier: BSD-3-Clause
// The names of what is counted, in the order of millrace/statistics.h.
#include "millrace/statistics.h"

namespace millrace {
namespace {
constexpr const char* names[] = {
    "frames_received", "segments_received", "segments_sent", "bytes_received", "bytes_sent", "pure_acks_sent",
    "answers_sent",
    "active_opens", "passive_opens", "established", "closed", "resets_received", "resets_sent", "retransmitted",
    "retransmission_timeouts", "fast_retransmits", "tail_loss_probes", "tail_losses",
    "recoveries_undone", "ecn_reductions", "out_of_order", "duplicate_text", "delayed_acks",
    "window_probes_sent", "keepalive_probes_sent", "challenge_acks", "challenge_acks_suppressed",
    "syn_ack_retries", "paws_rejected", "time_wait_entered", "time_wait_reopened", "time_wait_taken_over",
    "time_wait_recycled_early", "listen_overflow", "half_open_expired", "orphans_reset",
    "syn_cookies_sent", "syn_cookies_accepted", "syn_cookies_failed",
    "drop_runt", "drop_ethertype", "drop_not_for_us", "drop_ip_version", "drop_ip_header", "drop_ip_checksum",
    "drop_ip_source", "drop_ip_fragment", "drop_ip_protocol", "drop_tcp_header", "drop_tcp_checksum",
    "drop_tcp_options", "drop_arp", "drop_icmp", "drop_icmp_quote", "drop_icmp_unmatched", "drop_icmp_sequence",
    "drop_icmp_mtu", "drop_closed_state", "drop_no_ack", "drop_out_of_window",
    "drop_unacceptable_ack", "drop_no_timestamp", "drop_listen", "drop_no_memory", "drop_no_window",
    "drop_out_of_order_limit", "drop_answer_room", "drop_after_close",
    "arp_requests_sent", "arp_replies_sent", "arp_received", "icmp_echo_answered", "icmp_errors_received",
    "path_mtu_lowered", "path_mtu_raised", "neighbor_failed",
    "frames_handed_over", "frames_taken_over", "drop_handover", "listen_elsewhere",
    "requests_failed", "events_delivered", "send_pool_dry",
};
static_assert(sizeof(names) / sizeof(names[0]) == count_kinds);
}  // namespace

const char* name(Count count) { return names[static_cast<size_t>(count)]; }

}  // namespace millrace
