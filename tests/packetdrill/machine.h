// SPDX-License-Identifier: BSD-3-Clause
// One Stack with a clock that only moves when it is told to, and a wire of raw IPv4 packets. Ethernet and ARP are
// spoken here and not seen outside.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "stack/internals.h"
#include "tests/packetdrill/profile.h"
#include "tests/sim/turn.h"

namespace millrace::packetdrill {

using Bytes = std::vector<uint8_t>;

struct Packet {
  Bytes ip;
  Instant at;
};

class Machine {
 public:
  using OnEvent = std::function<void(Event&)>;
  Machine(Profile profile, OnEvent on_event);

  // The stack is made with the first address that is heard of, when a script has set its sysctls.
  void start(Ipv4Address local);
  bool started() const { return stack_ != nullptr; }

  void ask(const Request& request) { asked_.push_back(request); }
  // Turns until there is nothing to do at this time.
  void run();
  void inject(std::span<const uint8_t> ip_packet);
  std::deque<Packet> sent;

  Instant now() const { return now_; }
  Instant next_deadline() const { return stack_ != nullptr ? stack::next_deadline(*stack_) : Instant::never(); }
  // Moves the clock, but not past a deadline: what is due then is done. Returns false if there was one before `to`.
  bool advance(Instant to);

  // A buffer with a copy of `text`, at most 60000 bytes.
  Slice buffer(std::span<const uint8_t> text);
  tcp::Tcb* tcb(ConnectionId id);
  // The connection of an active open before `connected` has told its name.
  tcp::Tcb* tcb_of_token(uint64_t token);
  ConnectionId id_of(const tcp::Tcb& tcb) const { return stack_->cx.id_of(tcb); }
  const stack::Stack& stack() const { return *stack_; }
  const tcp::Params& params() const { return profile.config.tcp; }

  Profile profile;

 private:
  static constexpr uint32_t headroom = 128;
  uint8_t* take(size_t length);
  void turn(const std::vector<Bytes>& frames);
  void read_events();
  void emit();
  void emit(const wire::TxSegment& tx);
  bool busy() const;
  Bytes ethernet(std::span<const uint8_t> ip_packet) const;

  OnEvent on_event_;
  Instant now_ = Instant{} + seconds(1000);
  stack::Stack* stack_ = nullptr;
  std::unordered_map<uint8_t*, std::unique_ptr<uint8_t[]>> buffers_;
  std::vector<std::byte> memory_;
  uint32_t consumed_ = 0;
  uint32_t reclaimed_ = 0;
  std::vector<Request> asked_;
  std::vector<Bytes> arp_answers_;
  sim::Turn turn_;
};

}  // namespace millrace::packetdrill
