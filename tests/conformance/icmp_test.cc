// SPDX-License-Identifier: BSD-3-Clause
// ICMP: echo, what is dropped, and errors that find the connection they are about.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

constexpr uint8_t unreachable = 3, exceeded = 11, parameter = 12;
constexpr uint8_t network = 0, host = 1, protocol = 2, port = 3, source_route = 5;
constexpr std::pair<uint8_t, uint8_t> soft_errors[] = {{unreachable, network}, {unreachable, host},
                                                       {unreachable, source_route}, {unreachable, 13},
                                                       {exceeded, 0}, {exceeded, 1}, {parameter, 0}};
constexpr State connected_states[] = {State::established, State::fin_wait_1, State::close_wait, State::closing,
                                      State::last_ack};

uint32_t code_of(uint8_t type, uint8_t code) { return static_cast<uint32_t>(type << 8 | code); }

void patient(stack::Config& c) { c.tcp.unreachable_ends_open = false; }

// Sends 100 bytes, which stay unacknowledged, and gives the segment.
Sent one_segment(Net& net) {
  net.send(100);
  EXPECT_EQ(net.sent.size(), 1u);
  Sent ours = net.sent.at(0);
  net.drop_sent();
  return ours;
}

// The SYN of an open that waits for its answer.
Sent open_syn(Net& net) {
  net.peer.port = 80;
  net.connect();
  EXPECT_EQ(net.sent.size(), 1u);
  Sent ours = net.sent.at(0);
  net.drop_sent();
  return ours;
}

// --- echo, and what is dropped ---

struct Icmp : testing::Test {
  Icmp() : ip(net.icmp_header()) { ip.source = net.peer.ip, ip.from = net.peer.mac; }
  Net net;
  IpHeader ip;
};

// RFC1122-3.2.2.6a
TEST_F(Icmp, EchoReturnsAllOfTheData) {
  for (uint32_t n : {0u, 1u, 56u, 57u, 1472u}) {
    std::string rest = "\x12\x34\x56\x78" + stream(0, n);
    net.frames({encode_ip(ip, encode_icmp(8, 0, rest))});
    ASSERT_EQ(net.sent.size(), 1u);
    Sent reply = net.sent[0];
    net.drop_sent();
    EXPECT_EQ(reply.kind, Sent::icmp);
    EXPECT_EQ(reply.source, Net::own);
    EXPECT_EQ(reply.destination, net.peer.ip);
    EXPECT_EQ(reply.to, net.peer.mac);
    EXPECT_EQ(reply.icmp_message.substr(0, 2), std::string(2, '\0'));
    EXPECT_EQ(reply.icmp_message.substr(4), rest);
  }
}

// RFC1122-3.2.2a
TEST_F(Icmp, ABadChecksumIsDropped) {
  net.frames({encode_ip(ip, encode_icmp(8, 0, "\x12\x34\x56\x78xyz", true))});
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_icmp), 1u);
}

// RFC1122-3.2.2.6b
TEST_F(Icmp, EchoToBroadcastOrMulticastIsIgnored) {
  for (Ipv4Address to : {ipv4(10, 0, 0, 255), ipv4(255, 255, 255, 255), ipv4(224, 0, 0, 1)}) {
    ip.destination = to;
    ip.to = wire::Mac::broadcast();
    net.frames({encode_ip(ip, encode_icmp(8, 0, "\x12\x34\x56\x78"))});
  }
  ip.destination = Net::own;
  net.frames({encode_ip(ip, encode_icmp(8, 0, "\x12\x34\x56\x78"))});
  net.expect_none();
}

// RFC1122-3.2.2a: unknown types, replies nobody asked for
TEST_F(Icmp, OtherTypesAreDropped) {
  for (uint8_t type : {0, 5, 9, 13, 42, 255})
    net.frames({encode_ip(ip, encode_icmp(type, 0, "\x12\x34\x56\x78"))});
  net.expect_none();
  EXPECT_EQ(net.counter(Count::drop_icmp), 6u);
}

