// "Field selections can be merged" (October 2021, 5.3.2, rule OverlappingFieldsCanBeMerged). Internal to
// graphql/.
//
// Every two fields that may meet under one response name must be the same field with the same arguments and
// mergeable selections. Selection sets are compared pairwise; fragments are compared as wholes and each pair
// of them once (Xing's algorithm, as in graphql-js), so the work does not explode with nested spreads. What
// is left is quadratic at worst and has a budget; a document over it is refused as too complex.
#pragma once

#include <cstdint>
#include <vector>

#include "graphql/ast.hpp"
#include "graphql/error_list.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql {

// `fragments`: the fragment that each spread means, by the spread's selection index; nullptr: none.
void check_overlapping_fields(const schema& schema, const ast::document& document,
                              const std::vector<const ast::fragment*>& fragments,
                              std::uint32_t comparisons_max, error_list& errors);

} // namespace mooring::graphql
