// SPDX-License-Identifier: BSD-3-Clause
// TIME-WAIT: how long, what it answers (RFC 9293, 1337), and who may use its 4-tuple again (RFC 6191, MAY-2).
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

struct TimeWait : testing::Test {
  TimeWait() { net.time_wait(); }
  Net net;
};

// RFC9293-MUST-13
TEST_F(TimeWait, LastsTwoMsl) {
  net.silent_for(seconds(60) - milliseconds(1));
  EXPECT_EQ(net.state(), State::time_wait);
  net.silent_for(milliseconds(2));
  EXPECT_EQ(net.state(), State::closed);
  net.in(F(1, 2));
  net.expect(R(2));
}

// RFC9293-MUST-13: configurable
TEST(TimeWaitLength, IsTwiceTheConfiguredMsl) {
  Net net{[](stack::Config& c) { c.tcp.time_wait = seconds(10); }};
  net.time_wait();
  net.silent_for(milliseconds(9999));
  EXPECT_EQ(net.state(), State::time_wait);
  net.silent_for(milliseconds(2));
  EXPECT_EQ(net.state(), State::closed);
}

// RFC9293-3.10.7.4f: a retransmitted FIN is acknowledged, and the 2 MSL begin anew
TEST_F(TimeWait, ARetransmittedFinIsAcknowledgedAndRestartsIt) {
  net.silent_for(seconds(59));
  net.in(F(1, 2));
  net.expect(A(2, 2));
  net.silent_for(seconds(60) - milliseconds(1));
  EXPECT_EQ(net.state(), State::time_wait);
  net.silent_for(milliseconds(2));
  EXPECT_EQ(net.state(), State::closed);
}

// RFC9293-3.10.7.4f: with its text, too
TEST(TimeWaitFin, ARetransmittedFinWithTextIsAcknowledged) {
  Net net;
  net.fin_wait_2();
  net.in(PF(1, 2, 100));
  net.expect(A(2, 102));
  net.in(PF(1, 2, 100));
  net.expect(A(2, 102));
}

// RFC9293-SHLD-14: the ACK does not take the window back
TEST_F(TimeWait, TheAckShowsTheWindowAsItWas) {
  net.in(F(1, 2));
  net.expect(A(2, 2).win(65534));  // the FIN has taken one
}

// RFC1337-2: a RST does not end it
TEST_F(TimeWait, RstIsIgnored) {
  net.in(R(2));
  net.in(R(100));
  net.in(RA(2, 2));
  net.expect_none();
  EXPECT_EQ(net.state(), State::time_wait);
}

// RFC9293-3.10.7.4a, RFC1337-2: old duplicates are acknowledged and leave it as it is
TEST_F(TimeWait, OldTextIsAcknowledged) {
  net.silent_for(seconds(30));
  net.in(P(1, 1, 10));
  net.expect(A(2, 2));
  net.silent_for(seconds(30) + milliseconds(1));  // no new start of the 2 MSL
  EXPECT_EQ(net.state(), State::closed);
}

// RFC 9293 3.10.7.4: an acceptable ACK says nothing new
TEST_F(TimeWait, AnAckIsDropped) {
  net.in(A(2, 2));
  net.expect_none();
}

// RFC9293-3.10.7.4a
TEST_F(TimeWait, AnAckElsewhereIsAcknowledged) {
  net.in(A(1, 2));
  net.expect(A(2, 2));
}

// RFC9293-MAY-2, RFC 6191 2: without timestamps the sequence number decides
TEST_F(TimeWait, SynAboveTheLastSequenceNumberReopens) {
  uint32_t last = net.own_iss() + 2;
  net.in(S(3).mss(1460));
  net.expect(SA(0, 4).mss(1460));
  EXPECT_EQ(net.state(), State::syn_received);
  EXPECT_GT(static_cast<int32_t>(net.own_iss() - last), 0);
  EXPECT_EQ(net.counter(Count::time_wait_reopened), 1u);
  net.in(A(4, 1));
  net.expect_event(Event::accepted);
}

// RFC9293-MAY-2, RFC5961-4.2
TEST_F(TimeWait, SynNotAboveTheLastSequenceNumberIsChallenged) {
  for (uint32_t seq : {1u, 0u, 0x80000003u}) {
    net.in(S(seq).mss(1460));
    net.expect(A(2, 2));
  }
  EXPECT_EQ(net.state(), State::time_wait);
}

