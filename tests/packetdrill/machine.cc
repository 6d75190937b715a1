// SPDX-License-Identifier: BSD-3-Clause
#include "tests/packetdrill/machine.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "wire/build.h"

namespace millrace::packetdrill {
namespace {

constexpr wire::Mac own_mac = {{2, 0, 0, 0, 0, 1}};
constexpr wire::Mac peer_mac = {{2, 0, 0, 0, 0, 2}};
constexpr uint32_t ring_size = 4096;

// The answer of whoever was asked for: every address but our own is `peer_mac`'s.
Bytes arp_answer(const wire::TxSegment& request) {
  wire::TxSegment tx;
  tx.kind = wire::TxSegment::arp_reply;
  tx.destination = own_mac;
  tx.local = request.remote;
  tx.remote = request.local;
  Bytes bytes(wire::max_header);
  bytes.resize(wire::build_header(tx, {}, {}, peer_mac, {}, bytes.data()));
  return bytes;
}

}  // namespace

Machine::Machine(Profile p, OnEvent on_event) : profile(std::move(p)), on_event_(std::move(on_event)) {}

void Machine::start(Ipv4Address local) {
  if (started()) return;
  if (profile.sysctls) take_sysctls(profile);
  stack::Config& c = profile.config;
  // Everything else is on the link, and nothing is a broadcast address.
  c.local = {local, 1, 0};
  c.mac = own_mac;
  if (!c.tcp.valid()) throw std::invalid_argument("these settings do not go together");
  memory_.resize(stack::memory_size(c));
  stack_ = stack::make_stack(c, memory_, now_);
  stack::attach(*stack_);
  turn_.init(c, ring_size);
  run();
}

// --- buffers ---

uint8_t* Machine::take(size_t length) {
  auto block = std::make_unique<uint8_t[]>(headroom + length);
  uint8_t* at = block.get();
  buffers_.emplace(at, std::move(block));
  return at;
}

Slice Machine::buffer(std::span<const uint8_t> text) {
  uint8_t* block = take(text.size());
  std::memcpy(block + headroom, text.data(), text.size());
  return {PacketRef{block}, Slice::own_buffer, headroom, static_cast<uint16_t>(text.size())};
}

// --- turns ---

bool Machine::busy() const {
  return !arp_answers_.empty() || !asked_.empty() || stack::next_deadline(*stack_) <= now_ ||
         consumed_ != turn_.out.events[0].next;
}

void Machine::run() {
  if (!started()) return;
  int limit = 100'000;
  do turn(std::exchange(arp_answers_, {}));
  while (busy() && --limit > 0);
  if (limit == 0) throw std::runtime_error("the stack is busy for ever");
}

void Machine::inject(std::span<const uint8_t> ip_packet) {
  turn({ethernet(ip_packet)});
  run();
}

Bytes Machine::ethernet(std::span<const uint8_t> ip_packet) const {
  Bytes frame(14 + ip_packet.size());
  std::copy(own_mac.bytes.begin(), own_mac.bytes.end(), frame.begin());
  std::copy(peer_mac.bytes.begin(), peer_mac.bytes.end(), frame.begin() + 6);
  bool v6 = !ip_packet.empty() && ip_packet[0] >> 4 == 6;
  frame[12] = v6 ? 0x86 : 0x08;
  frame[13] = v6 ? 0xdd : 0x00;
  std::copy(ip_packet.begin(), ip_packet.end(), frame.begin() + 14);
  return frame;
}

void Machine::turn(const std::vector<Bytes>& frames) {
  std::vector<wire::Frame> burst;
  for (const Bytes& bytes : frames) {
    uint8_t* block = take(bytes.size());
    std::memcpy(block + headroom, bytes.data(), bytes.size());
    wire::Frame f;
    f.packet = PacketRef{block};
    f.data = block + headroom;
    f.length = static_cast<uint32_t>(bytes.size());
    burst.push_back(f);
  }
  stack::receive(*stack_, burst, now_, turn_.out);
  read_events();
  if (!stack::requests_blocked(*stack_, 0)) {
    size_t n = std::min<size_t>(asked_.size(), limits::requests_per_turn);
    std::vector<Request> now_asked(asked_.begin(), asked_.begin() + static_cast<ptrdiff_t>(n));
    asked_.erase(asked_.begin(), asked_.begin() + static_cast<ptrdiff_t>(n));
    stack::request(*stack_, 0, now_asked, turn_.out);
  }
  stack::requests_wait(*stack_, 0, !asked_.empty());
  stack::EventPort& port = turn_.out.events[0];
  for (; reclaimed_ != consumed_; ++reclaimed_, ++port.end)
    stack::reclaim(*stack_, turn_.ring[reclaimed_ & port.mask], turn_.out);
  stack::transmit(*stack_, limits::tx_burst, turn_.out);
  emit();
}

void Machine::read_events() {
  stack::EventPort& port = turn_.out.events[0];
  for (; consumed_ != port.next; ++consumed_) on_event_(turn_.ring[consumed_ & port.mask]);
}

void Machine::emit() {
  for (const wire::TxSegment& tx : turn_.out.segments) emit(tx);
  for (PacketRef p : turn_.out.release) buffers_.erase(p.handle);
  turn_.out.clear();
}

void Machine::emit(const wire::TxSegment& tx) {
  if (tx.kind == wire::TxSegment::arp_request && tx.remote != profile.config.local.first)
    arp_answers_.push_back(arp_answer(tx));
  if (tx.kind == wire::TxSegment::arp_request || tx.kind == wire::TxSegment::arp_reply) return;
  turn_.frames(tx, own_mac,
               [this](std::span<const uint8_t> bytes) { sent.push_back({{bytes.begin() + 14, bytes.end()}, now_}); });
}

bool Machine::advance(Instant to) {
  Instant due = next_deadline();
  if (due > to) {
    now_ = std::max(now_, to);
    return true;
  }
  now_ = std::max(now_, due);
  run();
  return false;
}

// --- looking inside ---

tcp::Tcb* Machine::tcb(ConnectionId id) {
  if (!started() || !id) return nullptr;
  tcp::Tcb& tcb = stack_->cx.tcbs[id.slot()];
  return tcb.generation == id.generation() && tcb.state != tcp::State::closed ? &tcb : nullptr;
}

tcp::Tcb* Machine::tcb_of_token(uint64_t token) {
  for (uint32_t i = 0; started() && i < stack_->cx.tcbs.capacity(); ++i) {
    tcp::Tcb& tcb = stack_->cx.tcbs[i];
    if (tcb.state != tcp::State::closed && tcb.token == token) return &tcb;
  }
  return nullptr;
}

}  // namespace millrace::packetdrill
