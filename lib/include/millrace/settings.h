// SPDX-License-Identifier: BSD-3-Clause
// What a program can be told: one list of keys, read from a configuration file (TOML), overridden by flags, shown by
// --print-config. An endpoint's own keys come with `add(config)`; a program adds those of its sections. All of it is
// for the main thread, before any endpoint is made.
//
//   [EAL options --] [--config FILE] [flags] [--set SECTION.KEY=VALUE] [--print-config]
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/config.h"
#include "millrace/time.h"

namespace millrace {

// Text <-> time, as keys and flags have it: "60s", "200ms", "1.5m", with ns, us, ms, s, m, h; a number alone
// is seconds. False: it is none, or above 10^18 ns.
bool parse_time(std::string_view text, Duration& out);
std::string to_text(Duration duration);
// "250", "10k", "1.5M", "2G" are powers of 1,000, "Ki", "Mi", "Gi" of 1,024; "K", which is 1,024, is of bytes alone, and this
// is for what are none. False: it is none, negative, or above 10^18.
bool parse_quantity(std::string_view text, double& out);

// One thing that may be set.
struct Key {
  enum class Type : uint8_t {
    text,            // "..."
    number,          // 7
    text_or_number,  // 7, or "10k"
    boolean,         // true
    list,            // ["...", "..."]: put() for each, after clear()
  };
  std::string name;  // "port.device": the table of the file, and the key in it
  std::string flag;  // "--device"; empty: in files and with --set only
  std::string help;
  std::string expected;  // ends "... is not": "a time, such as \"60s\""
  Type type = Type::text;
  std::string flag_value{};  // of a flag that takes none: what it means
  std::string form{};        // what --help shows in the place of the value: "rps|cps"; empty: the key's name
  // Takes the value; false: it is not what was expected.
  std::function<bool(const std::string&)> put{};
  // The present value as it stands in a file.
  std::function<std::string()> show{};
  std::function<void()> clear{};
};

class Settings {
 public:
  // `program` stands before every message, `about` on top of the help, and `usage` in its line of that name: "millrace-load
  // client"; empty: as the program.
  Settings(std::string program, std::string about, std::string usage = {});

  // The keys of an endpoint: [[port]], [core], [pools], [tcp], [eal]; checked together by parse(). `config`
  // outlives this object.
  void add(Config& config);
  // The keys of a simple program: [application]. (Config::port, Config::mode)
  void add_application(Config& config);

  // The keys that follow are of this table of the file. Names of keys are given without it.
  void section(std::string name, std::string help);
  // The general one, and those for the usual types. All variables outlive this object; what they hold at the
  // call is the default.
  void key(Key key);
  void text(const char* name, const char* flag, std::string& value, const char* help,
            const char* expected = "text");
  void list(const char* name, const char* flag, std::vector<std::string>& value, const char* help,
            const char* expected);
  void boolean(const char* name, const char* flag, bool& value, const char* help);
  void time(const char* name, const char* flag, Duration& value, Duration least, Duration most,
            const char* help);
  // Both take suffixes: k, M, G, Ki, Mi, Gi; and bytes a K, which is 1,024.
  template <typename T>
  void number(const char* name, const char* flag, T& value, uint64_t least, uint64_t most, const char* help,
              bool of_bytes = false) {
    number_key(
        name, flag, of_bytes, least, most, help, [&value](uint64_t n) { value = static_cast<T>(n); },
        [&value] { return static_cast<uint64_t>(value); });
  }
  template <typename T>
  void bytes(const char* name, const char* flag, T& value, uint64_t least, uint64_t most, const char* help) {
    number(name, flag, value, least, most, help, true);
  }
  template <typename T>
  void choice(const char* name, const char* flag, T& value, std::vector<std::pair<std::string, T>> choices,
              const char* help) {
    std::vector<std::string> words;
    for (const auto& c : choices) words.push_back(c.first);
    choice_key(
        name, flag, words, help, [&value, choices](size_t i) { value = choices[i].second; },
        [&value, choices] {
          size_t i = 0;
          while (i + 1 < choices.size() && choices[i].second != value) ++i;
          return i;
        });
  }

  // Called by parse() when all values are known. Throws ConfigError for what cannot be together; one that
  // names a key is told with the place where it was set.
  void check(std::function<void()> what);

  // Sets all. What is wrong is one line on stderr and exit code 2; --help and --print-config end with 0.
  // Once, on the main thread, before any endpoint is made.
  void parse(int argc, char** argv);

  // Was it set, by file or flag? After parse().
  bool is_set(const std::string& name) const { return places_.contains(name); }
  // By a flag, or --set?
  bool is_flag(const std::string& name) const { return is_set(name) && places_.at(name)[0] == '-'; }
  // Sets one key from text, as --set does. Throws ConfigError.
  void set(const std::string& name, const std::string& text);
  // Reads a file. Throws ConfigError with file, line, key and what was expected; then some keys may be set.
  void read_file(const std::string& path);
  // All keys with their values, as a file.
  std::string print() const;
  const std::vector<Key>& keys() const { return keys_; }

 private:
  void number_key(const char* name, const char* flag, bool of_bytes, uint64_t least, uint64_t most, const char* help,
                  std::function<void(uint64_t)> put, std::function<uint64_t()> get);
  void choice_key(const char* name, const char* flag, const std::vector<std::string>& words, const char* help,
                  std::function<void(size_t)> put, std::function<size_t()> get);
  void put(const Key& key, const std::string& text, const std::string& place);
  std::string unknown(const std::string& name) const;
  std::string group_of(const Key& key) const;  // in --help
  void run_checks();
  struct File;
  struct Flags;

  std::string program_;
  std::string about_;
  std::string usage_;
  std::vector<std::pair<std::string, std::string>> sections_;  // name, help
  std::vector<Key> keys_;
  std::vector<std::function<void()>> checks_;
  std::map<std::string, std::string> places_;  // key -> "FILE:LINE" or its flag
  std::vector<std::string>* eal_ = nullptr;
};

}  // namespace millrace
