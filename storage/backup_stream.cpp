#include "storage/backup_stream.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.hpp"
#include "storage/content_hash.hpp"
#include "storage/data_folder.hpp"
#include "storage/files.hpp"

namespace mooring::storage {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view stream_title = "mooring backup stream 1\n";
constexpr std::size_t piece_bytes = 256 << 10;
constexpr std::size_t frame_bytes_max = 1 << 20; // of data; a reader's bound, not ours
constexpr std::size_t frame_head_bytes = 5;
constexpr std::size_t path_bytes_max = 64;
constexpr std::size_t secret_file_bytes_max = 4096;
constexpr int look_up_ms = 100; // how often a copy that is slow asks whether its shard is still current
constexpr int pipe_bytes = 1 << 20;

enum frame : char { file_begins = 'F', file_data = 'D', manifest_ends = 'M' };

class descriptor {
 public:
  explicit descriptor(int fd = -1)
      : fd_(fd) {}
  descriptor(descriptor&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~descriptor() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  // True unless the system says that what was written is lost.
  bool reset(int fd = -1) {
    const int old = std::exchange(fd_, fd);
    return old < 0 || ::close(old) == 0;
  }

 private:
  int fd_;
};

void append_head(std::string& to, frame kind, std::size_t bytes) {
  to.push_back(kind);
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<char>((bytes >> shift) & 0xff));
}

std::string frame_of(frame kind, std::string_view payload) {
  std::string out;
  out.reserve(frame_head_bytes + payload.size());
  append_head(out, kind, payload.size());
  out.append(payload);
  return out;
}

} // namespace

// ── the node's side ──

struct backup_writer::impl {
  enum class step { beginning, shard_begins, shard_data, manifest, done, failed };

