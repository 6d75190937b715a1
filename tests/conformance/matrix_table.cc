// SPDX-License-Identifier: BSD-3-Clause
// The outcomes of the matrix as text: one line for all cells that end alike. A line's columns are looked at
// from left to right, as the RFC's steps do; `*` is any value that a cell of this line can have.
#include <algorithm>
#include <array>
#include <map>
#include <sstream>

#include "tests/conformance/matrix.h"

namespace millrace::conformance::matrix {
namespace {

enum Column { stamp, is_rst, is_syn, is_ack, window, place, text, acked, is_fin, is_urg, is_psh, columns };
constexpr std::array<const char*, columns> heads = {"TSval", "RST",     "SYN", "ACK", "RCV.WND", "SEG.SEQ",
                                                    "text",  "SEG.ACK", "FIN", "URG", "PSH"};

using Key = std::array<int, columns>;
using Line = std::array<std::string, columns + 1>;  // the last: the outcome

const char* word(Place p) {
  static const char* const words[] = {"old", "left-1", "left", "inside", "right", "right+1", "far"};
  return words[static_cast<int>(p)];
}
const char* word(Acked a) {
  static const char* const words[] = {"", "too old", "UNA-1", "UNA", "UNA+50", "NXT-1", "NXT", "NXT+1"};
  return words[static_cast<int>(a)];
}
const char* word(Stamp s) {
  static const char* const words[] = {"", "none", "older", "equal", "newer"};
  return words[static_cast<int>(s)];
}

std::string word(int column, int value) {
  switch (column) {
    case stamp: return word(static_cast<Stamp>(value));
    case window: return value == 0 ? "open" : "0";
    case place: return word(static_cast<Place>(value));
    case acked: return word(static_cast<Acked>(value));
    default: return value == 0 ? "-" : "x";
  }
}

Key key_of(const Cell& c) {
  auto flag = [&](uint8_t bit) { return c.flags & bit ? 1 : 0; };
  return {static_cast<int>(c.stamp),
          flag(rst),
          flag(syn),
          flag(ack_bit),
          static_cast<int>(c.window),
          static_cast<int>(c.place),
          c.text,
          static_cast<int>(c.acked),
          flag(fin),
          flag(urg),
          flag(psh)};
}

using Cells = std::vector<std::pair<Key, std::string>>;

// Splits the cells by one column after the other; values whose cells end alike share their lines.
std::vector<Line> lines_of(const Cells& cells, int column) {
  if (column == columns) {
    Line line;
    line[columns] = cells.front().second;
    return {line};
  }
  std::map<int, Cells> parts;
  for (const auto& cell : cells) parts[cell.first[static_cast<size_t>(column)]].push_back(cell);
  std::vector<std::pair<std::vector<int>, std::vector<Line>>> groups;
  for (const auto& [value, part] : parts) {
    std::vector<Line> lines = lines_of(part, column + 1);
    auto same = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.second == lines; });
    if (same == groups.end())
      groups.push_back({{value}, lines});
    else
      same->first.push_back(value);
  }
  std::vector<Line> all;
  for (auto& [values, lines] : groups) {
    std::string names;
    for (int value : values) {
      if (!names.empty()) names += ',';
      names += word(column, value);
    }
    bool any =
        groups.size() == 1 && (parts.size() > 1 || column == acked);  // without ACK its number is anything
    if (any) names.assign(1, '*');
    for (Line& line : lines) {
      line[static_cast<size_t>(column)] = names;
      all.push_back(line);
    }
  }
  return all;
}

void say_answer(std::ostream& out, const oracle::Answer& a, const Observation& o) {
  auto is = [&](oracle::Answer::Kind kind, uint32_t seq, uint32_t ack) {
    return a == oracle::Answer{kind, seq, ack, a.delayed};
  };
  const oracle::Outcome& s = o.seen;
  bool gone = s.state == oracle::State::closed || s.state == oracle::State::listen;
  if (!gone && a.kind == oracle::Answer::ack && a.seq == o.before.snd_nxt && a.ack_no == s.rcv_nxt)
    out << "ACK";
  else if (is(oracle::Answer::rst, o.seg.ack_no, 0))
    out << "RST seq=SEG.ACK";
  else if (is(oracle::Answer::rst_ack, 0, o.seg.seq + o.seg.len()))
    out << "RST,ACK seq=0 ack=SEG.SEQ+SEG.LEN";
  else if (is(oracle::Answer::syn_ack, 0, s.rcv_nxt))
    out << "SYN,ACK seq=ISS";
  else
    out << "answer " << a.kind << " seq " << a.seq << " ack " << a.ack_no;
  if (a.delayed) out << " later";
}

