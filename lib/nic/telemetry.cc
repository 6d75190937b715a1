// SPDX-License-Identifier: BSD-3-Clause
// rte_telemetry's answers, as far as they are used here. (nic/telemetry.h)
#include "nic/telemetry.h"

#include <rte_telemetry.h>
#include <rte_version.h>

#include <map>
#include <mutex>

namespace millrace::nic {

// DPDK 23.03 renamed what has 64 bits.
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
static constexpr auto number_kind = RTE_TEL_UINT_VAL;
static constexpr auto add_to_dict = rte_tel_data_add_dict_uint;
static constexpr auto add_to_array = rte_tel_data_add_array_uint;
#else
static constexpr auto number_kind = RTE_TEL_U64_VAL;
static constexpr auto add_to_dict = rte_tel_data_add_dict_u64;
static constexpr auto add_to_array = rte_tel_data_add_array_u64;
#endif

static_assert(TelemetryAnswer::longest_text < RTE_TEL_MAX_STRING_LEN);
static_assert(TelemetryAnswer::most_names <= RTE_TEL_MAX_DICT_ENTRIES);
static_assert(TelemetryAnswer::most_rows <= RTE_TEL_MAX_ARRAY_ENTRIES);

TelemetryAnswer::TelemetryAnswer(rte_tel_data* data) : data_(data) { rte_tel_data_start_dict(data_); }

void TelemetryAnswer::number(const std::string& name, uint64_t value) { add_to_dict(data_, name.c_str(), value); }

void TelemetryAnswer::text(const std::string& name, const std::string& value) {
  rte_tel_data_add_dict_string(data_, name.c_str(), value.substr(0, longest_text).c_str());
}

void TelemetryAnswer::numbers(const std::string& name, std::span<const uint64_t> values) {
  rte_tel_data* array = rte_tel_data_alloc();
  if (array == nullptr) return;
  rte_tel_data_start_array(array, number_kind);
  for (uint64_t value : values) add_to_array(array, value);
  rte_tel_data_add_dict_container(data_, name.c_str(), array, 0);
}

void TelemetryAnswer::texts(const std::string& name, std::span<const std::string> values) {
  rte_tel_data* array = rte_tel_data_alloc();
  if (array == nullptr) return;
  rte_tel_data_start_array(array, RTE_TEL_STRING_VAL);
  for (const std::string& value : values) rte_tel_data_add_array_string(array, value.substr(0, longest_text).c_str());
  rte_tel_data_add_dict_container(data_, name.c_str(), array, 0);
}

namespace {
struct Commands {
  std::mutex mutex;
  std::map<std::string, TelemetryCommand> functions;
};
Commands& commands() {
  static auto* all = new Commands;  // EAL's threads may ask until the very end of the process
  return *all;
}
}  // namespace

static int answer(const char* command, const char* parameters, rte_tel_data* data) {
  TelemetryCommand function = nullptr;
  {
    std::lock_guard lock(commands().mutex);
    auto found = commands().functions.find(command);
    if (found != commands().functions.end()) function = found->second;
  }
  if (function == nullptr) return -1;
  TelemetryAnswer out(data);
  function(parameters == nullptr ? "" : parameters, out);
  return 0;
}

void register_telemetry(const char* command, const char* help, TelemetryCommand function) {
  {
    std::lock_guard lock(commands().mutex);
    if (!commands().functions.emplace(command, function).second) return;
  }
  // DPDK has places for 64 commands, drivers' included: beyond, this one is unknown to who asks.
  static_cast<void>(rte_telemetry_register_cmd(command, answer, help));
}

}  // namespace millrace::nic
