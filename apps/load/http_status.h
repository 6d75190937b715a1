// SPDX-License-Identifier: BSD-3-Clause
// Status codes as a user names them: "200", or a class as "2xx". (plan.h, http_client.h)
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>

namespace millrace::load {

constexpr unsigned status_classes = 6;  // 1xx to 5xx, by their first digit

// A code without a class counts as 5xx (RFC 9110 15).
constexpr unsigned class_of(unsigned status) {
  return status >= 100 && status < 600 ? status / 100 : 5;
}

class StatusSet {
 public:
  bool is_empty() const { return codes_.none(); }
  bool contains(unsigned status) const { return status < codes_.size() && codes_[status]; }
  // Adds what the text names. False: it is neither a final status nor a class of them.
  bool add(std::string_view text) {
    auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.size() != 3 || text[0] < '2' || text[0] > '5') return false;
    unsigned first = 100 * static_cast<unsigned>(text[0] - '0');
    if (text.substr(1) == "xx" || text.substr(1) == "XX") {
      for (unsigned i = 0; i < 100; ++i) codes_.set(first + i);
      return true;
    }
    if (!is_digit(text[1]) || !is_digit(text[2])) return false;
    codes_.set(first + 10 * static_cast<unsigned>(text[1] - '0') + static_cast<unsigned>(text[2] - '0'));
    return true;
  }

 private:
  std::bitset<600> codes_;
};

}  // namespace millrace::load
