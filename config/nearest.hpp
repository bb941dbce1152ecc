// "Did you mean …?": the known word that is nearest to what was typed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mooring::config {

// By the number of letters to insert, remove or replace; the first of equals. Empty when nothing is known.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

} // namespace mooring::config
