// SPDX-License-Identifier: BSD-3-Clause
// A command line -> keys: EAL's part, --config, the flags, and how they say what is wrong.
// (millrace/settings.h)
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "millrace/endpoint.h"
#include "millrace/nearest.h"
#include "millrace/process.h"
#include "millrace/settings.h"

namespace millrace {

// What the words say, not yet done: flags override the file, wherever they stand.
struct Settings::Flags {
  struct Given {
    const Key* key;  // null: --set
    std::string text;
  };
  std::string file;
  bool print = false;
  std::vector<Given> given;

  void add_to(CLI::App& app, const Settings& settings);
  void apply(Settings& settings) const;
};

// "10.9.0.2/24" of "\"10.9.0.2/24\"": help shows what a command line takes.
static std::string as_word(std::string shown) {
  if (shown.size() >= 2 && shown.front() == '"' && shown.back() == '"')
    shown = shown.substr(1, shown.size() - 2);
  return shown == "[]" ? "" : shown;
}

void Settings::Flags::add_to(CLI::App& app, const Settings& settings) {
  for (const Key& key : settings.keys_) {
    if (key.flag.empty()) continue;
    const Key* which = &key;
    if (!key.flag_value.empty()) {
      app.add_flag_callback(
          key.flag,
          [this, which] {
            given.push_back({which, which->flag_value});
          },
          key.help)
          ->group(settings.group_of(key));
      continue;
    }
    auto remember = [this, which](const std::vector<std::string>& words) {
      for (const std::string& word : words) given.push_back({which, word});
    };
    auto* option = app.add_option_function<std::vector<std::string>>(key.flag, remember, key.help);
    option->type_name(key.form.empty() ? key.name.substr(key.name.find('.') + 1) : key.form)
        ->group(settings.group_of(key))
        ->default_str(as_word(key.show()))
        ->allow_extra_args(false);
    if (key.type != Key::Type::list) option->expected(1);
  }
  app.add_option("--config", file, "a file with all this and more: config/README.md")->type_name("FILE");
  app.add_option_function<std::vector<std::string>>(
         "--set",
         [this](const std::vector<std::string>& words) {
           for (const std::string& word : words) given.push_back({nullptr, word});
         },
         "sets any key of a file")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  app.add_flag("--print-config", print, "shows what all this comes to, as a file");
}

void Settings::Flags::apply(Settings& settings) const {
  std::vector<const Key*> cleared;
  for (const Given& g : given) {
    if (g.key == nullptr) {
      size_t equals = g.text.find('=');
      if (equals == std::string::npos) throw ConfigError("--set: '" + g.text + "' is not SECTION.KEY=VALUE");
      settings.set(g.text.substr(0, equals), g.text.substr(equals + 1));
      continue;
    }
    // The first of a list on the command line takes the place of the file's.
    if (g.key->type == Key::Type::list && std::find(cleared.begin(), cleared.end(), g.key) == cleared.end()) {
      g.key->clear();
      cleared.push_back(g.key);
    }
    settings.put(*g.key, g.text, g.key->flag);
  }
}

static constexpr const char* about_values =
    "Numbers may have a suffix: k, M and G are powers of 1,000, Ki, Mi and Gi powers of 1,024; K, which is 1,024, is for BYTES\n"
    "alone. Times have one of ns, us, ms, s, m and h, and are seconds without.\n";

// Of what was left over.
static std::string what_is_unknown(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  std::string first;
  for (const std::string& word : app.remaining()) {
    if (word.starts_with("-")) return unknown_word("flag", word.substr(0, word.find('=')), flags);
    if (first.empty()) first = word;
  }
  return "a word too many: " + first;
}

std::string Settings::group_of(const Key& key) const {
  std::string section = key.name.substr(0, key.name.find('.'));
  for (const auto& [name, help] : sections_)
    if (name == section) return "[" + name + "] " + help;
  return "Options";
}

void Settings::parse(int argc, char** argv) {
  prepare_process();
  std::vector<std::string> words(argv + std::min(1, argc), argv + argc), eal;
  // What stands before a `--` is EAL's.
  if (auto dashes = std::find(words.begin(), words.end(), "--"); dashes != words.end()) {
    eal.assign(words.begin(), dashes);
    words.erase(words.begin(), dashes + 1);
  }
  CLI::App app{about_, usage_ + " [EAL options --]"};
  app.set_version_flag("--version", [] { return version(); }, "shows the version, and DPDK's");
  app.footer(about_values);
  Flags flags;
  std::string shown;
  flags.add_to(app, *this);
  std::reverse(words.begin(), words.end());  // the order that CLI11 takes words in
  try {
    app.parse(words);
    if (!flags.file.empty()) read_file(flags.file);
    if (!eal.empty() && eal_ != nullptr) *eal_ = eal;
    flags.apply(*this);
    shown = print();  // as given: checks may complete what was left open
    run_checks();
  } catch (const CLI::CallForVersion&) {
    std::puts(version().c_str());
    std::exit(with_output_written(0, program_.c_str()));
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    std::exit(with_output_written(0, program_.c_str()));
  } catch (const CLI::ExtrasError&) {
    std::fprintf(stderr, "%s: %s (flags: %s --help)\n", program_.c_str(), what_is_unknown(app).c_str(), usage_.c_str());
    std::exit(2);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "%s: %s (flags: %s --help)\n", program_.c_str(), error.what(), usage_.c_str());
    std::exit(2);
  } catch (const ConfigError& error) {
    std::fprintf(stderr, "%s: %s\n", program_.c_str(), error.what());
    std::exit(2);
  }
  if (!flags.print) return;
  std::fputs(shown.c_str(), stdout);
  std::exit(with_output_written(0, program_.c_str()));
}

Config Config::from_arguments(int argc, char** argv) {
  Config config;
  const char* slash = argc > 0 ? std::strrchr(argv[0], '/') : nullptr;
  std::string program = slash != nullptr ? slash + 1 : argc > 0 ? argv[0] : "millrace";
  Settings settings(program, program + " [EAL options --] [flags]");
  settings.add(config);
  settings.add_application(config);
  settings.parse(argc, argv);
  return config;
}

}  // namespace millrace
