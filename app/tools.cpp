#include "app/tools.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <new>
#include <vector>

#include <fmt/format.h>

#include "base/time.hpp"
#include "cluster/check_log.hpp"
#include "cluster/entry_rows.hpp"
#include "config/settings.hpp"
#include "net/jwt.hpp"
#include "storage/backup.hpp"
#include "storage/check.hpp"
#include "storage/data_folder.hpp"

namespace mooring::app {

int complain(int code, const std::string& message) {
  fmt::print(stderr, "mooring: {}\n", message);
  return code;
}

int print_token(const token_request& request) {
  const auto file = storage::secret_file_of(request.folder);
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return complain(exit_failed, fmt::format("{}: cannot be read; a node makes it at its first start (mooring serve --data {})",
                                             file.string(), request.folder));
  const std::string secret((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto ttl = config::parse_duration_ms(request.ttl);
  if (!ttl) return complain(exit_usage, fmt::format("--ttl: {}", ttl.failure().message));
  net::token_claims claims;
  claims.tenant = request.tenant;
  claims.user = request.user;
  claims.device = request.device;
  claims.roles = request.roles;
  claims.audience = request.audience;
  claims.issuer = request.issuer;
  claims.issued = system_clock().now();
  claims.ttl_ms = *ttl;
  const auto token = net::make_token(claims, secret);
  if (!token) return complain(exit_usage, token.failure().message);
  fmt::print("{}\n", *token);
  return exit_ok;
}

namespace {

// What the child is at, for its parent to say when it dies. Shared memory.
struct check_progress {
  std::atomic<unsigned> shard{0};
  std::atomic<bool> in_log{false};
};

int check_here(const std::string& folder, check_progress& progress) {
  storage::data_folder_options options;
  options.folder = folder;
  options.create = false;
  auto opened = storage::data_folder::open(options);
  if (!opened) return complain(exit_failed, opened.failure().message);
  std::uint64_t findings = 0;
  for (unsigned n = 0; n < opened->shards(); ++n) {
    progress.shard = n;
    progress.in_log = true;
    storage::environment_options where;
    where.folder = opened->shard_folder(n);
    where.read_only = true;
    auto environment = storage::environment::open(where);
    if (!environment) return complain(exit_failed, fmt::format("shard {}: {}", n, environment.failure().message));
    cluster::log_report log;
    if (auto read = cluster::check_log(**environment, &cluster::read_entry_rows, log); !read)
      return complain(exit_failed, fmt::format("shard {}: {}", n, read.failure().message));
    for (const auto& problem : log.problems) fmt::print("shard {}: log: {}\n", n, problem);
    findings += log.problems.size();
    progress.in_log = false;
    storage::check_options which;
    which.shard = n;
    which.shards = opened->shards();
    const auto summary = storage::check_shard(
        **environment, [&](const std::string& finding) { fmt::print("shard {}: {}\n", n, finding); }, which);
    if (!summary) return complain(exit_failed, fmt::format("shard {}: {}", n, summary.failure().message));
    findings += summary->findings;
    fmt::print("shard {}: {} rows, {} tenants, {} users, {} devices, {} entities, {} conflicts, {} feed slots; log {} to {}, "
               "tables up to {}\n",
               n, summary->rows, summary->tenants, summary->users, summary->devices, summary->entities, summary->conflicts,
               summary->slots, log.first, log.last, log.applied);
  }
  if (findings == 0) {
    fmt::print("all is well\n");
    return exit_ok;
  }
  fmt::print("{} findings: restore a backup, or ask for help before starting a node on this folder\n", findings);
  return exit_damaged;
}

} // namespace

// In a child process: LMDB believes its pages, and a page of garbage can end the process that reads it.
int check_folder(const std::string& folder) {
  void* const shared = ::mmap(nullptr, sizeof(check_progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return complain(exit_failed, "no memory");
  auto& progress = *new (shared) check_progress;
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return complain(exit_failed, fmt::format("no process could be started: {}", std::strerror(errno)));
  if (child == 0) {
    const int code = check_here(folder, progress);
    std::fflush(nullptr);
    ::_exit(code);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  fmt::print("shard {}: {} cannot be read to its end: a page of the data file holds something else ({})\n", progress.shard.load(),
             progress.in_log ? "the log" : "the tables", ::strsignal(WTERMSIG(status)));
  fmt::print("restore a backup: this file is damaged beyond reading\n");
  return exit_damaged;
}

int back_up(const std::string& folder, const std::string& out) {
  const auto done = storage::back_up_folder(folder, out, system_clock().now());
  if (!done) return complain(exit_failed, done.failure().message);
  fmt::print("{}: {} files\n", out, done->files.size());
  return exit_ok;
}

int restore(const std::string& backup, const std::string& folder) {
  const auto done = storage::restore_backup(backup, folder);
  if (!done) return complain(exit_failed, done.failure().message);
  fmt::print("{}: {} shards as of {}\n", folder, done->shards, to_string(done->created_at));
  return exit_ok;
}

} // namespace mooring::app