// "acks": SND.UNA is the later of SND.UNA and SEG.ACK, and SND.WND is SEG.WND unless SEG.ACK < SND.UNA.
void say_variables(std::ostream& out, const Observation& o) {
  const oracle::Outcome& s = o.seen;
  bool newer = o.cell.acked > Acked::una && o.before.snd_una != o.before.snd_nxt;
  uint32_t una = newer ? o.seg.ack_no : o.before.snd_una;
  uint32_t wnd = o.cell.acked > Acked::old ? o.seg.wnd : o.before.snd_wnd;
  if (o.wanted.acked && s.snd_una == una) {
    out << (s.snd_wnd == wnd ? "; acks" : "; acks, old window");
    return;
  }
  if (s.snd_una != o.before.snd_una) out << "; SND.UNA=SEG.ACK";
  if (s.snd_wnd != o.before.snd_wnd) out << "; SND.WND=SEG.WND";
}

// `by_urg`: with URG the same, and `urgent` is told.
std::string outcome_words(const Observation& o, bool by_urg) {
  const oracle::Outcome& s = o.seen;
  std::ostringstream w;
  w << oracle::name(s.state) << "; ";
  if (s.answers.empty()) w << "no answer";
  for (size_t i = 0; i < s.answers.size(); ++i) {
    if (i > 0) w << " and ";
    say_answer(w, s.answers[i], o);
  }
  bool there = s.state >= oracle::State::syn_received_active && s.state != oracle::State::time_wait;
  if (there && o.cell.scene != Scene::syn_sent) say_variables(w, o);
  if (s.text > 0) w << "; takes " << s.text;
  if (s.held > 0) w << "; holds " << s.held;
  if (s.ts_recent) w << "; TS.Recent=SEG.TSval";
  if (s.msl_restarted) w << "; 2MSL anew";
  bool first = true;
  for (const std::string& signal : s.signals) {
    if (by_urg && signal == "urgent") continue;
    w << (std::exchange(first, false) ? "; tells " : ", ") << signal;
  }
  if (by_urg) w << "; urgent if URG";
  w << "  [" << o.wanted.rule << "]";
  return w.str();
}

// `text` in a column of its own; nothing in a column of no width.
void put(std::ostream& out, const std::string& text, size_t width) {
  if (width > 0) out << ' ' << text << std::string(width - text.size(), ' ');
}

void print(std::ostream& out, const Cells& cells) {
  std::vector<Line> lines = lines_of(cells, 0);
  std::array<size_t, columns> width;
  for (size_t c = 0; c < columns; ++c) {
    bool tells = false;
    width[c] = std::string(heads[c]).size();
    for (const Line& line : lines) {
      width[c] = std::max(width[c], line[c].size());
      tells |= line[c] != lines[0][c];
    }
    if (!tells) width[c] = 0;
  }
  out << ' ';
  for (size_t c = 0; c < columns; ++c) put(out, heads[c], width[c]);
  out << " -> state; answer; variables; signals  [rule]\n";
  for (const Line& line : lines) {
    out << ' ';
    for (size_t c = 0; c < columns; ++c) put(out, line[c], width[c]);
    out << " -> " << line[columns] << "\n";
  }
}

}  // namespace

std::string to_string(const Cell& c) {
  std::ostringstream s;
  s << name(c.scene) << ":";
  for (auto [bit, w] : {std::pair<int, const char*>{syn, " SYN"},
                        {ack_bit, " ACK"},
                        {fin, " FIN"},
                        {rst, " RST"},
                        {urg, " URG"},
                        {psh, " PSH"}})
    if (c.flags & bit) s << w;
  s << ", SEG.SEQ " << word(c.place);
  if (c.acked != Acked::none) s << ", SEG.ACK " << word(c.acked);
  s << (c.text ? ", with text" : ", no text") << (c.window == Window::shut ? ", RCV.WND 0" : "");
  if (c.stamp != Stamp::unused) s << ", TSval " << word(c.stamp);
  return s.str();
}

