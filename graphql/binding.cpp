#include "graphql/binding.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "graphql/introspection.hpp"
#include "graphql/schema.hpp"

namespace mooring::graphql {

namespace {

constexpr std::uint32_t unknown = 0xffffffff;

std::string_view name_of(cpp_kind kind) {
  switch (kind) {
  case cpp_kind::boolean: return "bool";
  case cpp_kind::integer: return "an integer";
  case cpp_kind::number: return "a floating point number";
  case cpp_kind::string: return "text";
  case cpp_kind::instant: return "an instant";
  case cpp_kind::document: return "a document";
  case cpp_kind::enumeration: return "an enum";
  case cpp_kind::object: return "a class";
  case cpp_kind::optional: return "an optional";
  case cpp_kind::pointer: return "a pointer";
  case cpp_kind::list: return "a list";
  }
  return "";
}

bool is_root(const schema& in, type_id type) {
  return type == in.root(ast::operation_kind::query) || type == in.root(ast::operation_kind::mutation) ||
         type == in.root(ast::operation_kind::subscription);
}

} // namespace

bindings::bindings(const schema& of)
    : schema_(of) {
  objects_.resize(of.types().size());
  enums_.resize(of.types().size());
  abstracts_.resize(of.types().size());
  roots_.resize(of.types().size());
  bind_introspection(*this);
}

std::uint32_t bindings::add_object(std::string_view name, const void* identity) {
  const auto* type = schema_.find_type(name);
  if (type == nullptr || type->kind != type_kind::object) {
    mistakes_.push_back("\"" + std::string(name) +
                        "\" is bound as an object type, which the schema does not have");
    return unknown;
  }
  if (is_root(schema_, type->id)) {
    mistakes_.push_back(std::string(name) + " is a root: its fields are bound with root()");
    return unknown;
  }
  if (objects_[type->id]) mistakes_.push_back(std::string(name) + " is bound twice");
  objects_[type->id].emplace();
  objects_[type->id]->identity = identity;
  objects_[type->id]->fields.resize(type->fields.size());
  return type->id;
}

void bindings::add_field(std::uint32_t type, std::string_view name, field_binding how) {
  if (type == unknown) return;
  const auto& in = schema_.type(type);
  const auto* field = in.find_field(name);
  const auto full = std::string(in.name) + "." + std::string(name);
  if (field == nullptr) {
    mistakes_.push_back(full + " is bound, but the schema does not have it");
    return;
  }
  auto& to = objects_[type]->fields[field->ordinal];
  if (to.write != nullptr) mistakes_.push_back(full + " is bound twice");
  to = how;
}

void bindings::add_enumeration(std::string_view name, const void* identity,
                               const std::vector<std::pair<std::uint64_t, std::string_view>>& values) {
  const auto* type = schema_.find_type(name);
  if (type == nullptr || type->kind != type_kind::enumeration) {
    mistakes_.push_back("\"" + std::string(name) + "\" is bound as an enum, which the schema does not have");
    return;
  }
  constexpr std::uint64_t values_max = 256;
  if (enums_[type->id]) mistakes_.push_back(std::string(name) + " is bound twice");
  auto& to = enums_[type->id].emplace();
  to.identity = identity;
  to.cpp_values.resize(type->values.size(), values_max);
  for (const auto& [is, called] : values) {
    MOORING_CHECK(is < values_max, "a bound enumerator is below 256");
    const auto* value = type->find_value(called);
    const auto full = std::string(name) + "." + std::string(called);
    if (value == nullptr) {
      mistakes_.push_back(full + " is bound, but the schema does not have it");
      continue;
    }
    if (to.quoted.size() <= is) to.quoted.resize(is + 1);
    if (!to.quoted[is].empty())
      mistakes_.push_back(full + ": enumerator " + std::to_string(is) + " is bound to two names");
    to.quoted[is] = "\"" + std::string(called) + "\"";
    if (to.cpp_values[value->ordinal] == values_max) to.cpp_values[value->ordinal] = is;
  }
  for (const auto& value : type->values)
    if (to.cpp_values[value.ordinal] == values_max)
      mistakes_.push_back(std::string(name) + "." + std::string(value.name) + " has no enumerator");
}

void bindings::add_abstract(std::string_view name, abstract_bound how) {
  const auto* type = schema_.find_type(name);
  if (type == nullptr || !type->is_abstract()) {
    mistakes_.push_back("\"" + std::string(name) +
                        "\" is bound as an abstract type, which the schema does not have");
    return;
  }
  if (abstracts_[type->id]) mistakes_.push_back(std::string(name) + " is bound twice");
  for (const auto& each : how.names) {
    const auto* possible = schema_.find_type(each);
    if (possible == nullptr || !schema_.is_possible_type(type->id, possible->id))
      mistakes_.push_back(std::string(name) + " is bound to \"" + each + "\", which is none of its types");
  }
  for (const auto id : type->possible_types)
    if (std::find(how.names.begin(), how.names.end(), schema_.type(id).name) == how.names.end())
      mistakes_.push_back(std::string(name) + " is not resolved to its type " +
                          std::string(schema_.type(id).name));
  abstracts_[type->id] = std::move(how);
}

void bindings::add_root(std::string_view type_name, std::string_view field_name, root_bound how) {
  const auto* type = schema_.find_type(type_name);
  if (type == nullptr || !is_root(schema_, type->id)) {
    mistakes_.push_back("\"" + std::string(type_name) + "\" is no root of the schema");
    return;
  }
  if (type->id == schema_.root(ast::operation_kind::subscription)) {
    mistakes_.push_back(std::string(type_name) +
                        " is the root of subscriptions: its fields are bound with stream()");
    return;
  }
  add_resolver(*type, field_name, std::move(how));
}

void bindings::add_stream(std::string_view field_name, root_bound how) {
  const auto root = schema_.root(ast::operation_kind::subscription);
  if (root == no_type) {
    mistakes_.push_back("\"" + std::string(field_name) +
                        "\" is bound with stream(), but the schema has no subscriptions");
    return;
  }
  add_resolver(schema_.type(root), field_name, std::move(how));
}

void bindings::add_resolver(const type& root, std::string_view field_name, root_bound how) {
  const auto full = std::string(root.name) + "." + std::string(field_name);
  const auto* field = root.find_field(field_name);
  if (field == nullptr) {
    mistakes_.push_back(full + " has a resolver, but the schema does not have it");
    return;
  }
  auto& all = roots_[root.id];
  all.resize(root.fields.size());
  if (all[field->ordinal].bound()) mistakes_.push_back(full + " has two resolvers");
  if (!how.bound()) mistakes_.push_back(full + " has an empty resolver");
  all[field->ordinal] = std::move(how);
}

const enum_bound& bindings::enum_of(const void* identity) const {
  for (const auto& each : enums_)
    if (each && each->identity == identity) return *each;
  MOORING_CHECK(false, "the C++ enum is bound to an enum of the schema");
}

const object_bound* bindings::object_of(std::uint32_t type) const {
  return objects_[type] ? &*objects_[type] : nullptr;
}
const enum_bound* bindings::enumeration_of(std::uint32_t type) const {
  return enums_[type] ? &*enums_[type] : nullptr;
}
const abstract_bound* bindings::abstract_of(std::uint32_t type) const {
  return abstracts_[type] ? &*abstracts_[type] : nullptr;
}
const root_bound* bindings::root_of(std::uint32_t type, std::uint32_t field) const {
  return field < roots_[type].size() && roots_[type][field].bound() ? &roots_[type][field] : nullptr;
}

namespace {

// Does the C++ type fit the schema's? Says why not.
class fitting {
 public:
  explicit fitting(const bindings& bound)
      : bound_(bound)
      , schema_(bound.of())
      , custom_(schema_.types().size()) {}

