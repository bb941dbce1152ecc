#include "storage/data_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

#include "storage/environment.hpp"
#include "storage/files.hpp"

namespace mooring::storage {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view title = "mooring data folder\n";
constexpr std::size_t description_bytes_max = 4096;

fs::path format_file_of(const fs::path& folder) {
  return folder / "format";
}
fs::path lock_file_of(const fs::path& folder) {
  return folder / "lock";
}

// "name NUMBER\n" at the front of `text`, taken off it.
std::optional<unsigned> take_line(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  text.remove_prefix(name.size());
  unsigned value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end == text.data() + text.size() || *end != '\n') return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return value;
}

// True when all that is in the folder is what an interrupted first start may have left.
result<bool> is_unfinished(const fs::path& folder) {
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    const auto name = at->path().filename().string();
    if (name != "lock" && name != "shards" && name != "format.new") return false;
    if (name != "shards") continue;
    for (fs::directory_iterator shard(at->path(), failed), last; !failed && shard != last;
         shard.increment(failed)) {
      const auto size = fs::file_size(shard->path() / "data.mdb", failed);
      // An environment that was made and never written to has its two meta pages.
      if (!failed && size > 2 * 4096) return false;
      failed.clear();
    }
  }
  if (failed) return os_error("reading " + folder.string(), failed.value());
  return true;
}

result<int> take_lock(const fs::path& folder) {
  const auto file = lock_file_of(folder);
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return os_error("opening " + file.string(), errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int code = errno;
    char holder[32] = {};
    const auto got = ::read(fd, holder, sizeof holder - 1);
    ::close(fd);
    if (code != EWOULDBLOCK) return os_error("locking " + file.string(), code);
    std::string message = folder.string() + " is in use by another mooring process";
    if (got > 0)
      message.append(" (process ").append(holder, std::string_view(holder).find_last_not_of('\n') + 1) += ')';
    return error{error_code::unavailable, message};
  }
  // Only for people who ask who holds it; the lock itself is the kernel's and ends with the process.
  const auto self = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, self.data(), self.size(), 0) < 0) { /* the lock holds all the same */
  }
  return fd;
}

result<void> make_contents(const fs::path& folder, unsigned shards) {
  if (auto made = make_folder(folder / "shards", 0700); !made) return made;
  for (unsigned n = 0; n < shards; ++n) {
    const auto shard = shard_folder_of(folder, n);
    if (auto made = make_folder(shard, 0700); !made) return made;
    // From now on every shard has its file, so that one that is missing later is known to be lost.
    if (const auto empty = environment::open({.folder = shard}); !empty) return empty.failure();
    if (auto flushed = flush_folder(shard); !flushed) return flushed;
  }
  return write_folder_description(folder, {.format = folder_format, .shards = shards});
}

} // namespace

fs::path shard_folder_of(const fs::path& folder, unsigned n) {
  return folder / "shards" / std::to_string(n);
}
fs::path secret_file_of(const fs::path& folder) {
  return folder / "jwt.secret";
}

result<void> write_folder_description(const fs::path& folder, const folder_description& description) {
  std::string text(title);
  text.append("format ").append(std::to_string(description.format));
  text.append("\nshards ").append(std::to_string(description.shards)).append("\n");
  return write_file(format_file_of(folder), text, 0600);
}

result<folder_description> read_folder_description(const fs::path& folder) {
  const auto file = format_file_of(folder);
  const auto text = read_file(file, description_bytes_max);
  if (!text) {
    if (text.failure().code == error_code::not_found)
      return error{error_code::not_found,
                   folder.string() + " is not a mooring data folder (it has no file `format`)"};
    return text.failure();
  }
  std::string_view rest = *text;
  const error damaged{error_code::internal, file.string() + " is damaged"};
  if (!rest.starts_with(title)) return damaged;
  rest.remove_prefix(title.size());
  const auto format = take_line(rest, "format ");
  if (!format || *format == 0) return damaged;
  // Whatever else a newer format says, its version stands in this line.
  if (*format > folder_format)
    return error{error_code::internal, folder.string() +
                                           " was written by a newer version of mooring (folder format " +
                                           std::to_string(*format) + ", this one knows up to " +
                                           std::to_string(folder_format) + ")"};
  const auto shards = take_line(rest, "shards ");
  if (!shards || *shards == 0 || *shards > shards_max || !rest.empty()) return damaged;
  return folder_description{.format = *format, .shards = *shards};
}