// RFC9293-MUST-55
TEST_F(Icmp, SourceQuenchIsIgnored) {
  net.established_passive();
  Sent ours = one_segment(net);
  uint32_t cwnd = net.tcb().cwnd;
  net.icmp(ours, 4, 0);
  EXPECT_EQ(net.tcb().cwnd, cwnd);
  net.expect_none();
  net.expect_no_event();
}

// RFC1122-3.2.2b: the quote is an IP header and eight bytes of TCP, or it is none
TEST_F(Icmp, AQuoteThatNamesNoSegmentOfOursIsDropped) {
  net.established_passive();
  Sent ours = one_segment(net);
  for (size_t quoted : {0u, 19u, 20u, 27u}) net.frames({encode_icmp_error(ip, ours, unreachable, host, 0, quoted)});
  Bytes good = encode_icmp_error(ip, ours, unreachable, host);
  // Where in the quoted header: version, header length, fragment offset, protocol, our address.
  for (auto [at, value] : {std::pair{0, 0x65}, {0, 0x44}, {0, 0x4f}, {7, 1}, {9, 17}, {15, 77}}) {
    Bytes icmp(good.begin() + 34, good.begin() + 34 + 36);
    icmp[static_cast<size_t>(8 + at)] = static_cast<uint8_t>(value);
    net.frames({encode_ip(ip, encode_icmp(icmp[0], icmp[1], {icmp.begin() + 4, icmp.end()}))});
  }
  net.expect_no_event();
  EXPECT_EQ(net.counter(Count::drop_icmp_quote), 10u);
  net.frames({good});
  net.expect_event(Event::slow, Event::unreachable);
}

// RFC1122-3.2.2a: wrong, or of a code nobody knows
TEST_F(Icmp, AnErrorWithABadChecksumIsDropped) {
  net.established_passive();
  Sent ours = one_segment(net);
  Bytes bad = encode_icmp_error(ip, ours, unreachable, host);
  bad[36] ^= 1;
  net.frames({bad, encode_icmp_error(ip, ours, unreachable, 16)});
  net.expect_no_event();
  EXPECT_EQ(net.counter(Count::drop_icmp), 2u);
}

// --- errors, once connected ---

// RFC9293-MUST-54, RFC1122-3.2.2b: the quoted addresses and ports name the connection
TEST(IcmpError, FindsTheConnectionThatItQuotes) {
  Net net;
  net.established_passive();
  ConnectionId first = net.id;
  net.peer.port = 5001;
  net.established_passive();
  ASSERT_NE(first, net.id);
  Sent ours = one_segment(net);
  net.icmp(ours, unreachable, host);
  EXPECT_EQ(net.expect_event(Event::slow, Event::unreachable).connection, net.id);
  ours.destination_port = 5002;
  net.icmp(ours, unreachable, host);
  net.expect_no_event();
  EXPECT_EQ(net.counter(Count::drop_icmp_unmatched), 1u);
}

// RFC9293-MUST-56, RFC5927-4: neither soft nor hard errors end who is connected
TEST(IcmpError, NoneAbortsAConnection) {
  for (State state : connected_states) {
    Net net;
    net.enter(state);
    Sent ours;
    if (state == State::established || state == State::close_wait) {
      ours = one_segment(net);
    } else {  // the FIN is outstanding
      ours.source = Net::own;
      ours.destination = net.peer.ip;
      ours.source_port = net.peer.to;
      ours.destination_port = net.peer.port;
      ours.seg = F(net.own_iss() + 1, 0).text("");
    }
    for (auto [type, code] : soft_errors) net.icmp(ours, type, code);
    net.icmp(ours, unreachable, protocol);
    net.icmp(ours, unreachable, port);
    EXPECT_EQ(net.counter(Count::icmp_errors_received), std::size(soft_errors) + 2);
    EXPECT_EQ(net.state(), state);
    net.expect_event(Event::slow, Event::unreachable);
    net.expect_none();
  }
}

// RFC9293-SHLD-25, RFC1122-3.2.2.1b: told once, and again when there was progress in between
TEST(IcmpError, IsToldOnceUntilTheConnectionGetsOn) {
  Net net;
  net.established_passive();
  Sent ours = one_segment(net);
  net.icmp(ours, unreachable, network);
  EXPECT_EQ(net.expect_event(Event::slow, Event::unreachable).length, code_of(unreachable, network));
  net.icmp(ours, unreachable, host);
  net.expect_no_event();
  net.in(A(1, 101));
  ours = one_segment(net);
  net.icmp(ours, unreachable, source_route);
  EXPECT_EQ(net.expect_event(Event::slow, Event::unreachable).length, code_of(unreachable, source_route));
}

