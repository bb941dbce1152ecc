// The folder that a node keeps everything in, and the right to be the only one that does.
//
//   DIR/            mode 0700
//     format        "mooring data folder", its format version, the number of shards; written last when DIR is
//     made lock          held with flock while a node (or an offline tool) uses the folder; holds its process
//     id jwt.secret    the key of HS256 tokens, 32 random bytes, mode 0600; made when it is first asked for
//     shards/N/     one LMDB environment each, N from 0
//
// docs/data_file.md, "The folder". Threads: open once, then const.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace mooring::storage {

inline constexpr unsigned folder_format = 1;
inline constexpr unsigned shards_max = 64;
inline constexpr std::size_t secret_bytes = 32;

struct data_folder_options {
  std::filesystem::path folder;
  bool create = true;  // when it does not exist or is empty
  unsigned shards = 8; // only for a folder that is made; 1 to shards_max
};

struct folder_description {
  unsigned format = folder_format;
  unsigned shards = 0;
  bool operator==(const folder_description&) const = default;
};

class data_folder {
 public:
  // Failures: unavailable, in use by another process; not_found, absent and not to be made; bad_user_input,
  // not a data folder, or a number of shards out of range; internal, a newer format, or damage, or the
  // system's words.
  static result<data_folder> open(const data_folder_options& options);
  data_folder(data_folder&&) noexcept;
  data_folder& operator=(data_folder&&) noexcept;
  ~data_folder(); // gives the lock back

  const std::filesystem::path& path() const { return path_; }
  unsigned shards() const { return description_.shards; } // as when it was made
  std::filesystem::path shard_folder(unsigned n) const;
  // The token secret; made when there is none. forbidden: others than the owner may read the file.
  result<std::string> secret() const;

 private:
  data_folder() = default;
  std::filesystem::path path_;
  folder_description description_;
  int lock_ = -1;
};

// Without the lock: for tools that look at a running node's folder.
result<folder_description> read_folder_description(const std::filesystem::path& folder);
std::filesystem::path shard_folder_of(const std::filesystem::path& folder, unsigned n);
std::filesystem::path secret_file_of(const std::filesystem::path& folder);
// What restore() writes into a folder that it has filled.
result<void> write_folder_description(const std::filesystem::path& folder,
                                      const folder_description& description);

} // namespace mooring::storage
