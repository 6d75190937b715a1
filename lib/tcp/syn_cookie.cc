// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/syn_cookie.h"

#include <algorithm>
#include <bit>

namespace millrace::tcp {

using wire::Seq;

namespace {

constexpr uint32_t index_mask = 7;
constexpr uint32_t step_mask = 8;
constexpr uint32_t place_mask = 0xfffc0000;
constexpr uint32_t all_mask = 0x3fff0;
static_assert((index_mask ^ step_mask ^ place_mask ^ all_mask) == 0xffffffff);

constexpr uint32_t ts_mask = 63;
constexpr uint32_t ts_sack = 1 << 4;
constexpr uint32_t no_wscale = 15;  // RFC 7323 ends at 14

uint32_t ts_bits(const CookieTerms& terms) {
  uint32_t bits = terms.options & wire::opt_wscale ? terms.wscale : no_wscale;
  return terms.options & wire::opt_sack_permitted ? bits | ts_sack : bits;
}

uint32_t step_of(Instant now) { return static_cast<uint32_t>(now.ns >> cookie_step_bits); }

struct Words {
  uint64_t w[2];
};

uint32_t place_hash(const SipKey& secret, const CookieFlow& flow, uint32_t step) {
  auto key = std::bit_cast<Words>(flow.key);
  uint64_t words[3] = {key.w[0], key.w[1], uint64_t{flow.listener} << 32 | step};
  return static_cast<uint32_t>(siphash13<3>(secret, words)) & place_mask;
}

// `about` is what TSval says: it cannot be changed without the hash.
Seq sealed(const SipKey& secret, const CookieFlow& flow, uint32_t step, uint32_t index, uint32_t about) {
  auto key = std::bit_cast<Words>(flow.key);
  uint64_t words[4] = {key.w[0], key.w[1], uint64_t{flow.irs.value} << 32 | step,
                       uint64_t{flow.listener} << 32 | about << 3 | index};
  uint32_t all = static_cast<uint32_t>(siphash13<4>(secret, words)) & all_mask;
  return {place_hash(secret, flow, step) | all | (step << 3 & step_mask) | index};
}

constexpr uint32_t about_timestamps = ts_mask + 1;

}  // namespace

CookieTerms cookie_terms(uint16_t mss, uint8_t options, uint8_t wscale) {
  CookieTerms terms;
  uint32_t index = 0;
  uint16_t offered = options & wire::opt_mss ? mss : 536;  // RFC9293-MUST-15
  while (index < 7 && cookie_mss[index + 1] <= offered) ++index;
  terms.mss = cookie_mss[index];
  if (!(options & wire::opt_timestamps)) return terms;
  terms.options = options & (wire::opt_wscale | wire::opt_sack_permitted | wire::opt_timestamps);
  if (options & wire::opt_wscale) terms.wscale = std::min<uint8_t>(wscale, 14);  // RFC7323-2.3a
  return terms;
}

Seq cookie_iss(const SipKey& secret, const CookieFlow& flow, const CookieTerms& terms, Instant now) {
  uint32_t index = 0;
  while (index < 7 && cookie_mss[index] != terms.mss) ++index;
  uint32_t about = terms.options & wire::opt_timestamps ? about_timestamps | ts_bits(terms) : 0;
  return sealed(secret, flow, step_of(now), index, about);
}

uint32_t cookie_ts_val(uint32_t clock, const CookieTerms& terms) {
  uint32_t bits = ts_bits(terms);
  uint32_t val = (clock & ~ts_mask) | bits;
  return bits > (clock & ts_mask) ? val - (ts_mask + 1) : val;  // later ones must not be smaller (RFC 7323 4.1)
}

CookieVerdict read_cookie(const SipKey& secret, const CookieFlow& flow, Seq iss, bool timestamps, uint32_t ts_ecr,
                          Instant now, CookieTerms& terms) {
  uint32_t index = iss.value & index_mask;
  uint32_t step = step_of(now);
  if ((step << 3 & step_mask) != (iss.value & step_mask)) --step;  // then it can only be of the one before
  if (place_hash(secret, flow, step) != (iss.value & place_mask)) return CookieVerdict::forged;
  uint32_t bits = ts_ecr & ts_mask;
  if (sealed(secret, flow, step, index, timestamps ? about_timestamps | bits : 0) != iss)
    return CookieVerdict::out_of_order;
  terms = CookieTerms{};
  terms.mss = cookie_mss[index];
  if (!timestamps) return CookieVerdict::valid;
  terms.options = wire::opt_timestamps;
  if (bits & ts_sack) terms.options |= wire::opt_sack_permitted;
  if ((bits & no_wscale) != no_wscale) {
    terms.options |= wire::opt_wscale;
    terms.wscale = static_cast<uint8_t>(bits & no_wscale);
  }
  return CookieVerdict::valid;
}

}  // namespace millrace::tcp
