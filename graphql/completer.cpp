#include "graphql/completer.hpp"

#include <cmath>
#include <limits>

#include "graphql/plan.hpp"

namespace mooring::graphql {

namespace {

void append_path(std::string& out, const path_step* at) {
  if (at->parent != nullptr) {
    append_path(out, at->parent);
    out.push_back(',');
  }
  if (at->field != nullptr)
    append_json_string(out, at->field->response_name);
  else
    append_json_integer(out, static_cast<std::int64_t>(at->index));
}

std::string name_of(const plan_field& field) {
  return std::string(field.parent->name) + "." + std::string(field.declared->name);
}

} // namespace

completion completer::integer(const plan_field& field, std::int64_t is) {
  if (field.scalar == scalar_kind::integer) {
    if (is < std::numeric_limits<std::int32_t>::min() || is > std::numeric_limits<std::int32_t>::max())
      return fail(field, error_code::internal,
                  "Int cannot represent non 32-bit signed integer value: " + std::to_string(is));
    append_json_integer(out, is);
  } else if (field.scalar == scalar_kind::id) {
    out.push_back('"');
    append_json_integer(out, is);
    out.push_back('"');
  } else {
    append_json_integer(out, is);
  }
  return completion::written;
}

completion completer::unsigned_integer(const plan_field& field, std::uint64_t is) {
  if (is <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return integer(field, static_cast<std::int64_t>(is));
  if (field.scalar == scalar_kind::integer)
    return fail(field, error_code::internal,
                "Int cannot represent non 32-bit signed integer value: " + std::to_string(is));
  const bool quoted = field.scalar == scalar_kind::id;
  if (quoted) out.push_back('"');
  out.append(std::to_string(is));
  if (quoted) out.push_back('"');
  return completion::written;
}

completion completer::number(const plan_field& field, double is) {
  if (!std::isfinite(is))
    return fail(field, error_code::internal,
                "Float cannot represent non numeric value: " + std::to_string(is));
  append_json_number(out, is);
  return completion::written;
}

completion completer::json(const document& is) {
  if (is.absent() || kind_of(is.bytes) == document_kind::null) return completion::null;
  append_json(out, is.bytes);
  return completion::written;
}

completion completer::enumeration(const plan_field& field, std::uint64_t is) {
  const auto& quoted = field.names->quoted;
  if (is >= quoted.size() || quoted[is].empty())
    return fail(field, error_code::internal,
                "Enum \"" + std::string(field.declared->name) + "\" cannot represent value " +
                    std::to_string(is));
  out.append(quoted[is]);
  return completion::written;
}

completion completer::object(const plan_field& field, const void* is) {
  if (field.abstract == nullptr) return selection(field.selections[0].fields, is);
  const auto found = field.abstract->resolve(is);
  if (found.object == nullptr) return completion::null;
  if (found.index >= field.selections.size() || found.identity != field.selections[found.index].identity)
    return fail(field, error_code::internal, "the abstract type was resolved to a type that is not bound");
  return selection(field.selections[found.index].fields, found.object);
}

completion completer::one(const plan_field& field, const void* object) {
  if (out.size() > output_bytes_max) {
    // Once it is too large, everything that follows fails at once and in silence: cutting the string back
    // must not make room for more of the same.
    if (output_bytes_max == 0) return completion::failed;
    output_bytes_max = 0;
    return fail(field, error_code::query_too_complex, "The answer is too large.");
  }
  if (!field.arguments_constant)
    if (auto why = arguments_.coerce_arguments(field)) {
      fail(field, error_code::bad_user_input, std::move(why->message));
      errors.back().offset = why->offset;
      return completion::failed;
    }
  return field.write(*this, field, object);
}

completion completer::selection(std::span<const plan_field> fields, const void* is) {
  const auto before = out.size();
  out.push_back('{');
  path_step here{path, nullptr, 0};
  path = &here;
  for (const auto& field : fields) {
    here.field = &field;
    out.append(field.key);
    const auto ended = one(field, is);
    if (ended == completion::written) continue;
    if ((field.non_null & 1) != 0) {
      if (ended == completion::null)
        fail(field, error_code::internal,
             "Cannot return null for non-nullable field " + name_of(field) + ".");
      out.resize(before);
      path = here.parent;
      return completion::failed;
    }
    out.append("null");
  }
  path = here.parent;
  out.push_back('}');
  return completion::written;
}

bool completer::item_may_be_null(const plan_field& field, unsigned depth, completion ended) {
  if ((field.non_null >> depth & 1) == 0) {
    out.append("null");
    return true;
  }
  if (ended == completion::null)
    fail(field, error_code::internal, "Cannot return null for non-nullable field " + name_of(field) + ".");
  return false;
}

completion completer::fail(const plan_field& field, error_code code, std::string message) {
  execution_error out_error{code, std::move(message), &field, "["};
  if (path != nullptr) append_path(out_error.path, path);
  out_error.path.push_back(']');
  errors.push_back(std::move(out_error));
  return completion::failed;
}

} // namespace mooring::graphql
