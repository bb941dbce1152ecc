// mooring: the command. One file for the command line; what the commands do is in node.cpp and tools.cpp.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#ifdef MOORING_MIMALLOC
#include <mimalloc.h>
#endif

#include "app/backups.hpp"
#include "app/node.hpp"
#include "app/tools.hpp"
#include "base/deadline.hpp"
#include "base/log.hpp"
#include "config/nearest.hpp"
#include "config/settings.hpp"

using namespace mooring;

namespace {

// From its making on the process has 10 s, whatever hangs; what was acknowledged is on disk. The logger may be what hangs:
// only the word waits for it.
class stop_limit {
 public:
  explicit stop_limit(int code)
      : end_(std::chrono::milliseconds(9'500), [code] { ::_exit(code); })
      , word_(std::chrono::milliseconds(9'400), [] {
        log::warning("the node did not stop in time and ends now; what it acknowledged is on disk");
      }) {}

 private:
  deadline end_; // outlives the word
  deadline word_;
};

struct serve_request {
  std::string config_file, data, listen;
  bool insecure = false;
  std::vector<std::string> set; // name=value
};

log::level level_of(const std::string& name) {
  if (name == "debug") return log::level::debug;
  if (name == "warning") return log::level::warning;
  if (name == "error") return log::level::error;
  if (name == "off") return log::level::off;
  return log::level::info;
}

int serve(const serve_request& request) {
  config::overrides given;
  if (!request.data.empty()) given.emplace_back("data.folder", request.data);
  if (!request.listen.empty()) given.emplace_back("network.listen", request.listen);
  if (request.insecure) given.emplace_back("network.insecure", "true");
  for (const auto& one : request.set) {
    const auto equals = one.find('=');
    if (equals == std::string::npos)
      return app::complain(app::exit_usage, fmt::format("--set {}: write NAME=VALUE", one));
    given.emplace_back(one.substr(0, equals), one.substr(equals + 1));
  }
  const auto settings = config::load(request.config_file, config::process_environment(), given);
  if (!settings) return app::complain(app::exit_usage, settings.failure().message);

  // Signals are taken by this thread alone, in sigwaitinfo below; every other thread inherits the mask.
  sigset_t awaited;
  sigemptyset(&awaited);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&awaited, signal);
  pthread_sigmask(SIG_BLOCK, &awaited, nullptr);

  log::start({level_of(settings->log.level), settings->log.json, settings->log.file});
  for (const auto& one : settings->warnings) log::warning("{}", one);
  static std::atomic<bool> failed{false};
  static std::string why_failed; // the first reason; from then on
  static std::once_flag is_told;
  const auto fail = [](const std::string& why) {
    log::error("the node cannot go on: {}", why);
    std::call_once(is_told, [&] { why_failed = why; }); // shards fail on threads of their own
    failed = true;
    ::kill(::getpid(), SIGTERM);
  };
  std::optional<stop_limit> limit;
  const auto is_over = [&limit] { // asked while it starts
    sigset_t ending;
    sigemptyset(&ending);
    for (const int signal : {SIGINT, SIGTERM}) sigaddset(&ending, signal);
    const timespec at_once{};
    if (!failed && sigtimedwait(&ending, nullptr, &at_once) < 0) return false;
    limit.emplace(failed ? app::exit_failed : app::exit_ok);
    return true;
  };
  auto node = app::node::start(*settings, fail, is_over);
  if (!node) {
    const bool was_asked = limit && !failed;
    if (was_asked) log::info("stopped before it served");
    log::stop();
    if (was_asked) return app::exit_ok;
    if (!failed) return app::complain(app::exit_failed, node.failure().message);
    return app::complain(
        app::exit_failed,
        fmt::format("{}; `mooring check --data {}` says what is damaged, `mooring restore` makes a "
                    "folder of a backup",
                    why_failed, settings->data.folder));
  }
  const auto address = config::split_address(settings->network.listen)->first;
  const bool tls = !settings->network.tls_certificate.empty();
  log::info("serving {}://{}:{}/graphql, data in {}", tls ? "wss" : "ws",
            address.find(':') == std::string::npos ? address : "[" + address + "]", (*node)->port(),
            settings->data.folder);

  for (;;) {
    siginfo_t what{};
    const int signal = sigwaitinfo(&awaited, &what);
    if (signal < 0 && errno == EINTR) continue;
    if (signal != SIGHUP) break;
    if (auto reloaded = (*node)->reload(); !reloaded)
      log::error("the certificate stays as it was: {}", reloaded.failure().message);
    else
      log::info("certificate read again");
  }
  log::info("stopping");
  const int code = failed ? app::exit_failed : app::exit_ok;
  limit.emplace(code);
  (*node)->stop();
  node->reset();
  log::info("stopped");
  log::stop();
  return code;
}

// Freed memory goes back to the system after a second instead of 25 ms: a group of uploads, or what waits for the tables,
// is made and freed some times a second, and each time its pages would be faulted in again.
void keep_memory_a_little() {
#ifdef MOORING_MIMALLOC
  mi_option_set(mi_option_decommit_delay, 1'000);
  mi_option_set(mi_option_segment_decommit_delay, 2'000);
#endif
}

// The library would only say that a command is missing. Empty: all is well.
std::string unknown_command(const CLI::App& all, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return {};
  const std::string_view word = argv[1];
  std::vector<std::string> known;
  for (const auto* one : all.get_subcommands({})) known.push_back(one->get_name());
  if (std::find(known.begin(), known.end(), word) != known.end()) return {};
  return fmt::format("'{}' is no command; did you mean {}? There are {}.", word, config::nearest(word, known),
                     fmt::join(known, ", "));
}

} // namespace

int main(int argc, char** argv) {
  keep_memory_a_little();
  CLI::App all{"Mooring: a sync node for apps that work offline.\n\n"
               "  mooring serve                                   start a node on 127.0.0.1:8440\n"
               "  mooring token --data DIR --tenant T --user U    a token for a client\n",
               "mooring"};
  all.require_subcommand(1);
  all.set_help_all_flag("--help-all", "Help of all commands");

  serve_request serving;
  auto* const serve_command =
      all.add_subcommand("serve", "Start a node. Ends on SIGTERM; SIGHUP reads the certificate again.");
  serve_command->add_option("--config", serving.config_file,
                            "TOML file; docs/mooring.example.toml has every setting");
  serve_command->add_option("--data", serving.data, "Data folder (./mooring-data)");
  serve_command->add_option("--listen", serving.listen, "ADDRESS:PORT (127.0.0.1:8440)");
  serve_command->add_flag("--insecure", serving.insecure, "Listen beyond loopback without TLS");
  serve_command->add_option("--set", serving.set, "Any setting, as NAME=VALUE; may be repeated");

  app::token_request token;
  auto* const token_command =
      all.add_subcommand("token", "Print a token that a node on this folder accepts.");
  token_command->add_option("--data", token.folder, "Data folder")->required();
  token_command->add_option("--tenant", token.tenant, "Tenant")->required();
  token_command->add_option("--user", token.user, "User")->required();
  token_command->add_option("--device", token.device, "Only this device id may be used with it");
  token_command
      ->add_option("--role", token.roles, "admin (of the tenant) or operator (of the node); may be repeated")
      ->check(CLI::IsMember({"admin", "operator"}));
  token_command->add_option("--ttl", token.ttl, "How long it is valid: 15m, 1h, 30d (1h)");
  token_command->add_option("--audience", token.audience, "Claim aud");
  token_command->add_option("--issuer", token.issuer, "Claim iss");

  std::string folder, out;
  auto* const check_command =
      all.add_subcommand("check", "Verify a stopped node's data: checksums, log, tables. Exit 3: damaged.");
  check_command->add_option("--data", folder, "Data folder")->required();

  app::remote_backup_request remote;
  auto* const backup_command =
      all.add_subcommand("backup", "Copy the data of a running or stopped node, as of one moment.");
  auto* const from_where = backup_command->add_option_group("from", "Where the node is");
  from_where->add_option("--data", folder, "Data folder, on this machine");
  from_where->add_option("--url", remote.url,
                         "A running node, http(s)://HOST:PORT; needs an operator's token");
  from_where->require_option(1);
  backup_command->add_option("--token", remote.token, "For --url; everybody on this machine can see it");
  backup_command->add_option("--token-file", remote.token_file,
                             "For --url; without both: the variable MOORING_TOKEN");
  backup_command->add_option("--ca", remote.ca_file,
                             "For --url: PEM certificates to trust instead of the system's");
  backup_command->add_flag("--insecure", remote.insecure, "For --url: http to another machine");
  backup_command->add_option("OUT", out, "Folder to make")->required();

  auto* const restore_command = all.add_subcommand("restore", "Make a data folder of a backup.");
  restore_command->add_option("BACKUP", out, "Folder that backup made")->required();
  restore_command->add_option("--data", folder, "Data folder to make")->required();

  auto* const version_command = all.add_subcommand("version", "Print the version.");

  if (const auto unknown = unknown_command(all, argc, argv); !unknown.empty())
    return app::complain(app::exit_usage, unknown);
  try {
    all.parse(argc, argv);
  } catch (const CLI::ParseError& failed) {
    return all.exit(failed) == 0 ? app::exit_ok : app::exit_usage;
  }
  if (*serve_command) return serve(serving);
  if (*token_command) return app::print_token(token);
  if (*check_command) return app::check_folder(folder);
  if (*backup_command && !remote.url.empty()) {
    remote.out = out;
    return app::back_up_remote(remote);
  }
  if (*backup_command) return app::back_up(folder, out);
  if (*restore_command) return app::restore(out, folder);
  if (*version_command) fmt::print("mooring {}\n", MOORING_VERSION);
  return app::exit_ok;
}
