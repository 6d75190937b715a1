// SPDX-License-Identifier: BSD-3-Clause
// The cells of the matrix: how each state is reached, the segment that then arrives, and what can be seen
// afterwards.
#include "tests/conformance/matrix.h"

#include <map>

namespace millrace::conformance::matrix {

namespace {

constexpr uint32_t buffer = 2920;    // RCV.WND when it is open: two segments
constexpr uint32_t before_una = 1;   // octets acknowledged before: an old ACK is one that was possible once
constexpr uint32_t una = 1 + before_una;
constexpr uint32_t sent_text = 100;  // not acknowledged, but in FIN-WAIT-2 and TIME-WAIT
constexpr uint32_t text_len = 10;
constexpr uint16_t peer_window = 65535;
constexpr uint16_t new_window = 30000;  // SEG.WND of the cell's segment
constexpr uint16_t pointer = 5;

bool synchronized(Scene s) {
  return s >= Scene::established;
}
bool active(Scene s) {
  return s == Scene::syn_sent || s == Scene::syn_received_active;
}

oracle::State state_of(Scene s) {
  using S = oracle::State;
  static const S states[] = {S::closed,
                             S::listen,
                             S::syn_sent,
                             S::syn_received_passive,
                             S::syn_received_active,
                             S::established,
                             S::fin_wait_1,
                             S::fin_wait_1,
                             S::fin_wait_2,
                             S::fin_wait_2,
                             S::close_wait,
                             S::closing,
                             S::last_ack,
                             S::time_wait};
  return states[static_cast<int>(s)];
}

// One Net for the cells of a state and a set of flags; each cell has a connection of its own.
class Bench {
 public:
  explicit Bench(bool timestamps)
      : net([](stack::Config& c) {
          c.tcp.receive_buffer = buffer;
          c.tcp.window_scaling = false;
        }) {
    net.peer.ts = timestamps;
    net.keep = true;
    net.listen();
    net.on_event = [this](const Event& e) {
      std::string what = e.kind == Event::received ? "text" : millrace::name(e.kind);
      if (e.kind == Event::closed) what += std::string(" ") + millrace::name(e.reason);
      signals.push_back(what);
    };
  }
  Observation observe(const Cell& cell);

 private:
  oracle::Block enter(const Cell& cell);
  void establish();
  void fill(uint32_t bytes);
  void close_side(Scene scene);
  oracle::Segment segment(const Cell& cell, const oracle::Block& b) const;
  Seg wire_form(const Cell& cell, const oracle::Segment& s);
  oracle::Outcome look(const oracle::Block& before);
  void look_at_signals(oracle::Outcome& o, uint32_t text_at);
  void look_at_answers(oracle::Outcome& o);
  uint32_t fill_gap(const Cell& cell, const oracle::Segment& s, const oracle::Block& b, uint32_t at);
  void leave();
  stack::Number record();
  tcp::Tcb* tcb();