  fs::path data;
  shard_opener open;
  backup_manifest manifest;
  step at = step::beginning;
  unsigned shard = 0;
  std::function<bool()> is_current;
  std::optional<content_hash> hash;
  std::uint64_t bytes = 0;
  descriptor from; // the pipe that the copy comes out of
  std::thread copier;
  result<void> copied; // read after the join
  std::atomic<bool> cancelled{false};
  descriptor woken{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

  ~impl() { end_copy(); }

  // LMDB's write into a pipe that nobody reads fails at once.
  void end_copy() {
    from.reset();
    if (copier.joinable()) copier.join();
  }

  std::string begin_file(std::string path) {
    hash.emplace();
    bytes = 0;
    manifest.files.push_back({.path = path, .bytes = 0, .hash = {}});
    return frame_of(file_begins, path);
  }
  void end_file() {
    manifest.files.back().bytes = bytes;
    manifest.files.back().hash = hash->digest();
  }

  // Empty when the node has none.
  result<std::string> secret() {
    std::error_code failed;
    if (!fs::exists(secret_file_of(data), failed)) return std::string();
    const auto content = read_file(secret_file_of(data), secret_file_bytes_max);
    if (!content) return content.failure();
    auto out = begin_file(std::string(secret_file_name));
    hash->add(*content);
    bytes = content->size();
    end_file();
    return out + frame_of(file_data, *content);
  }

  // With the first shard: what cannot even begin fails before a byte of it was sent.
  result<std::string> beginning() {
    auto before = secret();
    if (!before) return before;
    at = step::shard_begins;
    auto first = begin_shard();
    if (!first) return first;
    return std::string(stream_title) + *before + *first;
  }

  result<std::string> begin_shard() {
    if (shard == manifest.shards) {
      at = step::manifest;
      return next();
    }
    auto opened = open(shard);
    if (!opened) return opened.failure();
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return os_error("making a pipe", errno);
    from.reset(ends[0]);
    ::fcntl(ends[1], F_SETPIPE_SZ, pipe_bytes); // fewer turns; where that is not allowed, 64 KiB do
    is_current = std::move(opened->is_current);
    // The copy's thread is the only one that keeps the environment open.
    try {
      copier = std::thread([this, to = descriptor(ends[1]), shard_at = std::move(opened->at)]() mutable {
        copied = shard_at->copy_into(to.get(), "a backup");
        shard_at.reset();
        to.reset();
      });
    } catch (const std::system_error& none) {
      return error{error_code::unavailable,
                   std::string("no thread is left for a shard's copy: ") + none.what()};
    }
    at = step::shard_data;
    return begin_file(shard_file_name(shard));
  }

  result<std::string> shard_data() {
    for (;;) {
      if (cancelled) return error{error_code::unavailable, "the backup was cancelled"};
      if (!is_current())
        return error{error_code::unavailable,
                     "shard " + std::to_string(shard) + " was loaded anew during its backup"};
      pollfd waits[2] = {{from.get(), POLLIN, 0}, {woken.get(), POLLIN, 0}};
      const int ready = ::poll(waits, 2, look_up_ms);
      if (ready < 0 && errno != EINTR) return os_error("waiting for a shard's copy", errno);
      if (ready <= 0 || waits[0].revents == 0) continue;
      std::string out(frame_head_bytes + piece_bytes, '\0');
      const auto got = ::read(from.get(), out.data() + frame_head_bytes, piece_bytes);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return os_error("reading a shard's copy", errno);
      if (got == 0) break;
      out.resize(frame_head_bytes + static_cast<std::size_t>(got));
      std::string head;
      append_head(head, file_data, static_cast<std::size_t>(got));
      out.replace(0, frame_head_bytes, head);
      hash->add(std::string_view(out).substr(frame_head_bytes));
      bytes += static_cast<std::uint64_t>(got);
      return out;
    }
    end_copy();
    if (!copied) return copied.failure();
    end_file();
    ++shard;
    at = step::shard_begins;
    return next();
  }

  result<std::string> next() {
    switch (at) {
    case step::beginning: return beginning();
    case step::shard_begins: return begin_shard();
    case step::shard_data: return shard_data();
    case step::manifest: at = step::done; return frame_of(manifest_ends, manifest_text(manifest));
    case step::done: return std::string();
    case step::failed: break;
    }
    return error{error_code::unavailable, "the backup has failed"};
  }
};

backup_writer::backup_writer(fs::path data, unsigned shards, instant created_at, shard_opener open)
    : impl_(std::make_unique<impl>()) {
  impl_->data = std::move(data);
  impl_->open = std::move(open);
  impl_->manifest.shards = shards;
  impl_->manifest.created_at = created_at;
}

backup_writer::~backup_writer() = default;

result<std::string> backup_writer::next() {
  if (impl_->cancelled) impl_->at = impl::step::failed;
  auto made = impl_->next();
  if (!made) {
    impl_->at = impl::step::failed;
    impl_->end_copy();
  }
  return made;
}

void backup_writer::cancel() {
  impl_->cancelled = true;
  const std::uint64_t one = 1;
  // What may fail here is an event that is there already.
  [[maybe_unused]] const auto written = ::write(impl_->woken.get(), &one, sizeof one);
}

// ── the receiver ──

struct backup_receiver::impl {
  fs::path out, building;
  std::string buffered; // of the title, a frame's head, a path or the manifest
  bool title_seen = false;
  std::optional<frame> inside; // the frame whose payload is being read
  std::size_t left = 0;        // bytes of it
  descriptor file;
  std::set<std::string> received;
  std::optional<std::string> manifest;
  bool is_finished = false;

  ~impl() {
    if (is_finished || building.empty()) return;
    file.reset();
    std::error_code ignored;
    fs::remove_all(building, ignored);
  }

  static error damaged(std::string_view what) {
    return {error_code::internal, "what came is not a mooring backup, or is damaged: " + std::string(what)};
  }

  // Moves bytes from `from` until `buffered` has `wanted`. True when it has.
  bool gather(std::string_view& from, std::size_t wanted) {
    const auto taken = std::min(from.size(), wanted - std::min(wanted, buffered.size()));
    buffered.append(from.substr(0, taken));
    from.remove_prefix(taken);
    return buffered.size() >= wanted;
  }

