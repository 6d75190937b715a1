// SPDX-License-Identifier: BSD-3-Clause
// What a core counts. One writer (the core), any readers at any time, no locks: a reader may see one counter a
// few events ahead of another. Names are those of `netstat -s` and RFC 4898 where they have one.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace millrace {

enum class Count : uint8_t {
  // frames and segments; answers_sent are those of the segments that no connection sent: of TIME-WAIT and half-open records,
  // SYN cookies, resets
  frames_received, segments_received, segments_sent, bytes_received, bytes_sent, pure_acks_sent, answers_sent,
  // TCP
  active_opens, passive_opens, established, closed, resets_received, resets_sent, retransmitted,
  retransmission_timeouts, fast_retransmits, tail_loss_probes, tail_losses, recoveries_undone,
  ecn_reductions, out_of_order, duplicate_text, delayed_acks, window_probes_sent,
  keepalive_probes_sent, challenge_acks, challenge_acks_suppressed, syn_ack_retries, paws_rejected,
  time_wait_entered, time_wait_reopened, time_wait_taken_over, time_wait_recycled_early, listen_overflow,
  half_open_expired, orphans_reset, syn_cookies_sent, syn_cookies_accepted, syn_cookies_failed,
  // drops, each with its reason
  drop_runt, drop_ethertype, drop_not_for_us, drop_ip_version, drop_ip_header, drop_ip_checksum, drop_ip_source,
  drop_ip_fragment, drop_ip_protocol, drop_tcp_header, drop_tcp_checksum, drop_tcp_options, drop_arp, drop_icmp,
  drop_icmp_quote, drop_icmp_unmatched, drop_icmp_sequence, drop_icmp_mtu,
  drop_closed_state, drop_no_ack, drop_out_of_window, drop_unacceptable_ack, drop_no_timestamp, drop_listen,
  drop_no_memory, drop_no_window, drop_out_of_order_limit, drop_answer_room, drop_after_close,
  // around TCP
  arp_requests_sent, arp_replies_sent, arp_received, icmp_echo_answered, icmp_errors_received, path_mtu_lowered,
  path_mtu_raised, neighbor_failed,
  // several cores: frames that came to this core and were another's, and those that others have handed to it; frames
  // whose owner did not keep up; SYNs refused here to a port that another core listens on
  frames_handed_over, frames_taken_over, drop_handover, listen_elsewhere,
  // the application
  requests_failed, events_delivered,
  send_pool_dry,  // sends refused though their own limit had room: the core's buffers are all in use
  // upkeep
  count_
};
inline constexpr size_t count_kinds = static_cast<size_t>(Count::count_);

// "drop_tcp_checksum" and so on, as the programs print them.
const char* name(Count count);

class Counters {
 public:
  Counters() = default;
  // What another holds now.
  Counters(const Counters& other) { add(other); }
  Counters& operator=(const Counters&) = delete;
  // The sum of several cores.
  void add(const Counters& other) {
    for (size_t i = 0; i < count_kinds; ++i) add(static_cast<Count>(i), other[static_cast<Count>(i)]);
  }

  // Called by the one writer only: no locked instruction.
  void add(Count count, uint64_t n = 1) {
    auto& v = values_[static_cast<size_t>(count)];
    v.store(v.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t operator[](Count count) const {
    return values_[static_cast<size_t>(count)].load(std::memory_order_relaxed);
  }

 private:
  std::atomic<uint64_t> values_[count_kinds]{};
};

}  // namespace millrace
