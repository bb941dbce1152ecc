#include "storage/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mooring::storage {

error os_error(const std::string& what, int code) {
  const auto kind = code == ENOENT                     ? error_code::not_found
                    : code == ENOSPC || code == EDQUOT ? error_code::storage_full
                                                       : error_code::internal;
  return error{kind, what + ": " + std::strerror(code)};
}

std::filesystem::path parent_of(const std::filesystem::path& path) {
  const auto parent = path.has_filename() ? path.parent_path() : path.parent_path().parent_path();
  return parent.empty() ? "." : parent;
}

result<void> flush_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return os_error(folder.string(), errno);
  const int code = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (code != 0) return os_error("flushing " + folder.string(), code);
  return {};
}

result<void> make_folder(const std::filesystem::path& folder, mode_t mode) {
  if (::mkdir(folder.c_str(), mode) != 0) {
    const int code = errno;
    struct stat there {};
    if (code == EEXIST && ::stat(folder.c_str(), &there) == 0 && S_ISDIR(there.st_mode)) return {};
    return os_error("making " + folder.string(), code);
  }
  return flush_folder(parent_of(folder));
}

result<std::string> read_file(const std::filesystem::path& file, std::size_t bytes_max) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return os_error(file.string(), errno);
  std::string content;
  char buffer[4096];
  int code = 0;
  while (content.size() <= bytes_max) {
    const auto got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) code = errno;
    if (got <= 0) break;
    content.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(fd);
  if (code != 0) return os_error("reading " + file.string(), code);
  if (content.size() > bytes_max)
    return error{error_code::payload_too_large, file.string() + " is larger than it can be"};
  return content;
}

result<void> write_file(const std::filesystem::path& file, std::string_view content, mode_t mode) {
  auto temporary = file;
  temporary += ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return os_error("creating " + temporary.string(), errno);
  int code = ::fchmod(fd, mode) == 0 ? 0 : errno; // whatever the umask is
  while (code == 0 && !content.empty()) {
    const auto put = ::write(fd, content.data(), content.size());
    if (put >= 0)
      content.remove_prefix(static_cast<std::size_t>(put));
    else if (errno != EINTR)
      code = errno;
  }
  if (code == 0 && ::fsync(fd) != 0) code = errno;
  if (::close(fd) != 0 && code == 0) code = errno;
  if (code == 0 && ::rename(temporary.c_str(), file.c_str()) != 0) code = errno;
  if (code != 0) {
    ::unlink(temporary.c_str());
    return os_error("writing " + file.string(), code);
  }
  return flush_folder(parent_of(file));
}

} // namespace mooring::storage
