// A backup as one stream of bytes: a running node makes it, piece by piece, and whoever receives it turns it
// into the folder of backup.hpp. docs/data_file.md, "A backup as a stream".
//
// Nothing of it is held in memory or written to the node's disk: each shard's copy comes out of LMDB through
// a pipe. The last thing in the stream is the manifest with every file's size and hash, so a stream that was
// cut or changed on its way is known.
//
// Threads: a writer belongs to one thread, but for cancel(); a receiver to one thread.
// Failures: as of files.hpp; unavailable, a shard is being loaded or was loaded anew during its copy;
// internal, the stream is none or is damaged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "storage/backup.hpp"
#include "storage/environment.hpp"

namespace mooring::storage {

// A shard that is to be copied. `is_current` is asked now and then, from the writer's thread: false ends the
// copy soon, so that the environment can be closed.
struct open_shard {
  std::shared_ptr<environment> at;
  std::function<bool()> is_current;
};

class backup_writer {
 public:
  using shard_opener = std::function<result<open_shard>(unsigned n)>; // called when the shard's turn has come

  backup_writer(std::filesystem::path data, unsigned shards, instant created_at, shard_opener open);
  ~backup_writer(); // soon, also in the middle

  // The next piece, at most 256 KiB; empty at the end. Blocks for as long as the disk takes. After a failure:
  // no more.
  result<std::string> next();
  // From any thread: next() fails soon, now and later.
  void cancel();

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

class backup_receiver {
 public:
  // bad_user_input when OUT exists. Receives into OUT.receiving; what an interrupted one left there is
  // removed.
  static result<std::unique_ptr<backup_receiver>> begin(const std::filesystem::path& out);
  ~backup_receiver(); // without a finish() that succeeded, nothing stays

  result<void> take(std::string_view bytes);
  // After the last byte. Reads everything again as it is on disk, compares it with the manifest, and gives
  // the folder its name.
  result<backup_manifest> finish();

 private:
  backup_receiver();
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace mooring::storage
