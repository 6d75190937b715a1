// SPDX-License-Identifier: BSD-3-Clause
// Every cell of the matrix against the oracle, and the table of outcomes against the one that is kept.
#include <fstream>
#include <sstream>

#include "tests/conformance/matrix.h"

namespace millrace::conformance::matrix {
namespace {

struct Matrix : testing::TestWithParam<std::tuple<int, int>> {};

// RFC9293-3.10.7.1, RFC9293-3.10.7.2, RFC9293-3.10.7.3, RFC9293-3.10.7.4a, -3.10.7.4b, -3.10.7.4c,
// -3.10.7.4d, -3.10.7.4e, -3.10.7.4f
TEST_P(Matrix, DoesWhatTheOracleSays) {
  auto [scene, flags] = GetParam();
  int wrong = 0;
  for (const Observation& o : observe(static_cast<Scene>(scene), static_cast<uint8_t>(flags))) {
    if (o.seen == o.wanted.outcome) continue;
    if (++wrong > 5) continue;
    ADD_FAILURE() << to_string(o.cell) << "\n  rule    " << o.wanted.rule << "\n  wanted  "
                  << to_string(o.wanted.outcome) << "\n  seen    " << to_string(o.seen);
  }
  EXPECT_EQ(wrong, 0) << "cells";
}

std::string test_name(const testing::TestParamInfo<std::tuple<int, int>>& info) {
  std::string s;
  for (char c : std::string(name(static_cast<Scene>(std::get<0>(info.param)))))
    if (c != '-' && c != ' ') s += c;
  int flags = std::get<1>(info.param);
  s += "_";
  for (auto [bit, letter] :
       {std::pair<int, char>{syn, 'S'}, {ack_bit, 'A'}, {fin, 'F'}, {rst, 'R'}, {urg, 'U'}, {psh, 'P'}})
    if (flags & bit) s += letter;
  return flags == 0 ? s + "none" : s;
}
INSTANTIATE_TEST_SUITE_P(AllStatesAndFlags, Matrix,
                         testing::Combine(testing::Range(0, scenes), testing::Range(0, 64)), test_name);

// The kept table was read against the RFC's text by hand, line by line. Whoever changes an outcome reads the
// lines that change again: MATRIX_WRITE=1 before the command below writes the table anew, git shows what
// moved.
TEST(MatrixTable, IsTheOneThatIsKept) {
  const char* file = MATRIX_TABLE;
  std::string now = table();
  if (getenv("MATRIX_WRITE") != nullptr) std::ofstream(file) << now;
  std::ifstream in(file);
  std::stringstream kept;
  kept << in.rdbuf();
  ASSERT_TRUE(in.good() || in.eof()) << file << " cannot be read";
  std::istringstream a(kept.str()), b(now);
  std::string want, got;
  for (int line = 1; kept.str() != now; ++line) {
    bool more = static_cast<bool>(std::getline(a, want));
    more |= static_cast<bool>(std::getline(b, got));
    if (more && want == got) continue;
    FAIL() << file << ":" << line << ": another outcome\n  kept " << want << "\n  now  " << got
           << "\nIf the new one is right: MATRIX_WRITE=1 conformance --gtest_filter=MatrixTable.*";
  }
}

}  // namespace
}  // namespace millrace::conformance::matrix
