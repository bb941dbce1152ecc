#include "graphql/schema.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "base/check.hpp"
#include "graphql/error_list.hpp"
#include "graphql/introspection_sdl.hpp"
#include "graphql/parser.hpp"
#include "graphql/schema_builder.hpp"
#include "graphql/schema_rules.hpp"
#include "graphql/sdl_rules.hpp"

namespace mooring::graphql {

namespace {

constexpr std::uint32_t errors_max = 100;

template<class T> const T* member(const std::vector<T>& members, std::uint32_t ordinal) {
  return ordinal < members.size() ? &members[ordinal] : nullptr;
}

} // namespace

const input_value* field::find_argument(std::string_view argument) const {
  return member(arguments, argument_ordinals.find(argument));
}

const field* type::find_field(std::string_view field) const {
  return member(fields, member_ordinals.find(field));
}

const enum_value* type::find_value(std::string_view value) const {
  return member(values, member_ordinals.find(value));
}

const input_value* type::find_input_field(std::string_view input_field) const {
  return member(input_fields, member_ordinals.find(input_field));
}

bool directive::allowed_at(directive_location location) const {
  return std::find(locations.begin(), locations.end(), location) != locations.end();
}

const input_value* directive::find_argument(std::string_view argument) const {
  for (const auto& candidate : arguments)
    if (candidate.name == argument) return &candidate;
  return nullptr;
}

schema::schema() = default;
schema::~schema() = default;

const type* schema::find_type(std::string_view name) const {
  return member(types_, type_ids_.find(name));
}

const field* schema::find_field(const graphql::type& parent, std::string_view name) const {
  if (name.starts_with("__")) {
    if (name == "__typename" && parent.is_composite()) return &typename_field_;
    if (parent.id == root(ast::operation_kind::query)) {
      if (name == "__schema") return &schema_field_;
      if (name == "__type") return &type_field_;
    }
  }
  return parent.find_field(name);
}

const directive* schema::find_directive(std::string_view name) const {
  return member(directives_, directive_numbers_.find(name));
}

bool schema::is_possible_type(type_id abstract, type_id object) const {
  return (possible_[abstract * possible_row_words_ + object / 64] >> (object % 64) & 1) != 0;
}

bool schema::types_overlap(type_id a, type_id b) const {
  if (a == b) return true;
  const auto* row_a = &possible_[a * possible_row_words_];
  const auto* row_b = &possible_[b * possible_row_words_];
  for (std::size_t i = 0; i < possible_row_words_; ++i)
    if ((row_a[i] & row_b[i]) != 0) return true;
  return false;
}

bool schema::is_sub_type(type_use sub, type_use super) const {
  for (;;) {
    if (sub == super) return true;
    if (super.is_non_null()) {
      if (!sub.is_non_null()) return false;
      super = super.of();
      sub = sub.of();
    } else if (sub.is_non_null()) {
      sub = sub.of();
    } else if (super.is_list() && sub.is_list()) {
      super = super.of();
      sub = sub.of();
    } else {
      break;
    }
  }
  if (super.is_list() || sub.is_list()) return false;
  const auto& abstract = named_type(super);
  const auto& concrete = named_type(sub);
  if (abstract.kind == type_kind::union_type)
    return concrete.kind == type_kind::object && is_possible_type(abstract.id, concrete.id);
  if (abstract.kind != type_kind::interface) return false;
  return std::find(concrete.interfaces.begin(), concrete.interfaces.end(), abstract.id) !=
         concrete.interfaces.end();
}

std::string schema::to_string(type_use use) const {
  if (use.is_non_null()) return to_string(use.of()) + "!";
  if (use.is_list()) return "[" + to_string(use.of()) + "]";
  return std::string(named_type(use).name);
}

schema_outcome check_schema(std::string sdl) {
  schema_outcome outcome;
  auto parsed = parse(std::move(sdl), parse_options::trusted());
  if (!parsed) {
    outcome.errors.push_back(std::move(parsed.error));
    return outcome;
  }
  auto built_in = parse(std::string(introspection_sdl), parse_options::trusted());
  MOORING_CHECK(built_in, "the built-in types are written correctly");
  const auto& document = *parsed.document;
  error_list errors(document, errors_max);
  check_sdl(document, *built_in.document, errors);
  if (errors.empty()) {
    schema_builder builder;
    auto built = builder.build(std::move(parsed.document), std::move(built_in.document));
    check_types(*built, document, builder.nodes(), errors);
    if (errors.empty()) outcome.schema = std::move(built);
    outcome.errors = errors.take();
  } else {
    outcome.errors = errors.take();
  }
  return outcome;
}

result<std::unique_ptr<const schema>> build_schema(std::string sdl) {
  auto outcome = check_schema(std::move(sdl));
  if (outcome) return std::move(outcome.schema);
  const auto& first = outcome.errors.front();
  auto message = first.locations.empty() ? first.message
                                         : fmt::format("line {}: {}", first.locations[0].line, first.message);
  return error{error_code::bad_user_input, std::move(message)};
}

} // namespace mooring::graphql
