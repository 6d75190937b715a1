// SPDX-License-Identifier: BSD-3-Clause
// A tap (or tun) as the kernel has it: is a program attached, and is it still there? Asked without attaching to it, for that
// changes what is asked for.
#pragma once

#include <string>

namespace millrace::nic {

// Is a program attached, whether the interface is up or down? False also for what is no tap, or not there. `root` is for
// tests, which have files alone.
bool tap_is_in_use(const std::string& interface, const std::string& root = "");

// A descriptor of this process that is attached to the tap; its owner is the driver. -1: there is none.
int attached_descriptor(const std::string& interface);

// Has the tap of an attached descriptor been deleted? A new name or another network namespace do not change it.
bool tap_is_deleted(int descriptor);

}  // namespace millrace::nic