  Net net;
  uint32_t rcv_nxt = 1;  // of the connection on its way into the state
  uint32_t ts_recent = 0;
  size_t received = 0;
  std::vector<std::string> signals;
  uint16_t next_port = 6000;
};

stack::Number Bench::record() {
  wire::FlowKey key{Net::own, net.peer.ip, net.peer.to, net.peer.port, 4};
  return net.stack->find(net.stack->tag_of(key), key);
}

tcp::Tcb* Bench::tcb() {
  stack::Number n = record();
  return n && n.kind() == stack::Kind::tcb ? &net.stack->cx.tcbs[n.index()] : nullptr;
}

void Bench::establish() {
  net.syn_received_passive();
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.send(before_una);
  net.in(A(1, una));
}

void Bench::fill(uint32_t bytes) {
  for (uint32_t n; bytes > 0; bytes -= n, rcv_nxt += n) {
    n = std::min(bytes, 1460u);
    net.in(A(rcv_nxt, una, n));
  }
  net.drop_sent();
}

// The user's and the peer's FINs, from ESTABLISHED on.
void Bench::close_side(Scene scene) {
  auto peers_fin = [&](uint32_t ack) { net.in(F(rcv_nxt++, ack)); };
  uint32_t nxt = una + sent_text + 1;
  switch (scene) {
    case Scene::fin_wait_1: net.shutdown(); break;
    case Scene::fin_wait_1_closed: net.close(); break;
    case Scene::fin_wait_2: net.shutdown(), net.in(A(rcv_nxt, nxt)); break;
    case Scene::fin_wait_2_closed: net.close(), net.in(A(rcv_nxt, nxt)); break;
    case Scene::close_wait: peers_fin(una); break;
    case Scene::closing: net.shutdown(), peers_fin(una); break;
    case Scene::last_ack: peers_fin(una), net.close(); break;
    case Scene::time_wait: net.shutdown(), net.in(A(rcv_nxt, nxt)), peers_fin(nxt); break;
    default: break;
  }
}

oracle::Block Bench::enter(const Cell& cell) {
  oracle::Block b;
  Scene scene = cell.scene;
  b.state = state_of(scene);
  rcv_nxt = 1;
  net.peer.port = active(scene) ? 80 : next_port++;
  net.peer.to = scene == Scene::closed ? 81 : 80;
  if (active(scene)) {
    scene == Scene::syn_sent ? net.syn_sent() : net.syn_received_simultaneous();
  } else if (scene == Scene::syn_received_passive) {
    net.syn_received_passive();
  } else if (synchronized(scene)) {
    establish();
    bool peer_closed = scene == Scene::close_wait || scene == Scene::last_ack || scene == Scene::closing;
    if (cell.window == Window::shut) fill(buffer - peer_closed);
    net.send(sent_text);
    close_side(scene);
  }
  net.drop_sent();
  net.events.clear();
  signals.clear();
  received = net.received.size();
  ts_recent = net.peer_clock();
  if (scene == Scene::closed || scene == Scene::listen) return b;
  b.snd_nxt = 1;
  b.rcv_wnd = buffer;
  if (scene == Scene::syn_sent) return b;
  b.snd_wnd = b.max_snd_wnd = peer_window;
  b.rcv_nxt = rcv_nxt;
  if (!synchronized(scene)) return b;
  b.user_closed = scene == Scene::fin_wait_1_closed || scene == Scene::fin_wait_2_closed;
  b.fin_sent = scene != Scene::established && scene != Scene::close_wait;
  b.snd_nxt = una + sent_text + b.fin_sent;
  bool acked = b.state == oracle::State::fin_wait_2 || b.state == oracle::State::time_wait;
  b.snd_una = acked ? b.snd_nxt : una;
  b.snd_wl2 = b.snd_una;
  // The last segment that came: the peer's FIN, the ACK of ours, or the text that shut the window.
  bool peer_closed = b.state >= oracle::State::close_wait;
  b.snd_wl1 = peer_closed || acked || cell.window == Window::open ? rcv_nxt - peer_closed : rcv_nxt - 1460;
  // A FIN takes no buffer: the octet comes free at once, and is told where that is no silly window.
  bool wide = net.peer.ts;  // less text in a segment
  b.rcv_wnd = cell.window == Window::shut ? 0 : buffer - (peer_closed && !wide);
  return b;
}

oracle::Segment Bench::segment(const Cell& cell, const oracle::Block& b) const {
  oracle::Segment s;
  s.fin = cell.flags & fin, s.syn = cell.flags & syn, s.rst = cell.flags & rst;
  s.psh = cell.flags & psh, s.ack = cell.flags & ack_bit, s.urg = cell.flags & urg;
  s.text = cell.text ? text_len : 0;
  s.wnd = new_window;
  s.up = s.urg ? pointer : 0;
  s.stamp = cell.stamp;
  switch (cell.place) {
    case Place::old: s.seq = b.rcv_nxt - 50; break;
    case Place::before_left: s.seq = b.rcv_nxt - 1; break;
    case Place::left: s.seq = b.rcv_nxt; break;
    case Place::inside: s.seq = b.rcv_nxt + 100; break;
    case Place::right: s.seq = b.rcv_nxt + b.rcv_wnd - 1; break;
    case Place::beyond: s.seq = b.rcv_nxt + std::max(b.rcv_wnd, 1u); break;
    case Place::far: s.seq = b.rcv_nxt + 0x40000000; break;
  }
  switch (cell.acked) {
    case Acked::none: s.ack_no = 0; break;
    case Acked::too_old: s.ack_no = b.snd_una - b.max_snd_wnd - 1; break;
    case Acked::old: s.ack_no = b.snd_una - 1; break;
    case Acked::una: s.ack_no = b.snd_una; break;
    case Acked::between: s.ack_no = b.snd_una + 50; break;
    case Acked::but_last: s.ack_no = b.snd_nxt - 1; break;
    case Acked::nxt: s.ack_no = b.snd_nxt; break;
    case Acked::beyond: s.ack_no = b.snd_nxt + 1; break;
  }
  return s;
}

Seg Bench::wire_form(const Cell& cell, const oracle::Segment& s) {
  Seg seg = with(cell.flags, s.seq, s.ack_no, s.text);
  seg.pointer = static_cast<uint16_t>(s.up);
  seg.win(s.wnd);
  switch (s.stamp) {
    case Stamp::older: seg.ts_val = ts_recent - 1000; break;
    case Stamp::equal: seg.ts_val = ts_recent; break;
    case Stamp::newer: seg.ts_val = ts_recent + 1000; break;
    default: seg.no_ts();
  }
  return seg;
}

void Bench::look_at_signals(oracle::Outcome& o, uint32_t text_at) {
  o.signals = std::exchange(signals, {});
  std::string text = net.received.substr(received);
  o.text = static_cast<uint32_t>(text.size());
  if (text != stream(text_at, o.text)) ADD_FAILURE() << "another text than was sent";
}

void Bench::look_at_answers(oracle::Outcome& o) {
  Instant turn = net.now;
  if (net.sent.empty()) net.advance(milliseconds(50));  // a delayed ACK, before anything else is due
  for (const Sent& packet : std::exchange(net.sent, {})) {
    const Seg& got = packet.seg;
    oracle::Answer a{oracle::Answer::ack, got.seq, got.ack - net.peer.iss, packet.at > turn};
    if (o.state != oracle::State::closed || got.flags != (rst | ack_bit)) a.seq -= net.own_iss();
    switch (got.flags) {
      case ack_bit: break;
      case rst: a.kind = oracle::Answer::rst, a.ack_no = 0; break;
      case rst | ack_bit: a.kind = oracle::Answer::rst_ack; break;
      case syn | ack_bit: a.kind = oracle::Answer::syn_ack; break;
      default: ADD_FAILURE() << "an answer that no rule asks for: " << conformance::to_string(got);
    }
    o.answers.push_back(a);
  }
}

oracle::Outcome Bench::look(const oracle::Block& before) {
  oracle::Outcome o;
  o.snd_una = before.snd_una, o.snd_wnd = before.snd_wnd, o.rcv_nxt = before.rcv_nxt;
  stack::Number n = record();
  bool listens = before.state == oracle::State::listen || before.state == oracle::State::syn_received_passive;
  if (!n) {
    o.state = listens ? oracle::State::listen : oracle::State::closed;
    return o;
  }
  uint32_t own_iss = net.own_iss(), iss = net.peer.iss;
  if (n.kind() == stack::Kind::half_open) {
    const auto& record = net.stack->half_opens[n.index()];
    o.state = oracle::State::syn_received_passive;
    o.snd_una = 0, o.snd_wnd = record.wnd, o.rcv_nxt = record.irs.value + 1 - iss;
  } else if (n.kind() == stack::Kind::time_wait) {
    const auto& record = net.stack->time_waits[n.index()];
    o.state = oracle::State::time_wait;
    if (before.state == oracle::State::time_wait) o.msl_restarted = record.since == net.now;
    o.snd_una = record.snd_nxt.value - own_iss, o.rcv_nxt = record.rcv_nxt.value - iss;
    o.ts_recent = net.peer.ts && record.ts_recent != ts_recent;
  } else {
    const tcp::Tcb& t = net.stack->cx.tcbs[n.index()];
    for (int s = 0; s <= static_cast<int>(oracle::State::time_wait); ++s)
      if (std::string(oracle::name(static_cast<oracle::State>(s))) == millrace::name(t.state))
        o.state = static_cast<oracle::State>(s);
    o.snd_una = t.snd.una.value - own_iss, o.snd_wnd = t.snd.wnd, o.rcv_nxt = t.rcv.nxt.value - iss;
    o.ts_recent = net.peer.ts && t.rcv.ts_recent != ts_recent;
  }
  return o;
}

// Text that lies ahead is held if RCV.NXT jumps over it once what lies before it has come. Where the user has
// closed, what fills the gap would end the connection.
uint32_t Bench::fill_gap(const Cell& cell, const oracle::Segment& s, const oracle::Block& b, uint32_t at) {
  tcp::Tcb* t = tcb();
  if (t == nullptr || !tcp::in(t->state, tcp::receiving) || t->is(tcp::app_closed)) return 0;
  if (s.len() == 0 || cell.window == Window::shut ||
      (cell.place != Place::inside && cell.place != Place::right))
    return 0;
  uint32_t acked = t->snd.una.value - net.own_iss();
  for (uint32_t n; at != s.seq; at += n) {
    n = std::min(s.seq - at, 1460u);
    net.in(A(at, acked, n).win(new_window));
  }
  return look(b).rcv_nxt - s.seq;
}

// Where a variable has no meaning it is nothing.
void clean(oracle::Outcome& o) {
  using oracle::State;
  if (o.state == State::closed || o.state == State::listen)
    o.snd_una = o.snd_wnd = o.rcv_nxt = 0, o.ts_recent = false;
  if (o.state == State::syn_sent) o.rcv_nxt = 0;
  if (o.state == State::time_wait) o.snd_wnd = 0;
}

void Bench::leave() {
  if (stack::Number n = record()) {
    if (n.kind() == stack::Kind::half_open) stack::forget_half_open(*net.stack, n.index());
    if (n.kind() == stack::Kind::tcb) {
      net.id = net.stack->cx.id_of(net.stack->cx.tcbs[n.index()]);
      net.abort();
    }
    if (n.kind() == stack::Kind::time_wait) stack::end_time_wait(*net.stack, n.index());
  }
  net.recycle_all();
  net.drop_sent();
  net.events.clear();
}

Observation Bench::observe(const Cell& cell) {
  oracle::Block b = enter(cell);
  if (cell.scene == Scene::time_wait) net.advance(milliseconds(1));  // so that a restart shows
  Observation o;
  o.cell = cell;
  o.before = b;
  o.seg = segment(cell, b);
  o.wanted = oracle::segment_arrives(b, o.seg);
  if (b.user_closed) o.wanted.outcome.held = 0;  // cannot be looked at
  net.in(wire_form(cell, o.seg));
  o.seen = look(b);
  look_at_signals(o.seen, cell.scene == Scene::syn_sent ? o.seg.seq + 1 : b.rcv_nxt);
  look_at_answers(o.seen);
  o.seen.held = fill_gap(cell, o.seg, b, o.seen.rcv_nxt);
  clean(o.seen);
  clean(o.wanted.outcome);
  leave();
  return o;
}

// --- which cells there are ---

std::vector<Place> places(Scene scene, Window window) {
  if (scene <= Scene::syn_sent) return {Place::old, Place::left, Place::far};  // there is no RCV.NXT yet
  if (window == Window::shut) return {Place::old, Place::before_left, Place::left, Place::beyond, Place::far};
  return {Place::old,   Place::before_left, Place::left, Place::inside,
          Place::right, Place::beyond,      Place::far};
}

std::vector<Acked> acks(Scene scene, uint8_t flags) {
  if (!(flags & ack_bit)) return {Acked::none};
  switch (scene) {
    case Scene::closed:
    case Scene::listen: return {Acked::una};
    case Scene::syn_sent: return {Acked::old, Acked::una, Acked::nxt, Acked::beyond};
    case Scene::syn_received_passive:
    case Scene::syn_received_active:
      return {Acked::too_old, Acked::old, Acked::una, Acked::nxt, Acked::beyond};
    case Scene::fin_wait_2:
    case Scene::fin_wait_2_closed:
    case Scene::time_wait: return {Acked::too_old, Acked::old, Acked::nxt, Acked::beyond};
    default:
      return {Acked::too_old,  Acked::old, Acked::una,   Acked::between,
              Acked::but_last, Acked::nxt, Acked::beyond};
  }
}

std::vector<Cell> cells(Scene scene, uint8_t flags) {
  std::vector<Cell> all;
  bool windows = synchronized(scene) && scene != Scene::time_wait;
  for (Window window : {Window::open, Window::shut}) {
    if (window == Window::shut && !windows) continue;
    for (Place place : places(scene, window))
      for (Acked acked : acks(scene, flags))
        for (bool text : {false, true})
          all.push_back({scene, flags, window, place, acked, text, Stamp::unused});
  }
  return all;
}

// The same with timestamps, where PAWS matters: fewer places.
std::vector<Cell> stamped_cells(Scene scene, uint8_t flags) {
  std::vector<Cell> all;
  if (scene <= Scene::syn_sent) return all;
  for (Stamp stamp : {Stamp::missing, Stamp::older, Stamp::equal, Stamp::newer})
    for (Place place : {Place::before_left, Place::left, Place::inside, Place::beyond})
      for (Acked acked : {Acked::none, Acked::nxt, Acked::beyond}) {
        if ((acked == Acked::none) == static_cast<bool>(flags & ack_bit)) continue;
        for (bool text : {false, true})
          all.push_back({scene, flags, Window::open, place, acked, text, stamp});
      }
  return all;
}

}  // namespace

const char* name(Scene s) {
  static const char* const names[] = {"CLOSED",
                                      "LISTEN",
                                      "SYN-SENT",
                                      "SYN-RECEIVED of a passive open",
                                      "SYN-RECEIVED of an active open",
                                      "ESTABLISHED",
                                      "FIN-WAIT-1 half closed",
                                      "FIN-WAIT-1 closed",
                                      "FIN-WAIT-2 half closed",
                                      "FIN-WAIT-2 closed",
                                      "CLOSE-WAIT",
                                      "CLOSING",
                                      "LAST-ACK",
                                      "TIME-WAIT"};
  return names[static_cast<int>(s)];
}

const std::vector<Observation>& observe(Scene scene, uint8_t flags) {
  static std::map<std::pair<Scene, uint8_t>, std::vector<Observation>> known;
  auto [at, missing] = known.try_emplace({scene, flags});
  if (!missing) return at->second;
  Bench plain(false), stamped(true);
  for (const Cell& cell : cells(scene, flags)) at->second.push_back(plain.observe(cell));
  for (const Cell& cell : stamped_cells(scene, flags)) at->second.push_back(stamped.observe(cell));
  return at->second;
}

}  // namespace millrace::conformance::matrix