  result<void> take(std::string_view bytes) {
    if (!title_seen) {
      if (!gather(bytes, stream_title.size())) return {};
      if (buffered != stream_title) return damaged("it does not begin as one");
      title_seen = true;
      buffered.clear();
    }
    while (!bytes.empty() || (inside && left == 0)) {
      if (!inside) {
        if (!gather(bytes, frame_head_bytes)) return {};
        if (auto begun = begin_frame(); !begun) return begun;
        continue;
      }
      if (*inside == file_data) {
        const auto part = bytes.substr(0, left);
        if (auto written = write(part); !written) return written;
        bytes.remove_prefix(part.size());
        left -= part.size();
        if (left == 0) inside.reset();
        continue;
      }
      if (!gather(bytes, left)) return {};
      const auto kind = *std::exchange(inside, std::nullopt);
      left = 0;
      auto payload = std::exchange(buffered, {});
      if (kind == manifest_ends) {
        if (auto ended = end_file(); !ended) return ended;
        manifest = std::move(payload);
      } else if (auto begun = begin_file(payload); !begun) {
        return begun;
      }
    }
    return {};
  }

  result<void> begin_frame() {
    if (manifest) return damaged("something follows its end");
    const auto kind = static_cast<frame>(buffered.front());
    left = 0;
    for (std::size_t i = 1; i < frame_head_bytes; ++i)
      left = left << 8 | static_cast<unsigned char>(buffered[i]);
    buffered.clear();
    const auto most = kind == file_data       ? frame_bytes_max
                      : kind == file_begins   ? path_bytes_max
                      : kind == manifest_ends ? manifest_bytes_max
                                              : 0;
    if (left == 0 || left > most) return damaged("a part of it has an impossible kind or length");
    if (kind == file_data && !file) return damaged("data of no file");
    inside = kind;
    return {};
  }

  result<void> begin_file(const std::string& path) {
    if (auto ended = end_file(); !ended) return ended;
    bool known = path == secret_file_name;
    for (unsigned n = 0; n < shards_max && !known; ++n) {
      if (path != shard_file_name(n)) continue;
      known = true;
      if (auto made = make_folder(shard_folder_of(building, n), 0700); !made) return made;
    }
    if (!known || !received.insert(path).second)
      return damaged("a file that belongs to no backup, or comes twice");
    file.reset(::open((building / path).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) return os_error("creating " + (building / path).string(), errno);
    return {};
  }

  result<void> write(std::string_view part) {
    while (!part.empty()) {
      const auto put = ::write(file.get(), part.data(), part.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return os_error("writing to " + building.string(), errno);
      part.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }

  result<void> end_file() {
    if (!file) return {};
    if (::fsync(file.get()) != 0 || !file.reset()) return os_error("flushing " + building.string(), errno);
    return {};
  }

  result<backup_manifest> finish() {
    if (!manifest || inside || !buffered.empty())
      return error{error_code::unavailable, "the backup ended before it was whole; nothing of it was kept"};
    if (auto written = write_file(building / "manifest", *manifest, 0600); !written) return written.failure();
    for (const auto& path : received)
      if (auto flushed = flush_folder(parent_of(building / path)); !flushed) return flushed.failure();
    auto verified = verify_backup(building);
    if (!verified) return verified;
    if (verified->files.size() != received.size()) return damaged("a file that its manifest does not name");
    if (::rename(building.c_str(), out.c_str()) != 0) return os_error("naming " + out.string(), errno);
    is_finished = true;
    if (auto flushed = flush_folder(parent_of(out)); !flushed) return flushed.failure();
    return verified;
  }
};

backup_receiver::backup_receiver()
    : impl_(std::make_unique<impl>()) {}

backup_receiver::~backup_receiver() = default;

result<std::unique_ptr<backup_receiver>> backup_receiver::begin(const fs::path& given) {
  const auto out = given.has_filename() ? given : given.parent_path();
  std::error_code failed;
  if (fs::exists(out, failed)) return error{error_code::bad_user_input, out.string() + " exists already"};
  auto building = out;
  building += ".receiving";
  fs::remove_all(building, failed);
  if (failed) return os_error("removing " + building.string(), failed.value());
  std::unique_ptr<backup_receiver> made(new backup_receiver);
  if (auto folder = make_folder(building, 0700); !folder) return folder.failure();
  made->impl_->out = out;
  made->impl_->building = building;
  if (auto folder = make_folder(building / "shards", 0700); !folder) return folder.failure();
  return made;
}

result<void> backup_receiver::take(std::string_view bytes) {
  return impl_->take(bytes);
}

result<backup_manifest> backup_receiver::finish() {
  return impl_->finish();
}

} // namespace mooring::storage
