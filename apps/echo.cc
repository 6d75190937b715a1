// SPDX-License-Identifier: BSD-3-Clause
// millrace-echo: sends every byte back. The pattern of any server: events in, requests out.
#include <millrace/millrace.h>

#include <atomic>
#include <cstdio>

using namespace millrace;

int main(int argc, char** argv) try {
  Config config = Config::from_arguments(argc, argv);
  Endpoint endpoint{config};
  std::atomic<int> failed = 0;
  int result = endpoint.run([&](Channel& channel) {  // inline: called each turn of each core
    channel.call_by(Instant::never());  // events are all that it lives by: its core may sleep until there are some
    if (channel.first_turn()) channel.listen({.port = config.port, .options = {.no_delay = 1}});
    for (Event& event : channel.events()) {
      switch (event.kind) {
        case Event::received: channel.send(event.connection, event.keep()); break;  // pass the buffer on
        case Event::peer_closed: channel.close(event.connection); break;
        case Event::listening:
          if (channel.core() != 0) break;  // all do: no core takes a frame before
          std::printf("listening on %s:%u\n", to_string(config.address).c_str(), config.port);
          std::fflush(stdout);
          break;
        case Event::failed:
          if (event.reason != Event::in_use) break;  // going past a failed send gives its buffer back
          std::fprintf(stderr, "port %u is in use\n", config.port);
          failed = 1;
          endpoint.stop();
          break;
        default: break;  // accepted, closed: nothing to keep here
      }
    }
  });
  return result != 0 ? result : failed.load();
} catch (const ConfigError& error) {
  std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
  return 2;
}
