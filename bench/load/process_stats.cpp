#include "bench/load/process_stats.hpp"

#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>

namespace mooring::bench {

cpu_time cpu_time_of(pid_t process) {
  cpu_time used;
  // The CPU clock of another process is exact; the ticks of /proc/PID/stat are 10 ms wide.
  clockid_t clock{};
  timespec now{};
  if (process <= 0 || clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &now) != 0)
    return used;
  used.total_ns = static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;

  const auto path = "/proc/" + std::to_string(process) + "/stat";
  if (std::FILE* file = std::fopen(path.c_str(), "r")) {
    char line[1024];
    if (std::fgets(line, sizeof line, file) != nullptr) {
      // The command's name may hold blanks and parentheses: the fields begin after the last ')'.
      if (const char* rest = std::strrchr(line, ')')) {
        long long user = 0;
        long long system = 0;
        if (std::sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld", &user, &system) ==
            2) {
          used.user_ticks = user;
          used.system_ticks = system;
        }
      }
    }
    std::fclose(file);
  }
  return used;
}

std::int64_t machine_busy_ticks() {
  std::int64_t busy = 0;
  if (std::FILE* file = std::fopen("/proc/stat", "r")) {
    long long user = 0;
    long long nice = 0;
    long long system = 0;
    long long interrupts = 0;
    long long soft_interrupts = 0;
    if (std::fscanf(file, "cpu %lld %lld %lld %*d %*d %lld %lld", &user, &nice, &system, &interrupts,
                    &soft_interrupts) == 5)
      busy = user + nice + system + interrupts + soft_interrupts;
    std::fclose(file);
  }
  return busy;
}

memory_use memory_of(pid_t process) {
  memory_use used;
  const auto path = "/proc/" + std::to_string(process) + "/status";
  if (std::FILE* file = std::fopen(path.c_str(), "r")) {
    char line[256];
    while (std::fgets(line, sizeof line, file) != nullptr) {
      long long kib = 0;
      if (std::sscanf(line, "VmRSS: %lld", &kib) == 1) used.resident_kib = kib;
      if (std::sscanf(line, "RssAnon: %lld", &kib) == 1) used.anonymous_kib = kib;
      if (std::sscanf(line, "VmHWM: %lld", &kib) == 1) used.resident_peak_kib = kib;
    }
    std::fclose(file);
  }
  return used;
}

} // namespace mooring::bench