result<data_folder> data_folder::open(const data_folder_options& options) {
  if (options.shards == 0 || options.shards > shards_max)
    return error{error_code::bad_user_input, "the number of shards is 1 to " + std::to_string(shards_max)};
  struct stat there {};
  const bool exists = ::stat(options.folder.c_str(), &there) == 0;
  if (exists && !S_ISDIR(there.st_mode))
    return error{error_code::bad_user_input, options.folder.string() + " is not a folder"};
  if (!exists) {
    if (!options.create) return error{error_code::not_found, options.folder.string() + " does not exist"};
    if (auto made = make_folder(options.folder, 0700); !made) return made.failure();
  }
  std::error_code ignored;
  const bool described = fs::exists(format_file_of(options.folder), ignored);
  if (!described) {
    // Nothing is put into a folder that may be somebody else's.
    const auto ours = is_unfinished(options.folder);
    if (!ours) return ours.failure();
    if (!*ours)
      return error{error_code::bad_user_input,
                   options.folder.string() +
                       " is neither empty nor a mooring data folder (it has no file `format`)"};
    if (!options.create)
      return error{error_code::not_found, options.folder.string() + " is not a mooring data folder"};
  }

  data_folder opened;
  opened.path_ = options.folder;
  const auto lock = take_lock(options.folder);
  if (!lock) return lock.failure();
  opened.lock_ = *lock;
  // Again, under the lock: another process may have finished making it.
  if (!fs::exists(format_file_of(options.folder), ignored)) {
    if (auto made = make_contents(options.folder, options.shards); !made) return made.failure();
  }
  const auto description = read_folder_description(options.folder);
  if (!description) return description.failure();
  opened.description_ = *description;
  for (unsigned n = 0; n < opened.shards(); ++n) {
    const auto data = opened.shard_folder(n) / "data.mdb";
    if (!fs::exists(data, ignored))
      return error{error_code::internal, data.string() + " is missing; restore it from a backup"};
  }
  return opened;
}

data_folder::data_folder(data_folder&& other) noexcept {
  *this = std::move(other);
}

data_folder& data_folder::operator=(data_folder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(description_, other.description_);
  std::swap(lock_, other.lock_);
  return *this;
}

data_folder::~data_folder() {
  if (lock_ >= 0) ::close(lock_);
}

fs::path data_folder::shard_folder(unsigned n) const {
  return shard_folder_of(path_, n);
}

result<std::string> data_folder::secret() const {
  const auto file = secret_file_of(path_);
  struct stat there {};
  if (::stat(file.c_str(), &there) == 0) {
    if ((there.st_mode & 077) != 0)
      return error{error_code::forbidden,
                   file.string() + " may be read by others than its owner; run: chmod 600 " + file.string()};
    auto secret = read_file(file, 4096);
    if (secret && secret->size() < secret_bytes)
      return error{error_code::internal, file.string() + " is damaged: it has fewer than 32 bytes"};
    return secret;
  }
  if (errno != ENOENT) return os_error(file.string(), errno);
  std::string secret(secret_bytes, '\0');
  std::size_t have = 0;
  while (have < secret.size()) {
    const auto got = ::getrandom(secret.data() + have, secret.size() - have, 0);
    if (got < 0 && errno != EINTR) return os_error("getrandom", errno);
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  if (auto written = write_file(file, secret, 0600); !written) return written.failure();
  return secret;
}

} // namespace mooring::storage
