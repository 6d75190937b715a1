// SPDX-License-Identifier: BSD-3-Clause
// millrace-bulk: what the cases ask a peer to do with a stream, which an echo server cannot: send much, take much, stop
// reading, end first, connect itself. The text of all streams is a file that both sides know, again and again.
//
//   millrace-bulk FILE [the flags of all programs]
//
// A client begins with an Order, 16 bytes; what it sends behind it is compared with the text. Each end of a connection
// is a line of output, each counter that is not zero one at the end.
#include <millrace/millrace.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

using namespace millrace;

namespace {

struct Order {
  uint64_t send;          // bytes for the client
  uint32_t hold_ms;       // reads nothing for so long from its first byte on
  uint16_t connect_port;  // not 0: all of this on a connection of our own to that port of the client's
  uint8_t end_first;      // FIN behind the last byte; else when the client has ended
  uint8_t unused;
};
static_assert(sizeof(Order) == 16);

class Bulk {
 public:
  Bulk(std::vector<uint8_t> text, const Config& config)
      : text_(std::move(text)), port_(config.port), slots_(config.max_connections) {}

  void operator()(Channel& channel) {
    if (channel.first_turn()) {
      options_.report_sent = 1;
      options_.send_limit = 2 * most_queued;
      channel.listen({.port = port_, .options = options_});
    }
    for (Event& event : channel.events()) handle(channel, event);
    if (!holding_.empty()) end_holds(channel);
  }

 private:
  static constexpr uint32_t most_queued = 8 << 20;
  static constexpr uint64_t longest_slice = 45 * 1448;

  struct Slot {
    Order order{};
    uint32_t order_bytes = 0;
    uint64_t queued = 0, acknowledged = 0, received = 0;
    uint64_t wrong_at = UINT64_MAX;
    Instant hold_until;
    std::vector<Slice> held;
    bool peer_closed = false, ended = false;
    bool has_order() const { return order_bytes == sizeof(Order); }
  };

  void handle(Channel& channel, Event& event) {
    ConnectionId id = event.connection;
    Slot& slot = slots_[id.slot() % slots_.size()];
    switch (event.kind) {
      case Event::listening:
        std::printf("listening on port %u\n", port_);
        std::fflush(stdout);
        break;
      case Event::accepted: slot = {}; break;
      case Event::connected: begin_own(channel, id, slot, event.token); break;
      case Event::received: received(channel, event, slot); break;
      case Event::sent:
        slot.acknowledged += event.length;
        send_more(channel, id, slot);
        break;
      case Event::failed:
        if (event.reason == Event::full) slot.queued -= event.length;
        if (event.reason == Event::no_memory || event.reason == Event::invalid || event.reason == Event::no_port)
          say_end(event, slot, "connect");
        break;
      case Event::writable: send_more(channel, id, slot); break;
      case Event::peer_closed:
        slot.peer_closed = true;
        end_if_due(channel, id, slot);
        break;
      case Event::closed: closed(channel, event, slot); break;
      default: break;
    }
  }

  // The order of a connect lies in the token.
  void begin_own(Channel& channel, ConnectionId id, Slot& slot, uint64_t token) {
    slot = {};
    slot.order.send = token >> 1;
    slot.order.end_first = token & 1;
    slot.order_bytes = sizeof(Order);
    send_more(channel, id, slot);
  }

  void received(Channel& channel, Event& event, Slot& slot) {
    std::span<const uint8_t> bytes = event.bytes();
    if (!slot.has_order()) {
      size_t part = std::min<size_t>(bytes.size(), sizeof(Order) - slot.order_bytes);
      std::memcpy(reinterpret_cast<uint8_t*>(&slot.order) + slot.order_bytes, bytes.data(), part);
      slot.order_bytes += static_cast<uint32_t>(part);
      bytes = bytes.subspan(part);
      if (slot.has_order()) obey(channel, event.connection, slot);
    }
    compare(slot, bytes);
    if (slot.hold_until > channel.now()) slot.held.push_back(event.keep());
  }

