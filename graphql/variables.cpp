#include <charconv>
#include <cmath>
#include <limits>

#include "base/json_writer.hpp"
#include "graphql/coercion.hpp"
#include "graphql/inspect.hpp"
#include "graphql/json_scalar.hpp"
#include "graphql/suggestions.hpp"

namespace mooring::graphql {

namespace {

using kind = input_types::kind;

// Where in a variable's value we are; a chain on the stack, read only when there is something to complain
// about.
struct step {
  const step* parent;
  std::string_view key; // empty data pointer: an index
  std::size_t index;
};

void append_path(std::string& out, const step* at) {
  if (at == nullptr) return;
  append_path(out, at->parent);
  if (at->key.data() != nullptr) {
    out.push_back('.');
    out.append(shortened(at->key));
  } else {
    out.push_back('[');
    append_json_integer(out, static_cast<std::int64_t>(at->index));
    out.push_back(']');
  }
}

class coercion {
 public:
  coercion(const input_types& types, request_arena& to, const variable_options& options,
           std::vector<variable_fault>& faults)
      : types_(types)
      , to_(to)
      , options_(options)
      , faults_(faults) {}

  void begin(const variable& declared) { declared_ = &declared; }
  bool full() const { return full_; }

  void fault(std::string message) {
    if (full_) return;
    if (faults_.size() >= options_.errors_max) {
      faults_.push_back({"Too many errors processing variables, error limit reached. Execution aborted.", 0});
      full_ = true;
      return;
    }
    faults_.push_back({std::move(message), declared_->offset});
  }

  // Written in place: a value that travels by return is read back before its parts have left the store
  // buffer.
  void coerce(type_use type, const json_value& given, const step* at, value& to) {
    const auto found = given.kind();
    if (type.is_non_null()) {
      if (found == json_kind::null)
        return wrong(given, at, to,
                     "Expected non-nullable type \"" + types_.schema().to_string(type) +
                         "\" not to be null.");
      type = type.of();
    }
    if (found == json_kind::null) {
      to = value::make_null();
      return;
    }
    if (type.is_list()) return list(type.of(), given, found, at, to);
    const auto named = type.named();
    switch (types_.kind_of(named)) {
    case kind::boolean:
      if (found != json_kind::boolean)
        return wrong(given, at, to, "Boolean cannot represent a non boolean value: " + inspect(given));
      to = value::make_boolean(given.boolean());
      return;
    case kind::string:
      if (found != json_kind::string)
        return wrong(given, at, to, "String cannot represent a non string value: " + inspect(given));
      to = value::make_string(text(given.string()));
      return;
    case kind::opaque_string:
      if (found != json_kind::string)
        return wrong(given, at, to,
                     std::string(types_.schema().type(named).name) +
                         " cannot represent a non string value: " + inspect(given));
      to = value::make_string(text(given.string()));
      return;
    case kind::integer: return integer(given, found, at, to);
    case kind::number:
      if (found != json_kind::integer && found != json_kind::unsigned_integer && found != json_kind::number)
        return wrong(given, at, to, "Float cannot represent non numeric value: " + inspect(given));
      to = value::make_number(given.number());
      return;
    case kind::id: return id(given, found, at, to);
    case kind::enumeration: return enumeration(types_.schema().type(named), given, found, at, to);
    case kind::json_document:
      if (const auto is = json_of(to_, given, false)) {
        to = *is;
        return;
      }
      return wrong(given, at, to,
                   "Expected type \"" + std::string(types_.schema().type(named).name) +
                       "\". It is nested deeper than " + std::to_string(document_depth_max) + ".");
    case kind::json_any_depth: to = *json_of(to_, given, true); return;
    case kind::object: return object(named, given, found, at, to);
    case kind::none: break;
    }
    MOORING_CHECK(false, "a variable has an input type, validation saw to it");
  }

