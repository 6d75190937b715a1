// SPDX-License-Identifier: BSD-3-Clause
// Rows that are told as columns: rte_telemetry nests arrays of numbers or texts only, and one answer has 16 KB.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "millrace/diagnostics.h"
#include "nic/telemetry.h"

namespace millrace::run {

struct Cell {
  const char* name;
  bool is_text;
  uint64_t number;
  std::string text;
  Cell(const char* of, uint64_t value) : name(of), is_text(false), number(value) {}
  Cell(const char* of, std::string value) : name(of), is_text(true), number(0), text(std::move(value)) {}
};
using Row = std::vector<Cell>;

// All rows have the same names in the same order.
class Table {
 public:
  // False: the answer would have no room for it.
  bool add(Row row);
  void put(nic::TelemetryAnswer& answer) const;
  // Rows that fit yet, as the ones before were; of an empty one a guess.
  uint32_t room() const;

 private:
  // What stands beside the columns has this much.
  static constexpr size_t reserve = 512;
  std::vector<Row> rows_;
  size_t size_ = reserve;
  size_t of_rows_ = 0;  // of it, without the names
};

// A connection or record, a listener, a neighbour. Brief: who, how much is queued, and what runs.
Row row_of(const Diagnostics& d, Instant now, bool brief);
Row row_of(const ListenerDiagnostics& d, bool brief);
Row row_of(const NeighborDiagnostics& d, Instant now);

}  // namespace millrace::run
