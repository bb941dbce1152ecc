// "Did you mean …?": which of the known names a mistyped one may stand for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mooring::graphql {

// The options within an edit distance of 0.4 of the input's length + 1 (insertions, deletions, substitutions
// and swaps of neighbours; a difference of case alone counts 1), nearest first, then in natural order; each
// once.
std::vector<std::string_view> suggestions(std::string_view input,
                                          const std::vector<std::string_view>& options);

// ` Did you mean "a", "b", or "c"?`, of the first five; nothing for none. `what` stands before the names.
std::string did_you_mean(const std::vector<std::string_view>& names, std::string_view what = {});

// Order of names as people expect it: digits compare as numbers. Negative, zero or positive.
int natural_compare(std::string_view a, std::string_view b);

} // namespace mooring::graphql
