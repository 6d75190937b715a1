// SPDX-License-Identifier: BSD-3-Clause
// The entry of tests that run one program: its path is the argument.
#include <gtest/gtest.h>

#include <cstdio>

#include "program.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PROGRAM\n", argv[0]);
    return 2;
  }
  program = argv[1];
  return RUN_ALL_TESTS();
}