  // Empty: it fits.
  std::string misfit(const std::string& where, type_use use, const cpp_type& is) {
    const auto inner = use.nullable();
    if (is.kind == cpp_kind::optional) {
      if (use.is_non_null()) return "is never null, but an optional stands for it";
      return misfit(where, inner, *is.inner);
    }
    if (is.kind == cpp_kind::pointer) return misfit(where, inner, *is.inner);
    if (inner.is_list()) {
      if (is.kind != cpp_kind::list)
        return "is a list, but " + std::string(name_of(is.kind)) + " stands for it";
      return misfit(where, inner.of(), *is.inner);
    }
    const auto& named = schema_.type(inner.named());
    const auto wrong = [&] {
      return "is of type " + std::string(named.name) + ", for which " + std::string(name_of(is.kind)) +
             " cannot stand";
    };
    switch (named.kind) {
    case type_kind::scalar: return scalar_fits(where, named, is.kind, use.is_non_null(), wrong());
    case type_kind::enumeration: {
      const auto* bound = bound_.enumeration_of(named.id);
      if (is.kind != cpp_kind::enumeration) return wrong();
      if (bound == nullptr) return {}; // said once, of the enum
      return bound->identity == is.identity ? "" : "is of another C++ enum than " + std::string(named.name);
    }
    case type_kind::object: {
      const auto* bound = bound_.object_of(named.id);
      if (is.kind != cpp_kind::object) return wrong();
      if (bound == nullptr) return {};
      return bound->identity == is.identity ? "" : "is of another C++ class than " + std::string(named.name);
    }
    case type_kind::interface:
    case type_kind::union_type: {
      const auto* bound = bound_.abstract_of(named.id);
      if (is.kind != cpp_kind::object) return wrong();
      if (bound == nullptr) return {};
      return bound->identity == is.identity ? "" : "is of another C++ class than " + std::string(named.name);
    }
    case type_kind::input_object: break;
    }
    return wrong();
  }

