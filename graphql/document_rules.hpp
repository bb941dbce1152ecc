// The validation rules that look at a document as a whole. Internal to graphql/.
#pragma once

#include "graphql/document_index.hpp"
#include "graphql/error_list.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql {

// UniqueOperationNames, LoneAnonymousOperation, UniqueFragmentNames
void check_names(const ast::document& document, error_list& errors);

// NoUnusedFragments, NoFragmentCycles
void check_fragments(const document_index& index, error_list& errors);

// NoUndefinedVariables, NoUnusedVariables, VariablesInAllowedPosition. REQUIRES: the usages are filled in.
void check_variables(const schema& schema, const document_index& index, error_list& errors);

// SingleFieldSubscriptions
void check_subscriptions(const schema& schema, const document_index& index, error_list& errors);

// The type that text in a document means; not valid() when there is no type of that name.
type_use resolve_type(const schema& schema, const ast::type& type);

} // namespace mooring::graphql
