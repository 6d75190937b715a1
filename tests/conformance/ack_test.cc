// SPDX-License-Identifier: BSD-3-Clause
// Fifth check of RFC 9293 3.10.7.4: the ACK field and the send window.
#include "tests/conformance/harness.h"

namespace millrace::conformance {
namespace {

struct Ack : testing::Test {
  Ack() { net.established_passive(); }
  uint32_t una() { return net.tcb().snd.una.value - net.own_iss(); }
  Net net;
};

// RFC9293-3.10.7.4d
TEST_F(Ack, NewAckMovesSndUna) {
  net.send(100);
  net.expect(P(1, 1, 100));
  net.in(A(1, 51));
  EXPECT_EQ(una(), 51u);
  net.in(A(1, 101));
  EXPECT_EQ(una(), 101u);
  net.silent_for(seconds(10));
}

// RFC9293-3.10.7.4d: what is acknowledged again is ignored
TEST_F(Ack, OldAckIsIgnored) {
  net.send(100);
  net.expect(P(1, 1, 100));
  net.in(A(1, 101));
  net.in(A(1, 51));
  net.expect_none();
  EXPECT_EQ(una(), 101u);
}

// RFC9293-3.10.7.4d: its text is taken all the same
TEST_F(Ack, TextWithAnOldAckIsTaken) {
  net.send(100);
  net.expect(P(1, 1, 100));
  net.in(A(1, 101));
  net.in(P(1, 51, 10));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(101, 11));
}

// RFC9293-3.10.7.4d
TEST_F(Ack, AckOfTheFutureIsAnsweredAndItsWindowIgnored) {
  net.send(100);
  net.expect(P(1, 1, 100));
  net.in(A(1, 102).win(5));
  net.expect(A(101, 1));
  EXPECT_EQ(una(), 1u);
  EXPECT_EQ(net.tcb().snd.wnd, 65535u);
}

// Sends so many bytes, and has them acknowledged.
void get_on(Net& net, uint32_t bytes) {
  for (uint32_t at = 0; at < bytes; at += 1460) {
    net.send(std::min(1460u, bytes - at));
    net.drop_sent();
    net.in(A(1, 1 + std::min(at + 1460, bytes)));
  }
}

// RFC5961-5.2: SND.UNA - MAX.SND.WND is the oldest that passes
TEST_F(Ack, TheOldestAcceptableAckIsAWindowBack) {
  get_on(net, 70'000);
  net.in(P(1, 70'001 - 65535, 10));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(70'001, 11));
  net.in(P(11, 70'001 - 65536, 10));
  net.expect(A(70'001, 11));
  EXPECT_EQ(net.received, stream(1, 10));
}

// RFC5961-5.2: ... and what lies before the ISS was never sent, so nobody has got it
TEST_F(Ack, AnAckOfWhatWasNeverSentIsNotAnOldOne) {
  get_on(net, 1000);
  net.in(P(1, 1, 10));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(1001, 11));
  net.in(P(11, 0, 10));  // the ISS
  net.expect(A(1001, 11));
  EXPECT_EQ(net.counter(Count::challenge_acks), 1u);
  EXPECT_EQ(net.received, stream(1, 10));
}

// RFC5961-5.2: with the largest window a quarter of all numbers would pass for old
TEST(AckOfLargeWindow, NoAckBeforeTheIssPasses) {
  Net net;
  net.peer.wscale = 14;
  net.established_passive();
  net.in(A(1, 1));  // 65535 << 14
  EXPECT_EQ(net.tcb().max_wnd, 65535u << 14);
  get_on(net, 5000);
  for (uint32_t back : {5001u, 65535u, 1u << 20, 1u << 29, 65535u << 14}) {
    net.in(P(1, 5001 - back, 10));
    net.expect(A(5001, 1));
  }
  EXPECT_EQ(net.received, "");
  EXPECT_EQ(net.counter(Count::drop_unacceptable_ack), 5u);
  net.in(P(1, 1, 10));
  EXPECT_EQ(net.received, stream(1, 10));
  net.drop_sent();
}

// RFC5961-5.2: after 2^32 bytes all numbers were sent once, and the window counts alone
TEST(AckOfLargeWindow, TheCountOfBytesSaturates) {
  Net net;
  net.established_passive();
  get_on(net, 3000);
  net.tcb().tally.una_wraps = 2;  // as if so much had been sent
  net.in(P(1, 3001 - 65535, 10));
  EXPECT_EQ(net.received, stream(1, 10));
  net.in(P(11, 3001 - 65536, 10));
  EXPECT_EQ(net.received, stream(1, 10));
  net.drop_sent();
}

// RFC9293-3.10.7.4e: SND.WL1 < SEG.SEQ
TEST_F(Ack, ANewerSegmentMovesTheWindow) {
  net.in(P(1, 1, 10).win(1000));
  EXPECT_EQ(net.tcb().snd.wnd, 1000u);
  net.in(P(11, 1, 10).win(500));
  EXPECT_EQ(net.tcb().snd.wnd, 500u);
  net.expect_after(milliseconds(40), A(1, 21));
}

// RFC9293-3.10.7.4e: SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK
TEST_F(Ack, TheSameSegmentWithALaterAckMovesTheWindow) {
  net.send(100);
  net.expect(P(1, 1, 100));
  net.in(A(1, 51).win(1000));
  EXPECT_EQ(net.tcb().snd.wnd, 1000u);
  net.in(A(1, 51).win(2000));
  EXPECT_EQ(net.tcb().snd.wnd, 2000u);
  net.in(A(1, 101).win(3000));
  EXPECT_EQ(net.tcb().snd.wnd, 3000u);
}

// RFC9293-3.10.7.4e: an older segment does not
TEST_F(Ack, AnOlderSegmentDoesNotMoveTheWindow) {
  net.send(100);
  net.expect(P(1, 1, 100));
  net.in(P(11, 51, 10).win(1000));  // overtook
  net.expect(A(101, 1));
  EXPECT_EQ(net.tcb().snd.wnd, 1000u);
  net.in(P(1, 51, 10).win(5));
  net.expect(A(101, 21));
  EXPECT_EQ(net.tcb().snd.wnd, 1000u);
  net.in(A(21, 101).win(2000));
  net.in(A(21, 51).win(7));
  EXPECT_EQ(net.tcb().snd.wnd, 2000u);
}

// RFC9293-3.10.7.4e, RFC7323-2.4.3: what acknowledges more left later, whatever its text: the edge is where it says
TEST_F(Ack, AnOldSegmentSentAgainWithANewAckMovesTheWindow) {
  net.send(5000);
  net.drop_sent();
  net.in(P(11, 1, 10).win(5000));  // overtook
  net.expect(A(5001, 1));
  net.in(P(1, 1461, 10).win(3540));
  EXPECT_EQ(net.tcb().snd.wnd, 3540u);
  net.drop_sent();
  net.in(A(21, 4381).win(1000));
  EXPECT_EQ(net.tcb().snd.wnd, 1000u);
  net.drop_sent();
}

// RFC9293-MUST-1, RFC9293-REC-1: unsigned, 32 bits inside
TEST(Window, TheFieldIsUnsigned) {
  Net net;
  net.peer.wscale = 8;
  net.established_passive();
  net.in(P(1, 1, 1).win(0x8000));
  EXPECT_EQ(net.tcb().snd.wnd, 0x800000u);
  net.expect_after(milliseconds(40), A(1, 2));
}

// RFC9293-MUST-1: 0x8000 and more is much, not less than nothing
TEST(Window, TheUpperHalfOfTheFieldIsUsed) {
  Net net;
  net.listen(80, {.congestion = millrace::Congestion::none});
  net.in(S(0).mss(1460));
  net.drop_sent();
  net.in(A(1, 1).win(44 * 1460));  // 0xfaf0
  net.expect_event(Event::accepted);
  net.send(60 * 1460);
  uint32_t sent = 0;
  for (const Sent& packet : net.sent) sent += packet.seg.length;
  EXPECT_EQ(sent, 44u * 1460);
  net.drop_sent();
}

// RFC9293-MUST-34, RFC9293-SHLD-15, RFC7323-2.4.3: the window shrinks below what is in flight: no new text
TEST_F(Ack, AShrunkenWindowStopsNewText) {
  net.send(2920);
  net.expect(A(1, 1, 1460));
  net.expect(P(1461, 1, 1460));
  net.in(A(1, 1).win(1000));
  net.send(100);
  net.expect_none();
  net.in(A(1, 1461).win(1000));
  net.expect_none();
  net.in(A(1, 2921).win(1000));
  net.expect(P(2921, 1, 100));
}

// RFC9293-SHLD-16, RFC9293-SHLD-17: old text inside the window is retransmitted, the connection stays
TEST_F(Ack, TextInAShrunkenWindowIsRetransmitted) {
  net.send(2920);
  net.expect(A(1, 1, 1460));
  net.expect(P(1461, 1, 1460));
  net.in(A(1, 1).win(1460));
  net.expect_after(milliseconds(200), A(1, 1, 1460));
  net.in(A(1, 1461).win(2920));
  net.expect(P(1461, 1, 1460));
  net.in(A(1, 2921));
  net.silent_for(seconds(10));
}

// RFC9293-SHLD-16, RFC7323-2.4.5: after a timeout no more than what lies inside it
TEST_F(Ack, AfterATimeoutOnlyTextInsideAShrunkenWindowIsResent) {
  net.send(2920);
  net.expect(A(1, 1, 1460));
  net.expect(P(1461, 1, 1460));
  net.in(A(1, 1).win(1000));
  net.expect_after(milliseconds(200), A(1, 1, 1000));
  net.expect_none();
}

// RFC9293-MAY-7, RFC7323-2.4.4: a first retransmission is what was sent, wherever the edge has gone since
TEST_F(Ack, AFastRetransmissionMayReachBeyondAShrunkenWindow) {
  net.send(4380);
  for (uint32_t at : {1, 1461}) net.expect(A(at, 1, 1460));
  net.expect(P(2921, 1, 1460));
  for (int i = 0; i < 4; ++i) net.in(A(1, 1).win(1000));  // the first one is news, three are duplicates
  net.expect(A(1, 1, 1460));
}

// RFC9293-MUST-35, RFC9293-SHLD-17: shrunk to nothing it is probed like any zero window
TEST_F(Ack, AWindowThatShrankToZeroIsProbed) {
  net.send(1000);
  net.expect(P(1, 1, 1000));
  net.in(A(1, 1).win(0));
  net.expect_after(milliseconds(200), A(1, 1, 1));
  net.in(A(1, 1).win(0));
  net.expect_after(milliseconds(400), A(1, 1, 1));
  net.in(A(1, 2).win(65535));
  net.expect(P(2, 1, 999));
}

// RFC9293-MUST-5: options may come on any segment
TEST_F(Ack, UnknownOptionsOnTextAreSkipped) {
  net.in(P(1, 1, 10).options(std::string("\xfd\x07\x01\x02\x03\x04\x05\x01", 8)));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
}

// RFC9293-MUST-7: illegal lengths cost the segment, not the connection
TEST_F(Ack, IllegalOptionLengthsOnTextDropItAlone) {
  for (const char* bad : {"\xfd\x00\x01\x01", "\xfd\x01\x01\x01", "\xfd\x05\x01\x01", "\x01\x01\x01\xfd"})
    net.in(P(1, 1, 10).options(std::string(bad, 4)));
  net.expect_none();
  EXPECT_EQ(net.received, "");
  net.in(P(1, 1, 10));
  EXPECT_EQ(net.received, stream(1, 10));
  net.expect_after(milliseconds(40), A(1, 11));
}

// RFC9293-MUST-65, RFC7323-2.2b, RFC2018-2: what belongs to a SYN is ignored elsewhere
TEST_F(Ack, OptionsOfASynOnTextAreIgnored) {
  net.in(P(1, 1, 10).mss(100).wscale(5).sack_ok().win(1000));
  EXPECT_EQ(net.tcb().snd.wnd, 1000u);
  net.expect_after(milliseconds(40), A(1, 11));
  net.in(A(11, 1).win(65535));
  net.send(1460);
  net.expect(P(1, 11, 1460));
  net.in(P(21, 1461, 10));
  net.expect(A(1461, 11));  // no SACK
}

// RFC9293-MUST-3: dropped in silence
TEST_F(Ack, ABadChecksumIsDropped) {
  IpHeader ip;
  ip.to = Net::own_mac;
  ip.from = net.peer.mac;
  ip.source = net.peer.ip;
  ip.destination = Net::own;
  Seg seg = P(net.peer.iss + 1, net.own_iss() + 1, 10);
  net.frames({encode_tcp(ip, 5000, 80, seg, "0123456789", true)});
  net.expect_none();
  EXPECT_EQ(net.received, "");
  EXPECT_EQ(net.counter(Count::drop_tcp_checksum), 1u);
  net.frames({encode_tcp(ip, 5000, 80, seg, "0123456789")});
  EXPECT_EQ(net.received, "0123456789");
  net.expect_after(milliseconds(40), A(1, 11));
}

// RFC9293-MAY-12, RFC5961-5.2: the data of a blind attacker is not taken
TEST_F(Ack, InjectedTextWithARandomAckIsDropped) {
  for (uint32_t ack : {0x20000000u, 0x7fffffffu, 0x80000001u, 0xe0000000u}) {
    net.in(P(1, ack, 10));
    net.expect(A(1, 1));
  }
  EXPECT_EQ(net.received, "");
}

}  // namespace
}  // namespace millrace::conformance
