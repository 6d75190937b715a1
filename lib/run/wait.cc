// SPDX-License-Identifier: BSD-3-Clause
// An application's thread waits for events, as a core goes to sleep (nic/wakeup.h): it spins, announces itself at each of
// its channels, looks at all of them again, and sleeps. (millrace/channel.h)
#include <poll.h>

#include <algorithm>
#include <array>

#include "base/ensure.h"
#include "run/signals.h"
#include "run/worker.h"

namespace millrace {

static constexpr size_t most_channels = 256;  // one to each core that an endpoint can have
using Sources = std::array<pollfd, most_channels + 1>;

static bool any_has_events(std::span<Channel* const> channels) {
  return std::any_of(channels.begin(), channels.end(), [](Channel* channel) { return channel->has_events(); });
}

// True: there are events, or one of the endpoints has ended.
static bool spins_until_event(std::span<Channel* const> channels, const ChannelHost& first, Duration at_most) {
  Instant until = first.channel.now() + at_most;
  do {
    if (any_has_events(channels)) return true;
    __builtin_ia32_pause();
  } while (first.channel.now() < until);
  return false;
}

bool ChannelHost::wait(std::span<Channel* const> channels, Duration at_most) {
  ensure(!channels.empty() && channels.size() <= most_channels);
  auto host = [&](size_t i) -> ChannelHost& { return *static_cast<ChannelHost*>(channels[i]->host_); };
  run::Spin& patience = host(0).patience;
  Instant begin = channels[0]->now();
  if (spins_until_event(channels, host(0), std::min(patience.limit(), at_most))) return true;
  Sources sources;
  size_t living = 0;
  for (size_t i = 0; i < channels.size(); ++i) {
    ensure(!host(i).is_inline);
    bool has_ended = host(i).ended.load(std::memory_order_acquire);
    sources[i] = {has_ended ? -1 : host(i).reader.descriptor(), POLLIN, 0};
    if (has_ended) continue;
    ++living;
    host(i).reader.announce();
  }
  sources[channels.size()] = {run::interrupt_descriptor(), POLLIN, 0};
  bool has_events = any_has_events(channels);
  Instant asleep = channels[0]->now();
  if (!has_events && living != 0 && asleep - begin < at_most) {
    Duration left = at_most - (asleep - begin);
    timespec time{static_cast<time_t>(left.ns / 1'000'000'000), static_cast<long>(left.ns % 1'000'000'000)};
    bool was_woken = ppoll(sources.data(), channels.size() + 1, &time, nullptr) != 0;
    patience.slept(channels[0]->now() - asleep, was_woken);
  }
  for (size_t i = 0; i < channels.size(); ++i) {
    if (sources[i].fd < 0) continue;
    host(i).reader.withdraw();
    if (sources[i].revents != 0) host(i).reader.drain();
  }
  return has_events || any_has_events(channels);
}

void Channel::wake_core() {
  static_cast<ChannelHost*>(host_)->worker.wakeup().wake();
}

bool Channel::wait(Duration at_most) {
  Channel* one = this;
  return ChannelHost::wait({&one, 1}, at_most);
}

bool Channel::wait(std::span<Channel* const> channels, Duration at_most) {
  return ChannelHost::wait(channels, at_most);
}

void Channel::call_by(Instant time) {
  static_cast<ChannelHost*>(host_)->call_by = time;
}

}  // namespace millrace