 private:
  std::string scalar_fits(const std::string& where, const type& named, cpp_kind is, bool non_null,
                          std::string wrong) {
    switch (named.scalar) {
    case scalar_kind::boolean: return is == cpp_kind::boolean ? "" : wrong;
    case scalar_kind::integer: return is == cpp_kind::integer ? "" : wrong;
    case scalar_kind::floating: return is == cpp_kind::number || is == cpp_kind::integer ? "" : wrong;
    case scalar_kind::string: return is == cpp_kind::string ? "" : wrong;
    case scalar_kind::id: return is == cpp_kind::string || is == cpp_kind::integer ? "" : wrong;
    case scalar_kind::custom: break;
    }
    if (is == cpp_kind::document && non_null)
      return "is never null, but a document, which may be absent, stands for it";
    if (is != cpp_kind::string && is != cpp_kind::instant && is != cpp_kind::document) return wrong;
    // A custom scalar has one form: whatever C++ type its first field has, all have.
    auto& first = custom_[named.id];
    if (first.where.empty()) first = {where, is};
    if (first.kind == is) return {};
    return "is of type " + std::string(named.name) + ", for which " + std::string(name_of(is)) +
           " stands here, but " + std::string(name_of(first.kind)) + " in " + first.where;
  }

  struct first_use {
    std::string where;
    cpp_kind kind = cpp_kind::string;
  };
  const bindings& bound_;
  const schema& schema_;
  std::vector<first_use> custom_;
};

} // namespace

std::vector<std::string> bindings::check() const {
  auto out = mistakes_;
  fitting fits(*this);
  for (const auto& type : schema_.types()) {
    const auto name = std::string(type.name);
    // An enum that only input uses is needed too: resolvers turn arguments into it.
    if (type.kind == type_kind::enumeration && !enums_[type.id])
      out.push_back(name + " is not bound to a C++ enum");
    if (type.is_abstract() && !abstracts_[type.id]) out.push_back(name + " is not bound to a C++ class");
    if (type.kind != type_kind::object) continue;
    const bool root = is_root(schema_, type.id);
    if (!root && !objects_[type.id]) {
      out.push_back(name + " is not bound to a C++ class");
      continue;
    }
    for (const auto& field : type.fields) {
      const auto where = name + "." + std::string(field.name);
      const cpp_type* is = nullptr;
      if (root) {
        if (const auto* bound = root_of(type.id, field.ordinal)) is = bound->type;
      } else {
        const auto& bound = objects_[type.id]->fields[field.ordinal];
        is = bound.type;
        if (bound.write != nullptr && !field.arguments.empty() && !bound.takes_context)
          out.push_back(where + " takes arguments, which its binding does not look at");
      }
      if (is == nullptr) {
        out.push_back(where + (root ? " has no resolver" : " is not bound"));
        continue;
      }
      if (const auto why = fits.misfit(where, field.type, *is); !why.empty())
        out.push_back(where + " " + why);
    }
  }
  return out;
}

} // namespace mooring::graphql