// RFC 6191 2: the old connection had no timestamps, the new one has
TEST_F(TimeWait, SynWithTimestampReopensWhatHadNone) {
  net.in(S(0).mss(1460).ts(1, 0));
  net.expect(SA(0, 1).mss(1460).ts());
}

// RFC 6191 2: "would be enabled": not if we do not do timestamps
TEST(TimeWaitReopen, ATimestampThatWeWouldNotAnswerDoesNotReopen) {
  Net net{[](stack::Config& c) { c.tcp.timestamps = false; }};
  net.time_wait();
  net.in(S(0).mss(1460).ts(1, 0));
  net.expect(A(2, 2));
  EXPECT_EQ(net.state(), State::time_wait);
}

// RFC 9293 3.10.7.4: without a listener there is nothing to open
TEST_F(TimeWait, WithoutListenerASynIsChallenged) {
  net.unlisten();
  net.in(S(3).mss(1460));
  net.expect(A(2, 2));
  EXPECT_EQ(net.state(), State::time_wait);
}

struct TimeWaitTs : testing::Test {
  TimeWaitTs() {
    net.peer.ts = true;
    net.time_wait();
  }
  Net net;
  uint32_t last = net.peer_clock();
};

// RFC 6191 2, RFC9293-SHLD-4: a later timestamp, whatever the sequence number
TEST_F(TimeWaitTs, LaterTimestampReopens) {
  uint32_t old = net.own_iss() + 2;
  net.in(S(0x90000000).mss(1460).ts(last + 1, 0));
  net.expect(SA(0, 0x90000001).mss(1460).ecr(last + 1));
  EXPECT_GT(static_cast<int32_t>(net.own_iss() - old), 0);
}

// RFC 6191 2: the same timestamp: the sequence number decides
TEST_F(TimeWaitTs, EqualTimestampReopensOnlyAboveTheLastSequenceNumber) {
  net.in(S(1).mss(1460).ts(last, 0));
  net.expect(A(2, 2));
  net.in(S(3).mss(1460).ts(last, 0));
  net.expect(SA(0, 4).mss(1460).ts());
}

// RFC 6191 2, RFC7323-5.3R1
TEST_F(TimeWaitTs, EarlierTimestampIsChallenged) {
  net.in(S(3).mss(1460).ts(last - 1, 0));
  net.expect(A(2, 2));
  EXPECT_EQ(net.state(), State::time_wait);
}

// RFC 6191 2: no timestamp in the new SYN: the sequence number decides
TEST_F(TimeWaitTs, SynWithoutTimestampReopensOnlyAboveTheLastSequenceNumber) {
  net.in(S(1).mss(1460).no_ts());
  net.expect(A(2, 2));
  net.in(S(3).mss(1460).no_ts());
  net.expect(SA(0, 4).mss(1460));
}

// RFC7323-5.3R1: the new connection does not take text of the old one
TEST_F(TimeWaitTs, AnOldDuplicateAtTheReopenedConnectionIsRejected) {
  net.advance(milliseconds(5));
  Seg old = P(1, 1, 10).ts(last, 0);
  net.in(S(0).mss(1460));
  net.expect(SA(0, 1).mss(1460).ts());
  net.in(A(1, 1));
  net.expect_event(Event::accepted);
  net.in(old);
  net.expect(A(1, 1));
  EXPECT_EQ(net.received, "");
  EXPECT_EQ(net.counter(Count::paws_rejected), 1u);
  net.in(P(1, 1, 10));
  EXPECT_EQ(net.received, stream(1, 10));
  net.advance(milliseconds(40));
  net.drop_sent();
}

// RFC7323-5.3R1: a FIN older than the last is none of this connection
TEST_F(TimeWaitTs, AFinWithAnEarlierTimestampDoesNotRestartIt) {
  net.silent_for(seconds(59));
  net.in(F(1, 2).ts(last - 1, 0));
  net.expect(A(2, 2));
  net.silent_for(seconds(2));
  EXPECT_EQ(net.state(), State::closed);
}

