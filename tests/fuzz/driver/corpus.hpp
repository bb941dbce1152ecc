// Reading seeds and dictionaries.
#pragma once

#include <string>
#include <vector>

namespace mooring::fuzz {

// The content of every regular file of the folder, in the order of their names; nothing when there is no
// folder.
std::vector<std::string> read_folder(const std::string& folder);

// False when the file cannot be read.
bool read_file(const std::string& path, std::string& content);
bool write_file(const std::string& path, const std::string& content);

// libFuzzer's form: one "token" a line, perhaps after `name=`, with \\, \" and \xNN; # begins a comment.
// False with `why` when the file cannot be read or a line has another form.
bool read_dictionary(const std::string& path, std::vector<std::string>& tokens, std::string& why);

} // namespace mooring::fuzz
