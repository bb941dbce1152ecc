// Files and folders that survive a power cut: what was written is flushed, and so is the folder that names
// it.
//
// Failures: not_found when a path is missing, storage_full when the disk is, internal with the system's words
// else.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/result.hpp"

namespace mooring::storage {

error os_error(const std::string& what, int code); // `code` is an errno

// Makes the names inside a folder durable.
result<void> flush_folder(const std::filesystem::path& folder);
// The folder that holds `path`.
std::filesystem::path parent_of(const std::filesystem::path& path);

// One new folder, durable in its parent. A folder that exists is left as it is.
result<void> make_folder(const std::filesystem::path& folder, mode_t mode);

// The whole file; payload_too_large beyond `bytes_max`.
result<std::string> read_file(const std::filesystem::path& file, std::size_t bytes_max);
// Replaces the file as one atomic step: afterwards it has the old content or the new one, whatever happens.
result<void> write_file(const std::filesystem::path& file, std::string_view content, mode_t mode);

} // namespace mooring::storage
