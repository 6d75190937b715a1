// SPDX-License-Identifier: BSD-3-Clause
// The word that was meant, perhaps, for messages about one that is not known.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

namespace millrace {

// Insertions, deletions and exchanges of letters from one to the other.
inline size_t letters_between(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t k = 1; k <= b.size(); ++k) {
      size_t changed = diagonal + (a[i - 1] == b[k - 1] ? 0 : 1);
      diagonal = row[k];
      row[k] = std::min({row[k] + 1, row[k - 1] + 1, changed});
    }
  }
  return row[b.size()];
}

// The nearest of some words; empty: none has half of its letters, or all but two.
inline std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  size_t least = std::max<size_t>(word.size() / 2, 2) + 1;
  for (const std::string& one : known) {
    size_t distance = letters_between(word, one);
    if (distance >= least) continue;
    least = distance;
    best = one;
  }
  return best;
}

// "unknown flag --prot, expected perhaps --port"
inline std::string unknown_word(const std::string& what, const std::string& word, const std::vector<std::string>& known) {
  std::string meant = nearest(word, known);
  return "unknown " + what + " " + word + (meant.empty() ? "" : ", expected perhaps " + meant);
}

}  // namespace millrace
