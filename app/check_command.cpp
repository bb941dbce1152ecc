// `mooring check`: each shard is read in a child process, because a file with pages of noise can end its
// reader: LMDB maps the file and believes what the pages say. The child tells what it finds through a pipe
// and, in shared memory, where it is; the parent tells the operator, and knows from the child's end what the
// child could not say.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "app/tools.hpp"
#include "cluster/check_log.hpp"
#include "cluster/entry_rows.hpp"
#include "storage/check.hpp"
#include "storage/data_folder.hpp"
#include "storage/environment.hpp"

namespace mooring::app {

namespace {

// LMDB's names for what only a damaged file brings about, in the messages of storage::environment. Anything
// else that keeps a file from being opened, such as its mode, says nothing about what is in it.
bool speaks_of_damage(std::string_view message) {
  for (const std::string_view name :
       {"MDB_CORRUPTED", "MDB_PAGE_NOTFOUND", "MDB_INVALID", "MDB_VERSION_MISMATCH", "MDB_CURSOR_FULL"})
    if (message.find(name) != std::string_view::npos) return true;
  return false;
}

// What a child's line is about; its first byte.
enum line_kind : char { finding = 'f', summary = 's', failure = 'e' };

// What a child reads at the moment, in memory that outlives it.
struct place {
  char table[32] = "";

