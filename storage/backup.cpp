#include "storage/backup.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <set>

#include "storage/content_hash.hpp"
#include "storage/data_folder.hpp"
#include "storage/files.hpp"

namespace mooring::storage {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view title = "mooring backup\n";

std::string hex_of(std::uint64_t value, int digits) {
  char text[20];
  std::snprintf(text, sizeof text, "%0*llx", digits, static_cast<unsigned long long>(value));
  return text;
}

class open_file {
 public:
  open_file(const fs::path& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~open_file() {
    if (fd_ >= 0) ::close(fd_);
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  int fd() const { return fd_; }
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

// Size and hash of a file, which is copied to `to` on the way when that is given.
result<backup_file> read_through(const fs::path& from, std::string name, const fs::path* to) {
  open_file in(from, O_RDONLY);
  if (in.fd() < 0) return os_error(from.string(), errno);
  std::optional<open_file> out;
  if (to) {
    out.emplace(*to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (out->fd() < 0) return os_error("creating " + to->string(), errno);
  }
  content_hash hash;
  std::vector<char> buffer(1 << 20);
  backup_file file{.path = std::move(name), .bytes = 0, .hash = {}};
  for (;;) {
    const auto got = ::read(in.fd(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return os_error("reading " + from.string(), errno);
    if (got == 0) break;
    hash.add({buffer.data(), static_cast<std::size_t>(got)});
    file.bytes += static_cast<std::uint64_t>(got);
    for (ssize_t put = 0; out && put < got;) {
      const auto now = ::write(out->fd(), buffer.data() + put, static_cast<std::size_t>(got - put));
      if (now < 0 && errno != EINTR) return os_error("writing " + to->string(), errno);
      if (now > 0) put += now;
    }
  }
  if (out && (::fsync(out->fd()) != 0 || !out->close())) return os_error("flushing " + to->string(), errno);
  file.hash = hash.digest();
  return file;
}

// The words of the next line, taken off the front of `text`.
std::vector<std::string_view> take_words(std::string_view& text) {
  const auto end = text.find('\n');
  auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const auto space = line.find(' ');
    words.push_back(line.substr(0, space));
    line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  }
  return words;
}

template<class Integer> bool read_integer(std::string_view text, Integer& value, int base = 10) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return failed == std::errc{} && end == text.data() + text.size();
}

result<backup_manifest> read_manifest(const fs::path& backup) {
  const auto path = backup / "manifest";
  const auto content = read_file(path, manifest_bytes_max);
  if (!content) {
    if (content.failure().code == error_code::not_found)
      return error{error_code::not_found,
                   backup.string() +
                       " is not a mooring backup, or one that did not finish (it has no manifest)"};
    return content.failure();
  }
  const error damaged{error_code::internal, path.string() + " is damaged"};
  std::string_view text = *content;
  if (!text.starts_with(title)) return damaged;
  text.remove_prefix(title.size());
  backup_manifest manifest;
  auto words = take_words(text);
  if (words.size() != 2 || words[0] != "format" || !read_integer(words[1], manifest.format) ||
      manifest.format == 0)
    return damaged;
  if (manifest.format > backup_format)
    return error{error_code::internal, backup.string() +
                                           " was written by a newer version of mooring (backup format " +
                                           std::to_string(manifest.format) + ", this one knows up to " +
                                           std::to_string(backup_format) + ")"};
  words = take_words(text);
  if (words.size() != 2 || words[0] != "shards" || !read_integer(words[1], manifest.shards) ||
      manifest.shards == 0 || manifest.shards > shards_max)
    return damaged;
  words = take_words(text);
  if (words.size() != 2 || words[0] != "created") return damaged;
  const auto created = parse_instant(words[1]);
  if (!created) return damaged;
  manifest.created_at = *created;
  std::set<std::string> wanted{"jwt.secret"};
  for (unsigned n = 0; n < manifest.shards; ++n) wanted.insert(shard_file_name(n));
  for (words = take_words(text); words.size() == 4 && words[0] == "file"; words = take_words(text)) {
    backup_file file;
    if (words[1].size() != 32 || !read_integer(words[1].substr(0, 16), file.hash.high, 16) ||
        !read_integer(words[1].substr(16), file.hash.low, 16) || !read_integer(words[2], file.bytes))
      return damaged;
    file.path = words[3];
    if (wanted.erase(file.path) == 0) return damaged; // twice, or a place where no file of a backup stands
    manifest.files.push_back(std::move(file));
  }
  std::uint32_t checksum = 0;
  if (words.size() != 2 || words[0] != "checksum" || !text.empty() || !read_integer(words[1], checksum, 16))
    return damaged;
  const auto covered = content->rfind("checksum ");
  if (crc32c(std::string_view(*content).substr(0, covered)) != checksum) return damaged;
  wanted.erase("jwt.secret");
  if (!wanted.empty()) return damaged; // a shard is missing
  return manifest;
}

error not_as_written(const fs::path& file) {
  return {error_code::internal, file.string() + " is damaged: it is not what the backup's manifest says"};
}

bool is_empty_folder(const fs::path& path) {
  std::error_code failed;
  return fs::is_directory(path, failed) && fs::is_empty(path, failed) && !failed;
}

} // namespace

std::string shard_file_name(unsigned n) {
  return "shards/" + std::to_string(n) + "/data.mdb";
}

std::string manifest_text(const backup_manifest& manifest) {
  std::string text(title);
  text.append("format ").append(std::to_string(manifest.format));
  text.append("\nshards ").append(std::to_string(manifest.shards));
  text.append("\ncreated ").append(to_string(manifest.created_at)).append("\n");
  for (const auto& file : manifest.files) {
    text.append("file ").append(hex_of(file.hash.high, 16)).append(hex_of(file.hash.low, 16)).append(" ");
    text.append(std::to_string(file.bytes)).append(" ").append(file.path).append("\n");
  }
  const auto checksum = crc32c(text); // of all lines before
  text.append("checksum ").append(hex_of(checksum, 8)).append("\n");
  return text;
}

result<void> prepare_backup(const fs::path& out) {
  std::error_code failed;
  if (fs::exists(out, failed)) return error{error_code::bad_user_input, out.string() + " exists already"};
  if (auto made = make_folder(out, 0700); !made) return made;
  return make_folder(out / "shards", 0700);
}

result<void> back_up_shard(environment& shard, unsigned n, const fs::path& out) {
  const auto folder = shard_folder_of(out, n);
  if (auto made = make_folder(folder, 0700); !made) return made;
  return shard.copy_to(folder / "data.mdb");
}

result<backup_manifest> finish_backup(const fs::path& data, const fs::path& out, instant created_at) {
  const auto description = read_folder_description(data);
  if (!description) return description.failure();
  backup_manifest manifest;
  manifest.shards = description->shards;
  manifest.created_at = created_at;
  std::error_code failed;
  if (fs::exists(secret_file_of(data), failed)) {
    const auto copy = secret_file_of(out);
    auto file = read_through(secret_file_of(data), "jwt.secret", &copy);
    if (!file) return file.failure();
    manifest.files.push_back(std::move(*file));
  }
  for (unsigned n = 0; n < manifest.shards; ++n) {
    auto file = read_through(shard_folder_of(out, n) / "data.mdb", shard_file_name(n), nullptr);
    if (!file) return file.failure();
    manifest.files.push_back(std::move(*file));
  }
  if (auto written = write_file(out / "manifest", manifest_text(manifest), 0600); !written)
    return written.failure();
  return manifest;
}

result<backup_manifest> back_up_folder(const fs::path& data, const fs::path& out, instant created_at) {
  const auto description = read_folder_description(data);
  if (!description) return description.failure();
  if (auto prepared = prepare_backup(out); !prepared) return prepared.failure();
  for (unsigned n = 0; n < description->shards; ++n) {
    const auto shard = environment::open({.folder = shard_folder_of(data, n), .read_only = true});
    if (!shard) return shard.failure();
    if (auto copied = back_up_shard(**shard, n, out); !copied) return copied.failure();
  }
  return finish_backup(data, out, created_at);
}

result<backup_manifest> verify_backup(const fs::path& backup) {
  auto manifest = read_manifest(backup);
  if (!manifest) return manifest;
  for (const auto& file : manifest->files) {
    const auto found = read_through(backup / file.path, file.path, nullptr);
    if (!found) return found.failure();
    if (*found != file) return not_as_written(backup / file.path);
  }
  return manifest;
}

result<backup_manifest> restore_backup(const fs::path& backup, const fs::path& target) {
  auto manifest = read_manifest(backup);
  if (!manifest) return manifest;
  std::error_code failed;
  if (fs::exists(target, failed) && !is_empty_folder(target))
    return error{error_code::bad_user_input, target.string() + " exists already"};
  auto building = target.has_filename() ? target : target.parent_path();
  building += ".restoring";
  fs::remove_all(building, failed); // what an interrupted restore left
  if (failed) return os_error("removing " + building.string(), failed.value());
  if (auto made = make_folder(building, 0700); !made) return made.failure();
  if (auto made = make_folder(building / "shards", 0700); !made) return made.failure();
  for (const auto& file : manifest->files) {
    const auto copy = building / file.path;
    if (file.path != "jwt.secret") {
      if (auto made = make_folder(parent_of(copy), 0700); !made) return made.failure();
    }
    const auto copied = read_through(backup / file.path, file.path, &copy);
    if (!copied) return copied.failure();
    if (*copied != file) return not_as_written(backup / file.path);
    // What was written is read again: a copy is not a backup before somebody has looked at it.
    const auto written = read_through(copy, file.path, nullptr);
    if (!written) return written.failure();
    if (*written != file) return not_as_written(copy);
    if (auto flushed = flush_folder(parent_of(copy)); !flushed) return flushed.failure();
  }
  for (unsigned n = 0; n < manifest->shards; ++n) {
    if (const auto shard = environment::open({.folder = shard_folder_of(building, n)}); !shard)
      return shard.failure();
  }
  if (auto written =
          write_folder_description(building, {.format = folder_format, .shards = manifest->shards});
      !written)
    return written.failure();
  const auto named = target.has_filename() ? target : target.parent_path();
  if (::rename(building.c_str(), named.c_str()) != 0) return os_error("naming " + named.string(), errno);
  if (auto flushed = flush_folder(parent_of(named)); !flushed) return flushed.failure();
  return manifest;
}

} // namespace mooring::storage
