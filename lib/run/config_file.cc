// SPDX-License-Identifier: BSD-3-Clause
// A TOML file -> keys. Whatever is wrong is told with file, line, key and what was expected.
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "millrace/settings.h"
#include "run/values.h"

namespace millrace {

// Tables of programs that may share the file; each reads its own.
static constexpr const char* tables_of_programs[] = {"application", "load", "server"};
// Of the tables there may be several one day, so it is an array already.
static constexpr const char* repeated_table = "port";

struct Settings::File {
  Settings& settings;
  const std::string& path;

  std::string place(const toml::node& node) const {
    return path + ":" + std::to_string(node.source().begin.line);
  }
  [[noreturn]] void refuse(const toml::node& node, const std::string& why) const {
    throw ConfigError(place(node) + ": " + why);
  }
  void read(const toml::table& root) const;
  void read_table(const std::string& name, const toml::node& node) const;
  void read_key(const std::string& name, const toml::node& node) const;
  std::string text_of(const Key& key, const toml::node& node) const;
};

static std::string as_written(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  std::string text = out.str();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// In the order of lines: toml++ has them by name.
static std::vector<std::pair<std::string, const toml::node*>> in_order(const toml::table& table) {
  std::vector<std::pair<std::string, const toml::node*>> out;
  for (const auto& [key, node] : table) out.emplace_back(std::string(key.str()), &node);
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.second->source().begin.line < b.second->source().begin.line;
  });
  return out;
}

// The value as put() takes it, if its type is the key's.
std::string Settings::File::text_of(const Key& key, const toml::node& node) const {
  bool takes_text =
      key.type == Key::Type::text || key.type == Key::Type::text_or_number || key.type == Key::Type::list;
  bool takes_number = key.type == Key::Type::number || key.type == Key::Type::text_or_number;
  if (takes_text)
    if (auto text = node.value_exact<std::string>()) return *text;
  // A number that TOML has no way to write: "64k".
  if (key.type == Key::Type::number)
    if (auto text = node.value_exact<std::string>();
        text && text->find_first_not_of("0123456789.") != std::string::npos && key.put(*text))
      return *text;
  if (takes_number)
    if (auto number = node.value_exact<int64_t>()) return std::to_string(*number);
  if (key.type == Key::Type::text_or_number && node.is_floating_point()) return as_written(node);
  if (key.type == Key::Type::boolean)
    if (auto boolean = node.value_exact<bool>()) return *boolean ? "true" : "false";
  refuse(node, key.name + ": " + as_written(node) + " is not " + key.expected);
}

void Settings::File::read_key(const std::string& name, const toml::node& node) const {
  auto key = std::find_if(settings.keys_.begin(), settings.keys_.end(),
                          [&](const Key& k) { return k.name == name; });
  if (key == settings.keys_.end()) refuse(node, settings.unknown(name));
  if (key->type != Key::Type::list) {
    std::string text = text_of(*key, node);
    if (!key->put(text)) refuse(node, name + ": " + as_written(node) + " is not " + key->expected);
  } else {
    if (!node.is_array())
      refuse(node, name + ": " + as_written(node) + " is not an array, each of it " + key->expected);
    key->clear();
    for (const toml::node& element : *node.as_array())
      if (!key->put(text_of(*key, element)))
        refuse(element, name + ": " + as_written(element) + " is not " + key->expected);
  }
  settings.places_[name] = place(node);
}

void Settings::File::read_table(const std::string& name, const toml::node& node) const {
  bool known = std::any_of(settings.sections_.begin(), settings.sections_.end(),
                           [&](const auto& section) { return section.first == name; });
  if (!known) {
    for (const char* other : tables_of_programs)
      if (name == other && node.is_table()) return;
    refuse(node, settings.unknown(name));
  }
  const toml::node* table = &node;
  if (name == repeated_table) {
    const toml::array* tables = node.as_array();
    if (tables == nullptr || tables->empty() || !tables->get(0)->is_table())
      refuse(node, name + ": expected a table in an array: [[" + name + "]]");
    if (tables->size() > 1) refuse(*tables->get(1), name + ": a second one; expected one port, for now");
    table = tables->get(0);
  }
  if (!table->is_table()) refuse(node, name + ": " + as_written(node) + " is not a table: [" + name + "]");
  for (const auto& [key, value] : in_order(*table->as_table())) read_key(name + "." + key, *value);
}

void Settings::File::read(const toml::table& root) const {
  for (const auto& [name, node] : in_order(root)) read_table(name, *node);
}

void Settings::read_file(const std::string& path) {
  std::ifstream in(path);
  std::stringstream content;
  if (in) content << in.rdbuf();
  if (!in || !content)
    throw ConfigError(path + ": cannot be read: " + std::strerror(errno == 0 ? EISDIR : errno));
  try {
    toml::table root = toml::parse(content.str(), path);
    File{*this, path}.read(root);
  } catch (const toml::parse_error& error) {
    throw ConfigError(path + ":" + std::to_string(error.source().begin.line) +
                      ": no TOML: " + std::string(error.description()));
  }
}

}  // namespace millrace