// A connection of ours to port 80 from port 7777, in TIME-WAIT.
void own_time_wait(Net& net) {
  net.peer.port = 80;
  net.connect({}, 7777);
  net.drop_sent();
  net.in(net.offer(SA(0, 1)));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
  net.shutdown();
  net.expect(F(1, 1));
  net.in(F(1, 2));
  net.expect(A(2, 2));
  net.events.clear();
  EXPECT_EQ(net.state(), State::time_wait);
}

// RFC6056-2.2, RFC 6191 2: our own 4-tuple once the timestamp clock has ticked
TEST(TimeWaitOwn, APortIsTakenOverAfterATick) {
  Net net;
  net.peer.ts = true;
  own_time_wait(net);
  uint32_t old = net.own_iss() + 2;
  net.connect({}, 7777);
  net.expect_event(Event::failed, Event::in_use);
  net.advance(milliseconds(1));
  net.connect({}, 7777);
  net.expect(S(0).mss(1460).sack_ok().wscale(0).ts());
  EXPECT_GT(static_cast<int32_t>(net.own_iss() - old), 0);
  EXPECT_EQ(net.state(), State::syn_sent);
  EXPECT_EQ(net.counter(Count::time_wait_taken_over), 1u);
}

// RFC9293-MUST-13: without timestamps never
TEST(TimeWaitOwn, WithoutTimestampsAPortIsNotTakenOver) {
  Net net;
  own_time_wait(net);
  net.advance(seconds(59));
  net.connect({}, 7777);
  net.expect_event(Event::failed, Event::in_use);
  net.advance(seconds(2));
  net.connect({}, 7777);
  net.expect(S(0).mss(1460).sack_ok().wscale(0).ts());
}

// RFC9293-3.10.7.3, RFC7323-5.3R1: old duplicates arrive at the new connection
TEST(TimeWaitOwn, OldDuplicatesDoNoHarmToTheNewConnection) {
  Net net;
  net.peer.ts = true;
  own_time_wait(net);
  uint32_t last = net.peer_clock();
  uint32_t old_iss = net.own_iss();
  net.advance(milliseconds(10));
  net.connect({}, 7777);
  net.drop_sent();
  uint32_t old_ack = old_iss + 1 - net.own_iss();
  net.in(P(1, old_ack, 10).ts(last, 0));  // in SYN-SENT: its ACK is none of ours
  net.expect(R(old_ack));
  EXPECT_EQ(net.state(), State::syn_sent);
  net.in(net.offer(SA(0, 1)));
  net.expect(A(1, 1));
  net.expect_event(Event::connected);
  net.in(P(1, 1, 10).ts(last, 0));
  net.expect(A(1, 1));
  EXPECT_EQ(net.received, "");
  EXPECT_EQ(net.state(), State::established);
}

// bounded; the oldest goes first, and is counted
TEST(TimeWaitRing, WhenItIsFullTheOldestGoesFirst) {
  Net net;
  std::vector<Peer> peers;
  for (uint16_t i = 0; i < 17; ++i) {
    net.peer.port = static_cast<uint16_t>(5000 + i);
    net.time_wait();
    peers.push_back(net.peer);
    net.advance(milliseconds(1));
  }
  EXPECT_EQ(net.state(peers[0]), State::closed);
  for (size_t i = 1; i < peers.size(); ++i) EXPECT_EQ(net.state(peers[i]), State::time_wait);
  EXPECT_EQ(net.counter(Count::time_wait_recycled_early), 1u);
  net.in(peers[0], F(1, 2));
  net.expect(peers[0], R(2));
}

// a record that was restarted is the youngest
TEST(TimeWaitRing, ARestartedRecordIsTheYoungest) {
  Net net;
  net.time_wait();
  Peer first = net.peer;
  net.advance(seconds(10));
  for (uint16_t i = 1; i < 16; ++i) {
    net.peer.port = static_cast<uint16_t>(5000 + i);
    net.time_wait();
  }
  net.in(first, F(1, 2));
  net.expect(first, A(2, 2));
  net.peer.port = 6000;
  net.time_wait();
  EXPECT_EQ(net.state(first), State::time_wait);
  net.advance(seconds(60) + milliseconds(1));
  EXPECT_EQ(net.state(first), State::closed);
  EXPECT_EQ(stack::gauges(*net.stack).time_wait, 0u);
}

}  // namespace
}  // namespace millrace::conformance
