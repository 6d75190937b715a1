// SPDX-License-Identifier: BSD-3-Clause
// Two ports that rings join, without a stack: what one's Tx sends, the other's Rx has. At the end every buffer is back.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "nic/port.h"
#include "nic/rx.h"
#include "nic/tx.h"

namespace millrace::nic {

class TwoPorts : public testing::Test {
 protected:
  void open(uint16_t mtu = 1500) {
    Config left, right;
    left.packet_buffers = right.packet_buffers = 4096;
    left.mtu = right.mtu = mtu;
    right.address = ipv4(10, 9, 0, 3);
    link_ = Link::open_pair(left, right);
    for (int i = 0; i < 2; ++i) {
      rx_[i].init(link_->port(i));
      tx_[i].init(link_->port(i));
    }
  }
  void TearDown() override {
    for (Tx& tx : tx_) tx.drop_all();
    link_->leave();
    EXPECT_TRUE(link_->leave());
    std::string report;
    EXPECT_TRUE(link_->all_back(report)) << report;
  }

  std::shared_ptr<Link> link_;
  Rx rx_[2];
  Tx tx_[2];
};

}  // namespace millrace::nic