 private:
  void list(type_use item_type, const json_value& given, json_kind found, const step* at, value& to) {
    if (found != json_kind::array) { // a single value stands for a list of one
      auto items = to_.array<value>(1);
      coerce(item_type, given, at, items[0]);
      to = value::make_list(items);
      return;
    }
    auto items = to_.array<value>(given.size());
    step here{at, {}, 0};
    given.for_each_element([&](json_value item) {
      if (full_) return;
      coerce(item_type, item, &here, items[here.index]);
      ++here.index;
    });
    to = value::make_list(items);
  }

  void object(type_id type, const json_value& given, json_kind found, const step* at, value& to) {
    if (found != json_kind::object)
      return wrong(given, at, to,
                   "Expected type \"" + std::string(types_.schema().type(type).name) + "\" to be an object.");
    const auto declared = types_.fields_of(type);
    auto fields = to_.array<value>(declared.size());
    step here{at, {}, 0};
    std::string seen; // of the whole object, made once however many of its fields are wrong: it may be large
    const auto complain = [&](value& about, const std::string& why) {
      if (full_) return;
      if (seen.empty()) seen = inspect(given);
      wrong_as(seen, at, about, why);
    };
    // Clients write the members of an object in one order, nearly always the schema's, leaving some out: the
    // next few fields are tried before the table is asked.
    std::size_t next = 0;
    given.for_each_member([&](std::string_view name, json_value member) {
      if (full_) return;
      auto ordinal = declared.size();
      const auto until = next + 3 < declared.size() ? next + 3 : declared.size();
      for (auto guess = next; guess < until; ++guess)
        if (declared[guess].name == name) {
          ordinal = guess;
          break;
        }
      if (ordinal == declared.size()) {
        const auto number = types_.schema().type(type).member_ordinals.find(name);
        if (number == name_table::absent) {
          value nowhere;
          complain(nowhere, unknown_field(type, name));
          return;
        }
        ordinal = number;
      }
      next = ordinal + 1;
      if (!fields[ordinal].absent()) return; // a duplicate member: the first counts
      here.key = name;
      coerce(declared[ordinal].type, member, &here, fields[ordinal]);
    });
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (!fields[i].absent()) continue;
      if (declared[i].required)
        complain(fields[i], "Field \"" + std::string(declared[i].name) + "\" of required type \"" +
                                types_.schema().to_string(declared[i].type) + "\" was not provided.");
      else
        fields[i] = declared[i].fallback;
    }
    to = value::make_object(fields);
  }

  std::string unknown_field(type_id type, std::string_view name) const {
    const auto& in = types_.schema().type(type);
    return "Field \"" + shortened(name) + "\" is not defined by type \"" + std::string(in.name) + "\"." +
           near(in.input_fields, name);
  }

  // " Did you mean …?", for names short enough to compare.
  template<class Members>
  static std::string near(const Members& members, std::string_view name, std::string_view what = {}) {
    if (name.size() > inspect_bytes_max) return {};
    std::vector<std::string_view> names;
    for (const auto& each : members) names.push_back(each.name);
    return did_you_mean(suggestions(name, names), what);
  }

  void integer(const json_value& given, json_kind found, const step* at, value& to) {
    constexpr std::int64_t least = std::numeric_limits<std::int32_t>::min();
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
    switch (found) {
    case json_kind::integer:
      if (given.integer() >= least && given.integer() <= most) {
        to = value::make_integer(static_cast<std::int32_t>(given.integer()));
        return;
      }
      break;
    case json_kind::unsigned_integer: break;
    case json_kind::number: { // 1.0 and 1e3 are integers
      const auto is = given.number();
      if (std::trunc(is) != is)
        return wrong(given, at, to, "Int cannot represent non-integer value: " + inspect(given));
      if (is >= static_cast<double>(least) && is <= static_cast<double>(most)) {
        to = value::make_integer(static_cast<std::int32_t>(is));
        return;
      }
      break;
    }
    default: return wrong(given, at, to, "Int cannot represent non-integer value: " + inspect(given));
    }
    return wrong(given, at, to, "Int cannot represent non 32-bit signed integer value: " + inspect(given));
  }