// RFC1122-3.2.2.4
TEST(IcmpError, TimeExceededReachesTheConnection) {
  Net net;
  net.established_passive();
  net.icmp(one_segment(net), exceeded, 0);
  EXPECT_EQ(net.expect_event(Event::slow, Event::unreachable).length, code_of(exceeded, 0));
}

// RFC1122-3.2.2.5
TEST(IcmpError, ParameterProblemReachesTheConnection) {
  Net net;
  net.established_passive();
  net.icmp(one_segment(net), parameter, 0);
  EXPECT_EQ(net.expect_event(Event::slow, Event::unreachable).length, code_of(parameter, 0));
}

// RFC9293-SHLD-20
TEST(IcmpError, ReportsCanBeSwitchedOff) {
  Net net;
  Options quiet = Net::newreno;
  quiet.no_reports = 1;
  net.listen(80, quiet);
  net.in(net.offer(S(0)));
  net.expect(net.agreed(SA(0, 1)));
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  Sent ours = one_segment(net);
  net.icmp(ours, unreachable, host);
  net.advance(seconds(10));  // past R1
  net.drop_sent();
  net.expect_no_event();
  net.set(Setting::no_reports, 0);
  net.in(A(1, 101));
  net.icmp(one_segment(net), unreachable, host);
  net.expect_event(Event::slow, Event::unreachable);
}

// RFC5927-4: SND.UNA <= SEG.SEQ < SND.NXT, or it is somebody's guess
TEST(IcmpError, OutsideWhatIsOutstandingIsDropped) {
  Net net;
  net.established_passive();
  Sent ours = one_segment(net);
  net.in(A(1, 101));
  Sent later = one_segment(net);
  net.icmp(ours, unreachable, host);
  Sent beyond = later;
  beyond.seg.seq += 100;
  net.icmp(beyond, unreachable, host);
  EXPECT_EQ(net.counter(Count::drop_icmp_sequence), 2u);
  net.expect_no_event();
  later.seg.seq += 99;
  net.icmp(later, unreachable, host);
  net.expect_event(Event::slow, Event::unreachable);
}

// RFC9293-SHLD-25: what the network has said is why it ends, when it ends
TEST(IcmpError, ATimeoutNamesTheErrorThatExplainsIt) {
  Net net([](stack::Config& c) { c.tcp.r2 = seconds(100); });
  net.established_passive();
  net.icmp(one_segment(net), unreachable, host);
  net.expect_event(Event::slow, Event::unreachable);
  net.advance(seconds(200));
  net.drop_sent();
  net.expect_event(Event::slow, Event::unreachable);  // R1
  EXPECT_EQ(net.expect_event(Event::closed, Event::unreachable).length, code_of(unreachable, host));
}

// ... but not what is long over
TEST(IcmpError, ATimeoutDoesNotNameAnErrorBeforeProgress) {
  Net net([](stack::Config& c) { c.tcp.r2 = seconds(100); });
  net.established_passive();
  net.icmp(one_segment(net), unreachable, host);
  net.expect_event(Event::slow, Event::unreachable);
  net.in(A(1, 101));
  one_segment(net);
  net.advance(seconds(200));
  net.drop_sent();
  net.expect_event(Event::slow);
  EXPECT_EQ(net.expect_event(Event::closed, Event::timed_out).length, 0u);
}

TEST(IcmpError, LeavesTimeWaitAlone) {
  Net net;
  net.time_wait();
  Sent fin;
  fin.source = Net::own;
  fin.destination = net.peer.ip;
  fin.source_port = net.peer.to;
  fin.destination_port = net.peer.port;
  fin.seg = F(net.own_iss() + 1, 0).text("");
  net.icmp(fin, unreachable, port);
  EXPECT_EQ(net.counter(Count::drop_icmp_unmatched), 1u);
  EXPECT_EQ(net.state(), State::time_wait);
}

