// SPDX-License-Identifier: BSD-3-Clause
// What on this machine would keep an endpoint from running, or from running well: huge pages, permissions,
// the device's driver, IOMMU, NUMA, CPUs, containers. Files are read and nothing is changed; no root and no
// device is needed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "millrace/config.h"

namespace millrace {

// One thing that was looked at.
struct Finding {
  enum Verdict : uint8_t {
    good,    // nothing to be done; also: this configuration does not need it
    unseen,  // this machine, or these permissions, do not show it: `what` says which
    poor,    // an endpoint runs, slower or less evenly
    bad,     // it does not run
  };
  Verdict verdict;
  std::string subject;  // "huge pages"
  std::string what;     // a sentence
  std::string mend;     // of poor and bad: the command, or what to do; may be empty where nothing can be done
};

const char* name(Finding::Verdict verdict);

// Looks at the machine for one endpoint on its device, or for two that Endpoint::pair() joins. The
// configurations should be what Endpoint would accept: they are not checked again. `root` stands before
// /proc, /sys and /dev. Any thread, also while endpoints run. Throws std::bad_alloc only.
std::vector<Finding> examine(std::span<const Config> configs, const std::string& root = "");

}  // namespace millrace