  void is(std::string_view name) {
    const auto bytes = std::min(name.size(), sizeof table - 1);
    std::memcpy(table, name.data(), bytes);
    table[bytes] = '\0';
  }
};

class shared_place {
 public:
  shared_place()
      : at_(::mmap(nullptr, sizeof(place), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
  ~shared_place() {
    if (*this) ::munmap(at_, sizeof(place));
  }
  shared_place(const shared_place&) = delete;
  shared_place& operator=(const shared_place&) = delete;
  explicit operator bool() const { return at_ != MAP_FAILED; }
  place& operator*() const { return *static_cast<place*>(at_); }

 private:
  void* at_;
};

// ── the child ──

class reporter {
 public:
  explicit reporter(int to)
      : to_(to) {}
  void say(line_kind kind, std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    text.insert(text.begin(), kind);
    text.push_back('\n');
    for (std::string_view rest = text; !rest.empty();) {
      const auto put = ::write(to_, rest.data(), rest.size());
      if (put < 0 && errno != EINTR) ::_exit(exit_failed); // the parent has gone
      if (put > 0) rest.remove_prefix(static_cast<std::size_t>(put));
    }
  }

 private:
  int to_;
};

void check_one(const storage::data_folder& folder, unsigned n, place& at, reporter& tell) {
  at.is("head of the file");
  storage::environment_options where;
  where.folder = folder.shard_folder(n);
  where.read_only = true;
  auto environment = storage::environment::open(where);
  const auto fail = [&](const error& why) {
    if (!speaks_of_damage(why.message)) return tell.say(failure, why.message);
    tell.say(finding, why.message + ": the file cannot be read");
  };
  if (!environment) return fail(environment.failure());
  at.is("log");
  cluster::log_report log;
  if (auto read = cluster::check_log(**environment, &cluster::read_entry_rows, log); !read)
    return fail(read.failure());
  for (const auto& problem : log.problems) tell.say(finding, fmt::format("log: {}", problem));
  storage::check_options which;
  which.shard = n;
  which.shards = folder.shards();
  std::vector<storage::overlaid_row> unapplied;
  unapplied.reserve(log.unapplied.size());
  for (const auto& each : log.unapplied) unapplied.push_back({each.key, each.value, each.removed});
  which.unapplied = unapplied;
  which.reading = [&](std::string_view table) { at.is(table); };
  const auto found = storage::check_shard(
      **environment, [&](const std::string& what) { tell.say(finding, what); }, which);
  if (!found) return fail(found.failure());
  tell.say(summary,
           fmt::format(
               "{} rows, {} tenants, {} users, {} devices, {} entities, {} conflicts, {} feed slots; log {} "
               "to {}, tables up to {}",
               found->rows, found->tenants, found->users, found->devices, found->entities, found->conflicts,
               found->slots, log.first, log.last, log.applied));
}

// Whatever ends this process, the parent says it; nothing else is to be heard of it.
void be_a_child() {
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) ::signal(signal, SIG_DFL);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (const int nowhere = ::open("/dev/null", O_WRONLY); nowhere >= 0) ::dup2(nowhere, STDERR_FILENO);
}

// ── the parent ──

struct outcome {
  std::uint64_t findings = 0;
  bool unreadable = false; // a failure: not damage that was found, but nothing could be checked
};

bool is_damage(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGABRT || signal == SIGFPE || signal == SIGILL;
}

void take_line(std::string_view line, unsigned n, outcome& to) {
  const auto text = line.substr(1);
  switch (static_cast<line_kind>(line.front())) {
  case finding: ++to.findings; [[fallthrough]];
  case summary: fmt::print("shard {}: {}\n", n, text); break;
  case failure:
    to.unreadable = true;
    complain(exit_failed, fmt::format("shard {}: {}", n, text));
    break;
  }
}

// Everything until the child closes the pipe, by ending at the latest.
void read_lines(int from, unsigned n, outcome& to) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const auto got = ::read(from, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    text.append(buffer, static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
      if (end > begin) take_line(std::string_view(text).substr(begin, end - begin), n, to);
      begin = end + 1;
    }
    text.erase(0, begin);
  }
}

result<outcome> check_in_child(const storage::data_folder& folder, unsigned n) {
  const auto system_said = [](const char* what) {
    return error{error_code::internal, fmt::format("{}: {}", what, std::strerror(errno))};
  };
  const shared_place at;
  if (!at) return system_said("mapping memory");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_said("making a pipe");
  std::fflush(nullptr); // or the child would print it again
  const auto child = ::fork();
  if (child < 0) {
    ::close(ends[0]);
    ::close(ends[1]);
    return system_said("starting a process");
  }
  if (child == 0) {
    ::close(ends[0]);
    be_a_child();
    reporter tell(ends[1]);
    check_one(folder, n, *at, tell);
    ::_exit(exit_ok);
  }
  ::close(ends[1]);
  outcome out;
  read_lines(ends[0], n, out);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status) && is_damage(WTERMSIG(status))) {
    fmt::print("shard {}: the file is damaged so much that it cannot be read on: its reader was ended by "
               "SIG{} while it read the "
               "{}\n",
               n, sigabbrev_np(WTERMSIG(status)), (*at).table);
    ++out.findings;
  } else if (WIFSIGNALED(status)) {
    return error{error_code::unavailable,
                 fmt::format("the check was ended by SIG{}", sigabbrev_np(WTERMSIG(status)))};
  } else if (!WIFEXITED(status) || WEXITSTATUS(status) != exit_ok) {
    return error{error_code::internal, "the check ended before it was done"};
  }
  return out;
}

} // namespace

int check_folder(const std::string& folder) {
  storage::data_folder_options options;
  options.folder = folder;
  options.create = false;
  auto opened = storage::data_folder::open(options);
  if (!opened) return complain(exit_failed, opened.failure().message);
  std::uint64_t findings = 0;
  bool unreadable = false;
  for (unsigned n = 0; n < opened->shards(); ++n) {
    const auto done = check_in_child(*opened, n);
    if (!done) return complain(exit_failed, fmt::format("shard {}: {}", n, done.failure().message));
    findings += done->findings;
    unreadable = unreadable || done->unreadable;
  }
  if (findings > 0) {
    fmt::print("{} findings: restore a backup, or ask for help before starting a node on this folder\n",
               findings);
    return exit_damaged;
  }
  if (unreadable) return exit_failed;
  fmt::print("all is well\n");
  return exit_ok;
}

} // namespace mooring::app
