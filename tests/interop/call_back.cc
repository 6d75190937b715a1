// SPDX-License-Identifier: BSD-3-Clause
// For the interop suite: whoever connects is called back, at the next port, and told over the first connection what became
// of that: "connected", or "slow REASON TYPE CODE" and "closed REASON TYPE CODE", with what ICMP said.
#include <millrace/millrace.h>

#include <cstdio>

using namespace millrace;

namespace {

constexpr uint64_t caller_bit = uint64_t{1} << 63;  // in the token of a call back; the rest names the connection it is for

void tell(Channel& channel, const Event& event, const char* what) {
  char text[80];
  int n = std::snprintf(text, sizeof text, "%s %s %u %u\n", what, name(event.reason), event.length >> 8,
                        event.length & 0xff);
  const auto* bytes = reinterpret_cast<const uint8_t*>(text);
  if (!channel.send(ConnectionId{event.token & ~caller_bit}, {bytes, static_cast<size_t>(n)}))
    std::fprintf(stderr, "no buffer for: %s", text);
}

void call_back(Channel& channel, const Event& event, uint16_t port) {
  Ipv4Address local, remote;
  uint16_t local_port = 0, remote_port = 0;
  if (!channel.addresses(event.connection, local, local_port, remote, remote_port)) return;
  Connect connect;
  connect.address = remote;
  connect.port = static_cast<uint16_t>(port + 1);
  connect.token = event.connection.value | caller_bit;
  channel.connect(connect);
}

void take(Channel& channel, const Event& event, const Config& config) {
  bool called = event.token & caller_bit;
  switch (event.kind) {
    case Event::listening:
      std::printf("listening on %s:%u\n", to_string(config.address).c_str(), config.port);
      std::fflush(stdout);
      break;
    case Event::accepted: call_back(channel, event, config.port); break;
    case Event::connected:
      tell(channel, event, "connected");
      channel.close(event.connection);
      break;
    case Event::slow:
      if (called) tell(channel, event, "slow");
      break;
    case Event::closed:
      if (called) tell(channel, event, "closed");
      break;
    case Event::peer_closed: channel.close(event.connection); break;
    default: break;
  }
}

}  // namespace

int main(int argc, char** argv) try {
  Config config = Config::from_arguments(argc, argv);
  Endpoint endpoint{config};
  return endpoint.run([&](Channel& channel) {
    if (channel.first_turn()) {
      Listen listen;
      listen.port = config.port;
      channel.listen(listen);
    }
    for (Event& event : channel.events()) take(channel, event, config);
  });
} catch (const ConfigError& error) {
  std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
  return 2;
}