  void id(const json_value& given, json_kind found, const step* at, value& to) {
    if (found == json_kind::string) {
      to = value::make_string(text(given.string()));
      return;
    }
    const bool whole = found == json_kind::integer || found == json_kind::unsigned_integer ||
                       (found == json_kind::number && std::trunc(given.number()) == given.number());
    if (!whole) return wrong(given, at, to, "ID cannot represent value: " + inspect(given));
    std::string digits;
    append_js_number(digits, given);
    to = value::make_string(to_.copy(digits));
  }

  void enumeration(const graphql::type& type, const json_value& given, json_kind found, const step* at,
                   value& to) {
    if (found != json_kind::string)
      return wrong(given, at, to,
                   "Enum \"" + std::string(type.name) + "\" cannot represent non-string value: " +
                       inspect(given) + "." + near(type.values, inspect(given), "the enum value"));
    const auto ordinal = type.member_ordinals.find(given.string());
    if (ordinal == name_table::absent)
      return wrong(given, at, to,
                   "Value \"" + shortened(given.string()) + "\" does not exist in \"" +
                       std::string(type.name) + "\" enum." +
                       near(type.values, given.string(), "the enum value"));
    to = value::make_enumeration(ordinal);
  }

  // Records a fault; the null that it leaves keeps the object's shape until the request is refused.
  void wrong(const json_value& given, const step* at, value& to, const std::string& why) {
    if (full_)
      to = value::make_null();
    else
      wrong_as(inspect(given), at, to, why);
  }
  void wrong_as(const std::string& given, const step* at, value& to, const std::string& why) {
    to = value::make_null();
    if (full_) return;
    std::string message = "Variable \"$";
    message.append(declared_->name).append("\" got invalid value ").append(given);
    if (at != nullptr) {
      message.append(" at \"").append(declared_->name);
      append_path(message, at);
      message.push_back('"');
    }
    fault(message.append("; ").append(why));
  }

  std::string_view text(std::string_view is) { return options_.copy_text ? to_.copy(is) : is; }

  const input_types& types_;
  request_arena& to_;
  const variable_options& options_;
  std::vector<variable_fault>& faults_;
  const variable* declared_ = nullptr;
  bool full_ = false;
};

} // namespace

std::span<const value> coerce_variables(const input_types& types, request_arena& to,
                                        const variable_scope& scope, const json_value& given,
                                        const variable_options& options,
                                        std::vector<variable_fault>& faults) {
  const auto count = scope.declared.size();
  if (count == 0) return {};
  auto values = to.array<value>(count);
  auto sources = to.array<json_value>(count);
  const bool some = !given.absent() && given.kind() != json_kind::null;
  if (some && given.kind() != json_kind::object) {
    faults.push_back({"\"variables\" must be an object.", 0});
    return {};
  }
  if (some) {
    std::size_t next = 0;
    given.for_each_member([&](std::string_view name, json_value member) {
      std::uint32_t number = name_table::absent;
      if (next < count && scope.declared[next].name == name)
        number = static_cast<std::uint32_t>(next);
      else
        number = scope.numbers->find(name);
      if (number == name_table::absent) return; // of another operation of the document, or of none
      next = number + 1;
      if (sources[number].absent()) sources[number] = member;
    });
  }
  coercion run(types, to, options, faults);
  for (std::size_t i = 0; i < count && !run.full(); ++i) {
    const auto& declared = scope.declared[i];
    run.begin(declared);
    if (sources[i].absent()) {
      if (declared.has_default)
        values[i] = declared.fallback;
      else if (declared.type.is_non_null())
        run.fault("Variable \"$" + std::string(declared.name) + "\" of required type \"" +
                  types.schema().to_string(declared.type) + "\" was not provided.");
    } else if (declared.type.is_non_null() && sources[i].kind() == json_kind::null) {
      run.fault("Variable \"$" + std::string(declared.name) + "\" of non-null type \"" +
                types.schema().to_string(declared.type) + "\" must not be null.");
    } else {
      run.coerce(declared.type, sources[i], nullptr, values[i]);
    }
  }
  return values;
}

} // namespace mooring::graphql
