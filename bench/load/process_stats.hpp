// What another process of this machine has used: CPU time and memory, read from the kernel.
#pragma once

#include <cstdint>

#include <sys/types.h>

namespace mooring::bench {

struct cpu_time {
  std::int64_t total_ns = 0;   // all threads, ended ones too; exact
  std::int64_t user_ticks = 0; // coarse (1/100 s); for the ratio of user to system time
  std::int64_t system_ticks = 0;
};
// Zeroes when there is no such process.
cpu_time cpu_time_of(pid_t process);

// CPU time that the whole machine has spent, idle time and waiting for disks left out; ticks of 1/100 s.
std::int64_t machine_busy_ticks();

struct memory_use {
  std::int64_t resident_kib = 0;      // VmRSS, with the pages of the mapped data file
  std::int64_t anonymous_kib = 0;     // RssAnon: what the process itself allocated
  std::int64_t resident_peak_kib = 0; // VmHWM
};
memory_use memory_of(pid_t process);

} // namespace mooring::bench
