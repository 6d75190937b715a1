// SPDX-License-Identifier: BSD-3-Clause
// A program outside of the tree: both ends of a connection in one process, over net_ring. One says hello, the other
// sends it back. (tests/sdk/run.py builds it against what was installed)
#include <millrace/millrace.h>

#include <cstdio>
#include <string>

using namespace millrace;

int main() try {
  Config left, right;
  left.address = ipv4(10, 9, 0, 2);
  right.address = ipv4(10, 9, 0, 1);
  auto [client, server] = Endpoint::pair(left, right);
  const std::string hello = "hello, outside\n";
  std::string answer;
  bool closed = false;

  Application serve = [](Channel& channel) {
    if (channel.first_turn()) channel.listen({.port = 7});
    for (Event& event : channel.events()) {
      if (event.kind == Event::received) channel.send(event.connection, event.keep());
      if (event.kind == Event::peer_closed) channel.close(event.connection);
    }
  };
  Application ask = [&](Channel& channel) {
    if (channel.first_turn()) channel.connect({.address = right.address, .port = 7});
    for (Event& event : channel.events()) {
      auto text = reinterpret_cast<const uint8_t*>(hello.data());
      if (event.kind == Event::connected && !channel.send(event.connection, {text, hello.size()})) closed = true;
      if (event.kind == Event::received) answer.append(event.bytes().begin(), event.bytes().end());
      if (event.kind == Event::received && answer.size() == hello.size()) channel.close(event.connection);
      if (event.kind == Event::closed) closed = true;
    }
  };
  server.turn(serve);  // the listener first
  constexpr int enough_turns = 100'000'000;
  for (int i = 0; i < enough_turns && !closed && answer.size() < hello.size(); ++i) {
    client.turn(ask);
    server.turn(serve);
  }
  std::fputs(answer.c_str(), stdout);
  int result = client.finish(ask) + server.finish(serve);
  return answer == hello ? result : 1;
} catch (const ConfigError& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 2;
}