// --- errors while opening ---

// RFC9293-SHLD-26
TEST(IcmpOpen, APortUnreachableIsARefusal) {
  Net net;
  net.icmp(open_syn(net), unreachable, port);
  EXPECT_EQ(net.expect_event(Event::closed, Event::refused).length, code_of(unreachable, port));
  net.silent_for(seconds(10));
}

// RFC9293-SHLD-26
TEST(IcmpOpen, AProtocolUnreachableEndsIt) {
  Net net(patient);
  net.icmp(open_syn(net), unreachable, protocol);
  net.expect_event(Event::closed, Event::unreachable);
}

// RFC9293-SHLD-26: after a simultaneous open, too
TEST(IcmpOpen, ASynReceivedIsNotConnectedYet) {
  Net net;
  net.peer.port = 80;
  net.connect();
  net.drop_sent();
  net.in(net.offer(S(0)));
  ASSERT_EQ(net.sent.size(), 1u);
  Sent ours = net.sent[0];
  net.drop_sent();
  ASSERT_EQ(net.state(), State::syn_received);
  net.icmp(ours, unreachable, port);
  net.expect_event(Event::closed, Event::refused);
}

// RFC9293-MUST-56: for who wants it to the letter, a soft error is told, and the open goes on
TEST(IcmpOpen, SoftErrorsDoNotAbortAPatientOpen) {
  Net net(patient);
  Sent syn = open_syn(net);
  for (auto [type, code] : soft_errors) net.icmp(syn, type, code);
  EXPECT_EQ(net.state(), State::syn_sent);
  net.expect_event(Event::slow, Event::unreachable);
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
}

// RFC9293-SHLD-25: when the SYNs have all gone unanswered, the reason is known
TEST(IcmpOpen, APatientOpenThatTimesOutWasUnreachable) {
  Net net(patient);
  net.icmp(open_syn(net), unreachable, host);
  net.expect_event(Event::slow, Event::unreachable);
  net.advance(seconds(300));
  net.drop_sent();
  net.expect_event(Event::slow, Event::unreachable);
  net.expect_event(Event::closed, Event::unreachable);
}

// RFC 5461 4.1, RFC 9293 3.9.2.2: as widely done, and the default here
TEST(IcmpOpen, ASoftErrorEndsAnOpen) {
  for (auto [type, code] : soft_errors) {
    Net net;
    net.icmp(open_syn(net), type, code);
    EXPECT_EQ(net.expect_event(Event::closed, Event::unreachable).length, code_of(type, code));
    net.silent_for(seconds(10));
  }
}

// RFC5927-4: who does not know the ISS ends nothing
TEST(IcmpOpen, AnotherNumberThanTheIssIsDropped) {
  Net net;
  Sent syn = open_syn(net);
  for (int by : {-1, 1, 1000}) {
    Sent forged = syn;
    forged.seg.seq += static_cast<uint32_t>(by);
    net.icmp(forged, unreachable, port);
    net.icmp(forged, unreachable, host);
  }
  EXPECT_EQ(net.counter(Count::drop_icmp_sequence), 6u);
  EXPECT_EQ(net.state(), State::syn_sent);
  net.expect_no_event();
  net.in(SA(0, 1).mss(1460));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
}

// RFC9293-SHLD-26, RFC5927-4: a passive open is forgotten by a hard error about its SYN,ACK, and by nothing else
TEST(IcmpOpen, AHalfOpenRecordGoesByAHardErrorOnly) {
  Net net;
  net.listen();
  net.in(net.offer(S(0)));
  ASSERT_EQ(net.sent.size(), 1u);
  Sent ours = net.sent[0];
  net.drop_sent();
  Sent forged = ours;
  forged.seg.seq += 1;
  net.icmp(forged, unreachable, port);
  for (auto [type, code] : soft_errors) net.icmp(ours, type, code);
  EXPECT_EQ(gauges(*net.stack).half_open, 1u);
  net.icmp(ours, unreachable, port);
  EXPECT_EQ(gauges(*net.stack).half_open, 0u);
  net.silent_for(seconds(10));
}

}  // namespace
}  // namespace millrace::conformance
