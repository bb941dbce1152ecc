// Backups: a folder with a compacted copy of each shard, the token secret and a manifest that names every
// file with its size and checksum. Each shard's copy is one consistent snapshot, log included, taken while
// the node runs; tenants never span shards, so nothing a client was told is torn.
//
//   OUT/manifest             written last: a folder without it is no backup
//   OUT/jwt.secret           when the node has one
//   OUT/shards/N/data.mdb
//
// A tool calls back_up_folder, with or without a running node on the folder; over the network it is backup_stream.hpp.
// docs/data_file.md, "Backups". Failures: as of files.hpp; bad_user_input when a target exists; internal, saying which file is
// damaged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "storage/environment.hpp"

namespace mooring::storage {

inline constexpr unsigned backup_format = 1;

struct backup_file {
  std::string path; // inside the backup, with '/'
  std::uint64_t bytes = 0;
  digest128 hash; // XXH3, of the content
  bool operator==(const backup_file&) const = default;
};

struct backup_manifest {
  unsigned format = backup_format;
  unsigned shards = 0;
  instant created_at;
  std::vector<backup_file> files;
  bool operator==(const backup_manifest&) const = default;
};

inline constexpr std::size_t manifest_bytes_max = 1 << 20;
inline constexpr std::string_view secret_file_name = "jwt.secret";
std::string shard_file_name(unsigned n); // "shards/N/data.mdb"
std::string manifest_text(const backup_manifest& manifest);

// Makes OUT, which must not exist.
result<void> prepare_backup(const std::filesystem::path& out);
result<void> back_up_shard(environment& shard, unsigned n, const std::filesystem::path& out);
// Copies the secret, writes the manifest.
result<backup_manifest> finish_backup(const std::filesystem::path& data, const std::filesystem::path& out,
                                      instant created_at);
// All three, for a folder whose environments this process has not opened.
result<backup_manifest> back_up_folder(const std::filesystem::path& data, const std::filesystem::path& out,
                                       instant created_at);

// Reads every byte of the backup.
result<backup_manifest> verify_backup(const std::filesystem::path& backup);

// Fills a new data folder from a backup. Every copied file is verified, every shard is opened, before the
// folder gets its name in one atomic step. `target` must not exist or be an empty folder.
result<backup_manifest> restore_backup(const std::filesystem::path& backup,
                                       const std::filesystem::path& target);

} // namespace mooring::storage
