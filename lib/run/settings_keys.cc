// SPDX-License-Identifier: BSD-3-Clause
// The list of keys: how programs fill it, how it is shown, and how one is set. (millrace/settings.h)
#include <algorithm>
#include <memory>

#include "millrace/nearest.h"
#include "millrace/settings.h"
#include "run/values.h"

namespace millrace {

Settings::Settings(std::string program, std::string about, std::string usage)
    : program_(std::move(program)), about_(std::move(about)), usage_(usage.empty() ? program_ : std::move(usage)) {}

void Settings::section(std::string name, std::string help) {
  sections_.emplace_back(std::move(name), std::move(help));
}

void Settings::key(Key key) {
  key.name = sections_.back().first + "." + key.name;
  keys_.push_back(std::move(key));
}

void Settings::text(const char* name, const char* flag, std::string& value, const char* help,
                    const char* expected) {
  auto put = [&value](const std::string& given) {
    value = given;
    return true;
  };
  key({.name = name, .flag = flag, .help = help, .expected = expected, .put = put, .show = [&value] {
         return run::quoted(value);
       }});
}

void Settings::list(const char* name, const char* flag, std::vector<std::string>& value, const char* help,
                    const char* expected) {
  auto put = [&value](const std::string& given) {
    value.push_back(given);
    return true;
  };
  auto show = [&value] {
    std::string out;
    for (const std::string& element : value) out += (out.empty() ? "" : ", ") + run::quoted(element);
    return std::string("[") + out + "]";
  };
  key({.name = name,
       .flag = flag,
       .help = help,
       .expected = expected,
       .type = Key::Type::list,
       .put = put,
       .show = show,
       .clear = [&value] { value.clear(); }});
}

void Settings::boolean(const char* name, const char* flag, bool& value, const char* help) {
  auto put = [&value](const std::string& given) {
    value = given == "true";
    return given == "true" || given == "false";
  };
  key({.name = name,
       .flag = flag,
       .help = help,
       .expected = "true or false",
       .type = Key::Type::boolean,
       .flag_value = "true",
       .put = put,
       .show = [&value] { return std::string(value ? "true" : "false"); }});
}

void Settings::time(const char* name, const char* flag, Duration& value, Duration least, Duration most,
                    const char* help) {
  auto put = [&value, least, most](const std::string& given) {
    Duration parsed;
    if (!parse_time(given, parsed) || parsed < least || parsed > most) return false;
    value = parsed;
    return true;
  };
  key({.name = name,
       .flag = flag,
       .help = help,
       .expected =
           "a time from \"" + to_text(least) + "\" to \"" + to_text(most) + "\", with ns, us, ms, s, m or h",
       .form = "TIME",
       .put = put,
       .show = [&value] { return run::quoted(to_text(value)); }});
}

void Settings::number_key(const char* name, const char* flag, bool of_bytes, uint64_t least, uint64_t most,
                          const char* help, std::function<void(uint64_t)> put, std::function<uint64_t()> get) {
  auto checked = [=](const std::string& given) {
    uint64_t parsed = 0;
    if (!run::parse_scaled(given, of_bytes, least, most, parsed)) return false;
    put(parsed);
    return true;
  };
  // What a file's integer can be.
  uint64_t shown = std::min<uint64_t>(most, INT64_MAX);
  key({.name = name,
       .flag = flag,
       .help = help,
       .expected = "a number from " + std::to_string(least) + " to " + std::to_string(shown),
       .type = Key::Type::number,
       .form = of_bytes ? "BYTES" : "N",
       .put = checked,
       .show = [get] { return std::to_string(get()); }});
}

void Settings::choice_key(const char* name, const char* flag, const std::vector<std::string>& words,
                          const char* help, std::function<void(size_t)> put, std::function<size_t()> get) {
  std::string expected, form;
  for (size_t i = 0; i < words.size(); ++i) {
    expected += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + run::quoted(words[i]);
    form += (i == 0 ? "" : "|") + words[i];
  }
  auto checked = [=](const std::string& given) {
    auto found = std::find(words.begin(), words.end(), given);
    if (found == words.end()) return false;
    put(static_cast<size_t>(found - words.begin()));
    return true;
  };
  key({.name = name,
       .flag = flag,
       .help = help,
       .expected = expected,
       .form = form,
       .put = checked,
       .show = [get, words] { return run::quoted(words[get()]); }});
}

void Settings::check(std::function<void()> what) {
  checks_.push_back(std::move(what));
}

void Settings::put(const Key& key, const std::string& text, const std::string& place) {
  if (!key.put(text)) throw ConfigError(place + ": '" + text + "' is not " + key.expected);
  places_[key.name] = place;
}

void Settings::set(const std::string& name, const std::string& text) {
  for (const Key& key : keys_)
    if (key.name == name) {
      if (key.type == Key::Type::list) key.clear();
      return put(key, text, "--set " + name);
    }
  throw ConfigError("--set: " + unknown(name));
}

void Settings::run_checks() {
  for (const auto& what : checks_) {
    try {
      what();
    } catch (const ConfigError& error) {
      auto place = places_.find(error.key);
      if (place == places_.end()) throw;
      bool is_file = place->second[0] != '-';
      throw ConfigError(place->second + ": " + (is_file ? error.key + ": " : "") + error.what(), error.key);
    }
  }
}

std::string Settings::unknown(const std::string& name) const {
  size_t dot = name.find('.');
  std::string section = name.substr(0, dot), all;
  std::vector<std::string> names;
  if (dot == std::string::npos) {
    for (const auto& s : sections_) names.push_back(s.first);
  } else {
    for (const Key& key : keys_)
      if (key.name.rfind(section + ".", 0) == 0) names.push_back(key.name);
  }
  std::string what = std::string("unknown ") + (dot == std::string::npos ? "table " : "key ") + name;
  for (const std::string& n : names) {
    all += (all.empty() ? "" : ", ") + n.substr(dot == std::string::npos ? 0 : section.size() + 1);
    if (letters_between(n, name) <= 2) return what + ", expected perhaps " + n;
  }
  return what + ", expected one of: " + all;
}

std::string Settings::print() const {
  std::string out;
  for (const auto& [section, help] : sections_) {
    if (!out.empty()) out += '\n';
    out.append(section == "port" ? "[[port]]" : std::string("[").append(section).append("]"));
    out.append("  # ").append(help).append("\n");
    for (const Key& key : keys_)
      if (key.name.rfind(section + ".", 0) == 0)
        out += key.name.substr(section.size() + 1) + " = " + key.show() + "\n";
  }
  return out;
}

}  // namespace millrace
