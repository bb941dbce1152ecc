#include "tests/fuzz/driver/failure.hpp"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

// Only in programs built with a sanitizer.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

// UndefinedBehaviorSanitizer does not call the callback of AddressSanitizer when it stops the process;
// SIGABRT we see.
extern "C" __attribute__((used)) const char* __ubsan_default_options() {
  return "abort_on_error=1:print_stacktrace=1";
}

namespace mooring::fuzz {
namespace {

const std::uint8_t* current = nullptr;
std::size_t current_length = 0;
std::atomic<std::uint64_t> inputs_begun{0};
bool saved = false;
char path_prefix[4096];
char rerun[4096];
unsigned seconds_max = 20;

void say(const char* text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
}

// FNV-1a, so that the same input always has the same name.
void append_hash(char* to) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (std::size_t i = 0; i < current_length; ++i) hash = (hash ^ current[i]) * 0x100000001b3U;
  for (int i = 15; i >= 0; --i) *to++ = "0123456789abcdef"[(hash >> (4 * i)) & 15U];
  *to = 0;
}

void save(const char* what) {
  if (saved || current == nullptr) return;
  saved = true;
  char path[sizeof path_prefix + 32];
  std::strcpy(path, path_prefix);
  append_hash(path + std::strlen(path));
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool good = file >= 0;
  for (std::size_t done = 0; good && done < current_length;) {
    const auto count = write(file, current + done, current_length - done);
    good = count > 0;
    if (good) done += static_cast<std::size_t>(count);
  }
  if (file >= 0) close(file);
  say("\nfuzz: ");
  say(what);
  say(good ? "; the input is in " : "; the input could not be written to ");
  say(path);
  say("\nfuzz: run it again with\n  ");
  say(rerun);
  say(path);
  say("\n");
}

void on_signal(int signal) {
  save(signal == SIGABRT ? "aborted" : "crashed");
  std::signal(signal, SIG_DFL);
  raise(signal);
}

// Every second: has the input changed since?
void on_tick(int) {
  static std::uint64_t seen = 0;
  static unsigned ticks = 0;
  const auto now = inputs_begun.load(std::memory_order_relaxed);
  ticks = now == seen ? ticks + 1 : 0;
  seen = now;
  if (current == nullptr || ticks < seconds_max) return;
  save("one input runs for too long");
  _exit(1);
}

void on_death() {
  save("a sanitizer stopped the process");
}

} // namespace

void watch_for_failures(const std::string& artifacts, const std::string& program, const std::string& target,
                        unsigned seconds_an_input_max) {
  std::error_code failed;
  std::filesystem::create_directories(artifacts, failed);
  std::snprintf(path_prefix, sizeof path_prefix, "%s/%s-", artifacts.c_str(), target.c_str());
  std::snprintf(rerun, sizeof rerun, "%s ", program.c_str());
  seconds_max = seconds_an_input_max;

  // A stack that overflowed has no room for its own handler.
  static char stack_bytes[64 * 1024];
  stack_t stack{};
  stack.ss_sp = stack_bytes;
  stack.ss_size = sizeof stack_bytes;
  sigaltstack(&stack, nullptr);

  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGABRT, &action, nullptr);
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(on_death); // it handles the other signals itself, and says more
  } else {
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, nullptr);
    // An input that asks for gigabytes fails here and not in the machine's memory killer. (Sanitizers reserve
    // terabytes of addresses, so only without them.)
    rlimit memory{};
    memory.rlim_cur = memory.rlim_max = std::uint64_t{4} << 30;
    setrlimit(RLIMIT_AS, &memory);
  }

  action.sa_handler = on_tick;
  action.sa_flags = SA_ONSTACK | SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  itimerval second{};
  second.it_interval.tv_sec = second.it_value.tv_sec = 1;
  setitimer(ITIMER_REAL, &second, nullptr);
}

void about_to_run(const std::uint8_t* bytes, std::size_t length) {
  current = bytes;
  current_length = length;
  inputs_begun.fetch_add(1, std::memory_order_relaxed);
}

void nothing_runs() {
  current = nullptr;
}

} // namespace mooring::fuzz
