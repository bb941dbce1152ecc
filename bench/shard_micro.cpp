// What a shard costs by itself, without network and rules: CPU and wall time of one entry, and of one row on
// its way to the tables. The question behind it: how much of an upload's budget goes to durability.
//
//   bench_shard_micro [FOLDER]      the folder is emptied; give one on the disk that matters
//
// Cases: (1) one entry of 10 KiB, one row, at a time: the log alone. (2) entries of 50 rows of 300 bytes,
// keys of neighbours as a tenant writes them: log and tables. (3) the same with keys all over a large table.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "cluster/bytes.hpp"
#include "cluster/lmdb_storage.hpp"
#include "cluster/shard.hpp"

using namespace mooring;
using namespace mooring::cluster;
namespace fs = std::filesystem;

namespace {

void put_row(std::string& body, std::string_view key, std::string_view value) {
  append_integer(body, static_cast<std::uint16_t>(key.size()));
  append_integer(body, static_cast<std::uint32_t>(value.size()));
  body.append(key).append(value);
}

bool read_rows(std::string_view body, std::vector<row>& out) {
  byte_reader in(body);
  while (in.left() > 0) {
    const auto key_bytes = in.integer<std::uint16_t>();
    const auto value_bytes = in.integer<std::uint32_t>();
    row each;
    each.key = in.bytes(key_bytes);
    each.value = in.bytes(value_bytes);
    out.push_back(each);
  }
  return in.ok();
}

std::string key_of(std::uint64_t tenant, std::uint64_t number) {
  std::string key("\x10");
  for (const auto part : {tenant, number})
    for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(part >> shift));
  return key;
}

double cpu_us() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto us = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return us(used.ru_utime) + us(used.ru_stime);
}

struct measured {
  double wall_us, cpu_us;
};

template<class Work> measured measure(Work work) {
  const auto cpu = cpu_us();
  const auto began = std::chrono::steady_clock::now();
  work();
  const auto wall =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - began).count();
  return {wall, cpu_us() - cpu};
}

std::unique_ptr<shard> open(const fs::path& folder) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  storage::environment_options where;
  where.folder = folder;
  shard_options options;
  options.open_storage = make_lmdb_opener(where);
  options.read_rows = read_rows;
  auto opened = shard::open(options);
  if (!opened) {
    std::fprintf(stderr, "shard_micro: %s\n", opened.failure().message.c_str());
    std::exit(1);
  }
  return std::move(*opened);
}

void propose(shard& at, const std::string& body) {
  at.propose(body, [](result<log_index> done) {
    if (done) return;
    std::fprintf(stderr, "shard_micro: %s\n", done.failure().message.c_str());
    std::exit(1);
  });
}

void entries_of_one_row(const fs::path& folder) {
  constexpr int entries = 5000;
  auto at = open(folder);
  std::uint64_t number = 0;
  const auto cost = measure([&] {
    for (int i = 0; i < entries; ++i) {
      std::string body;
      put_row(body, key_of(1, number++ % 64), std::string(10'000, 'x'));
      propose(*at, body);
    }
  });
  const auto stats = at->stats();
  std::printf("10 KiB entry, one row:        %7.1f us CPU  %7.1f us wall an entry  (%llu commits, %llu with "
              "an apply)\n",
              cost.cpu_us / entries, cost.wall_us / entries, static_cast<unsigned long long>(stats.commits),
              static_cast<unsigned long long>(stats.applies_with_append));
}

void entries_of_rows(const fs::path& folder, bool scattered, std::uint64_t keys) {
  constexpr int entries = 2000;
  constexpr int rows = 50;
  auto at = open(folder);
  std::mt19937_64 random(1);
  std::uint64_t next = 0;
  const auto fill = [&](int count) {
    for (int i = 0; i < count; ++i) {
      std::string body;
      const auto tenant = random() % 100;
      for (int r = 0; r < rows; ++r)
        put_row(body, scattered ? key_of(random(), random() % keys) : key_of(tenant, next++),
                std::string(300, 'v'));
      propose(*at, body);
    }
    at->apply_now([](result<void>) {});
  };
  fill(entries / 4); // not from an empty file
  const auto before = at->stats();
  const auto cost = measure([&] { fill(entries); });
  const auto stats = at->stats();
  const auto written = static_cast<double>(stats.rows_applied - before.rows_applied);
  std::printf("50 rows of 300 bytes, %s: %7.1f us CPU  %7.1f us wall an entry  %5.2f us CPU a row  (%llu "
              "commits, %llu applies)\n",
              scattered ? "scattered" : "in order ", cost.cpu_us / entries, cost.wall_us / entries,
              cost.cpu_us / written, static_cast<unsigned long long>(stats.commits - before.commits),
              static_cast<unsigned long long>(stats.applies - before.applies));
}

} // namespace

int main(int count, char** values) {
  log::set_level(log::level::warning);
  const fs::path folder = count > 1 ? fs::path(values[1]) : fs::path("shard_micro.data");
  entries_of_one_row(folder);
  entries_of_rows(folder, false, 0);
  entries_of_rows(folder, true, 1'000'000);
  fs::remove_all(folder);
}