std::string to_string(const oracle::Outcome& o) {
  std::ostringstream s;
  static const char* const kinds[] = {"ACK", "RST", "RST,ACK", "SYN,ACK"};
  s << oracle::name(o.state) << " SND.UNA " << static_cast<int32_t>(o.snd_una) << " SND.WND " << o.snd_wnd
    << " RCV.NXT " << static_cast<int32_t>(o.rcv_nxt) << " text " << o.text << " held " << o.held;
  for (const auto& a : o.answers)
    s << " <" << kinds[a.kind] << " seq " << static_cast<int32_t>(a.seq) << " ack "
      << static_cast<int32_t>(a.ack_no) << (a.delayed ? " later>" : ">");
  for (const auto& signal : o.signals) s << " (" << signal << ")";
  if (o.ts_recent) s << " TS.Recent";
  if (o.msl_restarted) s << " 2MSL";
  return s.str();
}

namespace {

constexpr const char* head = R"(# SPDX-License-Identifier: BSD-3-Clause
# What Millrace does of one segment in each state: generated by matrix_table.cc, compared by matrix_test.cc, which says
# how to write it anew. To be read with RFC 9293 3.10.7; [rule] is the oracle's word for the sentence that decides.
#
# SEG.SEQ: left is RCV.NXT, right is the last number in the window (RCV.NXT+RCV.WND-1), right+1 the first that is not,
# old is RCV.NXT-50, inside RCV.NXT+100, far RCV.NXT+2^30; before there is a RCV.NXT it counts from 0.
# SEG.ACK: in ESTABLISHED and later 100 octets and, where it was sent, our FIN are not acknowledged; too old is
# SND.UNA-MAX.SND.WND-1. text: 10 octets. The urgent pointer is 5. * is every value, - is no and x is yes.
# ACK is <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, at once or, `later`, within 50 ms.
# acks: SND.UNA is the later of SND.UNA and SEG.ACK, and SND.WND is SEG.WND unless SEG.ACK is old.
# With timestamps: an equal or a newer TSval makes no difference but in TIME-WAIT; where the ACK is taken and SEG.SEQ is
# not ahead, a newer one becomes TS.Recent.
# takes n: octets told to the user; holds n: numbers ahead of RCV.NXT (a FIN counts) that are taken once the gap is
# filled.
)";

// Does URG change nothing but that `urgent` is told?
bool tells_urgent(const Observation& with, const Observation& without) {
  oracle::Outcome o = with.seen;
  return std::erase(o.signals, "urgent") > 0 && o == without.seen;
}

struct Lists {
  Cells plain;
  Cells stamped;  // where a timestamp makes a difference
  size_t count = 0;
};

Lists cells_of(Scene scene) {
  Lists lists;
  for (uint8_t flags = 0; flags < 64; ++flags) {
    const auto& without = observe(scene, flags & ~urg);
    const auto& with = observe(scene, flags | urg);
    std::map<Key, oracle::Outcome> plain;
    for (size_t i = 0; i < with.size(); ++i, ++lists.count) {
      const Observation& o = flags & urg ? with[i] : without[i];
      Key key = key_of(o.cell), unstamped = key;
      unstamped[stamp] = static_cast<int>(Stamp::unused);
      oracle::Outcome outcome = o.seen;
      outcome.ts_recent = false;
      bool same = o.cell.stamp >= Stamp::equal && plain.count(unstamped) > 0 && plain[unstamped] == outcome;
      if (same) continue;
      if (key == unstamped) plain[key] = outcome;
      (key == unstamped ? lists.plain : lists.stamped)
          .push_back({key, outcome_words(o, tells_urgent(with[i], without[i]))});
    }
  }
  return lists;
}

}  // namespace

std::string table() {
  std::ostringstream out;
  out << head;
  for (int s = 0; s < scenes; ++s) {
    auto scene = static_cast<Scene>(s);
    Lists lists = cells_of(scene);
    out << "\n" << name(scene) << ": " << lists.count << " cells\n";
    print(out, lists.plain);
    if (lists.stamped.empty()) continue;
    out << "  with timestamps, where they make a difference\n";
    print(out, lists.stamped);
  }
  return out.str();
}

}  // namespace millrace::conformance::matrix