  void obey(Channel& channel, ConnectionId id, Slot& slot) {
    Ipv4Address local, remote;
    uint16_t local_port = 0, remote_port = 0;
    if (slot.order.connect_port != 0 && channel.addresses(id, local, local_port, remote, remote_port)) {
      channel.connect({.address = remote,
                       .port = slot.order.connect_port,
                       .token = slot.order.send << 1 | slot.order.end_first,
                       .options = options_});
      slot.order.send = 0;
    }
    if (slot.order.hold_ms != 0) {
      slot.hold_until = channel.now() + milliseconds(slot.order.hold_ms);
      holding_.push_back(id);
    }
    send_more(channel, id, slot);
  }

  void compare(Slot& slot, std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      size_t at = slot.received % text_.size();
      size_t part = std::min(bytes.size(), text_.size() - at);
      if (std::memcmp(bytes.data(), text_.data() + at, part) != 0)
        slot.wrong_at = std::min(slot.wrong_at, slot.received);
      slot.received += part;
      bytes = bytes.subspan(part);
    }
  }

  void send_more(Channel& channel, ConnectionId id, Slot& slot) {
    while (slot.queued < slot.order.send && slot.queued - slot.acknowledged < most_queued) {
      size_t at = slot.queued % text_.size();
      uint64_t part = std::min({longest_slice, slot.order.send - slot.queued, text_.size() - at});
      channel.send(id, Channel::registered(std::span(text_).subspan(at, part)), slot.queued + part < slot.order.send);
      slot.queued += part;
    }
    end_if_due(channel, id, slot);
  }

  void end_if_due(Channel& channel, ConnectionId id, Slot& slot) {
    bool all_sent = slot.has_order() && slot.queued == slot.order.send;
    if (slot.ended || !all_sent || !(slot.order.end_first || slot.peer_closed)) return;
    // A refused send may be on its way back here: the FIN goes when all is acknowledged.
    if (slot.acknowledged < slot.queued) return;
    slot.ended = true;
    channel.shutdown(id);
  }

  void end_holds(Channel& channel) {
    std::erase_if(holding_, [&](ConnectionId id) {
      Slot& slot = slots_[id.slot() % slots_.size()];
      if (slot.hold_until > channel.now()) return false;
      give_back(channel, slot);
      return true;
    });
  }

  void give_back(Channel& channel, Slot& slot) {
    for (const Slice& slice : slot.held) channel.recycle(slice);
    slot.held.clear();
    slot.hold_until = {};
  }

  void closed(Channel& channel, const Event& event, Slot& slot) {
    std::erase(holding_, event.connection);
    give_back(channel, slot);
    say_end(event, slot, "connection");
    slot = {};
  }

  void say_end(const Event& event, const Slot& slot, const char* what) {
    std::printf("%s %s: sent %lu, received %lu, ", what, name(event.reason),
                static_cast<unsigned long>(slot.acknowledged), static_cast<unsigned long>(slot.received));
    if (slot.wrong_at == UINT64_MAX)
      std::printf("exact\n");
    else
      std::printf("wrong after %lu\n", static_cast<unsigned long>(slot.wrong_at));
    std::fflush(stdout);
  }

  const std::vector<uint8_t> text_;
  const uint16_t port_;
  Options options_;
  std::vector<Slot> slots_;
  std::vector<ConnectionId> holding_;
};

void print_counters(const Counters& counters) {
  for (size_t i = 0; i < count_kinds; ++i)
    if (uint64_t value = counters[static_cast<Count>(i)]; value != 0)
      std::printf("%s %lu\n", name(static_cast<Count>(i)), static_cast<unsigned long>(value));
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) throw ConfigError("give it a file with the text");
  std::ifstream file(argv[1], std::ios::binary);
  std::vector<uint8_t> text{std::istreambuf_iterator<char>(file), {}};
  if (text.empty()) throw ConfigError(std::string("no text in ") + argv[1]);
  argv[1] = argv[0];
  Config config = Config::from_arguments(argc - 1, argv + 1);
  Endpoint endpoint{config};
  Bulk bulk(std::move(text), config);
  int result = endpoint.run(std::ref(bulk));
  print_counters(endpoint.counters());
  return result;
} catch (const ConfigError& error) {
  std::fprintf(stderr, "millrace-bulk: %s\n", error.what());
  return 2;
}
