// Bindings: which C++ value stands for which type of the schema, and who resolves the root fields.
//
// Written once at start, checked by `check()` (in a test and at start), then immutable and shared by all
// threads. A bound field is a function that a template stamped out: no std::function, no virtual call, no
// allocation per field.
//
//   bindings b(schema);
//   b.enumeration<sync::domain>("SyncDomainEnum", {{sync::domain::voice, "VOICE"}, …});
//   b.object<sync::item_result>("SyncItemResultType")
//       .field<&sync::item_result::item_id>("itemId")
//       .field<&sync::item_result::version>("version")                        // std::optional: nullable
//       .field<&sync::section_answer::success>("success")                     // a const member function
//       .field("success", [](const sync::section_answer& x) { return x.success(); })
//       .field("items", [](const view& x) -> const std::vector<sync::item_result>& { return x.part->items; })
//       .field("code", [](const T& x, const field_context& at) { … at.context … at.arguments … });
//   b.abstract<event>("SyncEvent", {"DataUpdateEvent", "CaughtUpEvent"},
//       [](const event& x) { return x.data ? concrete::of(0, x.data) : concrete::of(1, &x.caught_up); });
//   b.root<upload_view>("Mutation", "syncBatch", [](const field_call& call, responder answer) { … });
//   b.stream<event>("syncEvents", [](const field_call& call, auto writer, auto answer) { … });  // of
//   Subscription
//
// C++ types and what they may stand for:
//   bool → Boolean            integers → Int (range-checked), Float, ID      float, double → Float
//   std::string, string_view, const char* → String, ID, opaque strings       instant → DateTime
//   document → JSON (absent → null)                                          enums bound by `enumeration`
//   std::optional<T>, T*, shared_ptr<T>, unique_ptr<T> → nullable T          std::vector<T>, std::span<T>,
//   std::array → list any other class → the object or abstract type that it was bound to. One class may be
//   bound to several types.
// Functions may return values, references, pointers and views; a returned value lives until it is written.
// Lambdas must be captureless. std::optional and document do not fit a non-null type; a pointer may be used
// there, and a null one then is an error at run time.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "graphql/completer.hpp"
#include "graphql/resolved.hpp"
#include "graphql/subscription.hpp"

namespace mooring::graphql {

class schema;
struct type;

struct field_context {
  const void* context;              // what engine::execute was given
  std::span<const value> arguments; // of this field, by ordinal
};

// The concrete type behind an abstract one: its place in the list that `abstract` was given, and the object.
struct concrete {
  std::uint32_t index = 0;
  const void* object = nullptr; // null: the value is null
  const void* identity = nullptr;
  template<class T> static concrete of(std::uint32_t index, const T* object) {
    return {index, object, detail::identity_of<T>()};
  }
};

// ── C++ types as data, for check() ──
enum class cpp_kind : std::uint8_t {
  boolean,
  integer,
  number,
  string,
  instant,
  document,
  enumeration,
  object,
  optional,
  pointer,
  list
};
struct cpp_type {
  cpp_kind kind;
  const cpp_type* inner; // optional, pointer, list
  const void* identity;  // enumeration, object
};

namespace detail {

template<class T> struct is_optional : std::false_type {};
template<class T> struct is_optional<std::optional<T>> : std::true_type {};

template<class T> struct is_pointer_like : std::is_pointer<T> {};
template<class T> struct is_pointer_like<std::shared_ptr<T>> : std::true_type {};
template<class T, class D> struct is_pointer_like<std::unique_ptr<T, D>> : std::true_type {};

template<class T> struct is_list : std::false_type {};
template<class T, class A> struct is_list<std::vector<T, A>> : std::true_type {};
template<class T, std::size_t N> struct is_list<std::span<T, N>> : std::true_type {};
template<class T, std::size_t N> struct is_list<std::array<T, N>> : std::true_type {};

template<class T> inline constexpr bool is_text = std::is_convertible_v<const T&, std::string_view>;

template<class T> constexpr cpp_type describe();
template<class T> inline constexpr cpp_type described = describe<T>();

template<class T> constexpr cpp_type describe() {
  if constexpr (is_text<T>)
    return {cpp_kind::string, nullptr, nullptr};
  else if constexpr (is_optional<T>::value)
    return {cpp_kind::optional, &described<std::remove_cv_t<typename T::value_type>>, nullptr};
  else if constexpr (is_pointer_like<T>::value)
    return {cpp_kind::pointer, &described<std::remove_cvref_t<decltype(*std::declval<const T&>())>>, nullptr};
  else if constexpr (is_list<T>::value)
    return {cpp_kind::list, &described<std::remove_cv_t<typename T::value_type>>, nullptr};
  else if constexpr (std::is_same_v<T, bool>)
    return {cpp_kind::boolean, nullptr, nullptr};
  else if constexpr (std::is_integral_v<T>)
    return {cpp_kind::integer, nullptr, nullptr};
  else if constexpr (std::is_floating_point_v<T>)
    return {cpp_kind::number, nullptr, nullptr};
  else if constexpr (std::is_same_v<T, instant>)
    return {cpp_kind::instant, nullptr, nullptr};
  else if constexpr (std::is_same_v<T, document>)
    return {cpp_kind::document, nullptr, nullptr};
  else if constexpr (std::is_enum_v<T>)
    return {cpp_kind::enumeration, nullptr, identity_of<T>()};
  else {
    static_assert(std::is_class_v<T>, "this C++ type cannot stand for a GraphQL type");
    return {cpp_kind::object, nullptr, identity_of<T>()};
  }
}

template<class T>
completion write_value(completer& to, const plan_field& field, const T& is, unsigned depth) {
  if constexpr (is_text<T>) {
    if constexpr (std::is_pointer_v<T>) {
      if (is == nullptr) return completion::null;
    }
    return to.string(is);
  } else if constexpr (is_optional<T>::value || is_pointer_like<T>::value) {
    if (!is) return completion::null;
    return write_value<std::remove_cvref_t<decltype(*is)>>(to, field, *is, depth);
  } else if constexpr (is_list<T>::value) {
    const auto before = to.out.size();
    to.out.push_back('[');
    path_step here{to.path, nullptr, 0};
    to.path = &here;
    for (auto&& item : is) {
      if (here.index != 0) to.out.push_back(',');
      const auto ended = write_value<std::remove_cvref_t<decltype(item)>>(to, field, item, depth + 1);
      if (ended != completion::written && !to.item_may_be_null(field, depth + 1, ended)) {
        to.out.resize(before);
        to.path = here.parent;
        return completion::failed;
      }
      ++here.index;
    }
    to.path = here.parent;
    to.out.push_back(']');
    return completion::written;
  } else if constexpr (std::is_same_v<T, bool>) {
    return to.boolean(is);
  } else if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_signed_v<T> || sizeof(T) < 8)
      return to.integer(field, static_cast<std::int64_t>(is));
    else
      return to.unsigned_integer(field, is);
  } else if constexpr (std::is_floating_point_v<T>) {
    return to.number(field, static_cast<double>(is));
  } else if constexpr (std::is_same_v<T, instant>) {
    return to.at(is);
  } else if constexpr (std::is_same_v<T, document>) {
    return to.json(is);
  } else if constexpr (std::is_enum_v<T>) {
    return to.enumeration(field, static_cast<std::uint64_t>(is));
  } else {
    return to.object(field, &is);
  }
}

template<class T, class F>
decltype(auto) call_accessor(F&& f, completer& to, const plan_field& field, const void* object) {
  const auto& self = *static_cast<const T*>(object);
  if constexpr (std::is_invocable_v<F, const T&, const field_context&>)
    return std::invoke(f, self, field_context{to.context, to.arguments(field)});
  else
    return std::invoke(f, self);
}

template<class T, class F> struct accessor_result {
  static auto probe() {
    if constexpr (std::is_invocable_v<F, const T&, const field_context&>)
      return std::type_identity<std::invoke_result_t<F, const T&, const field_context&>>{};
    else
      return std::type_identity<std::invoke_result_t<F, const T&>>{};
  }
  using type = std::remove_cvref_t<typename decltype(probe())::type>;
};

template<class T, auto Member>
completion write_member(completer& to, const plan_field& field, const void* object) {
  decltype(auto) is = std::invoke(Member, *static_cast<const T*>(object));
  return write_value<std::remove_cvref_t<decltype(is)>>(to, field, is, 0);
}
template<class T, class F>
completion write_computed(completer& to, const plan_field& field, const void* object) {
  decltype(auto) is = call_accessor<T>(F{}, to, field, object);
  return write_value<std::remove_cvref_t<decltype(is)>>(to, field, is, 0);
}
template<class T> completion write_itself(completer& to, const plan_field& field, const void* object) {
  return write_value<T>(to, field, *static_cast<const T*>(object), 0);
}

} // namespace detail

struct field_binding {
  field_writer write = nullptr;
  const cpp_type* type = nullptr;
  bool takes_context = false;
};

struct object_bound {
  const void* identity = nullptr;
  std::vector<field_binding> fields; // by ordinal of the schema's field; write is null where nothing is bound
};

struct enum_bound {
  const void* identity = nullptr;
  std::vector<std::string> quoted;       // by C++ value: `"NAME"`; empty where there is none
  std::vector<std::uint64_t> cpp_values; // by ordinal of the schema's value
};

struct abstract_bound {
  const void* identity = nullptr;
  std::vector<std::string> names; // of the concrete types
  concrete (*resolve)(const void*) = nullptr;
};

struct root_bound {
  const cpp_type* type = nullptr;
  const void* identity = nullptr; // of the whole C++ value, lists and optionals included
  field_writer write = nullptr;
  resolver resolve;       // Query and Mutation
  stream_resolver stream; // Subscription
  bool bound() const { return resolve || stream; }
};

class bindings;

template<class T> class object_binder {
 public:
  object_binder(bindings& to, std::uint32_t type)
      : to_(to)
      , type_(type) {}

  // A data member or a const member function without arguments.
  template<auto Member> object_binder& field(std::string_view name) {
    using result = std::remove_cvref_t<decltype(std::invoke(Member, std::declval<const T&>()))>;
    add(name, {&detail::write_member<T, Member>, &detail::described<result>, false});
    return *this;
  }
  // A captureless lambda: f(const T&) or f(const T&, const field_context&).
  template<class F> object_binder& field(std::string_view name, F) {
    static_assert(std::is_empty_v<F> && std::is_default_constructible_v<F>,
                  "a bound function is a captureless lambda, without a + before it");
    using result = typename detail::accessor_result<T, F>::type;
    add(name, {&detail::write_computed<T, F>, &detail::described<result>,
               std::is_invocable_v<F, const T&, const field_context&>});
    return *this;
  }

 private:
  void add(std::string_view name, field_binding how);

  bindings& to_;
  std::uint32_t type_;
};

class bindings {
 public:
  // The schema outlives the bindings.
  explicit bindings(const schema& of);

  template<class T> object_binder<T> object(std::string_view name) {
    return {*this, add_object(name, detail::identity_of<T>())};
  }

  // REQUIRES: the enumerators' values are below 256. Several enumerators may have one name.
  template<class E>
  void enumeration(std::string_view name, std::initializer_list<std::pair<E, std::string_view>> values) {
    static_assert(std::is_enum_v<E>);
    std::vector<std::pair<std::uint64_t, std::string_view>> plain;
    for (const auto& [is, called] : values) plain.emplace_back(static_cast<std::uint64_t>(is), called);
    add_enumeration(name, detail::identity_of<E>(), plain);
  }

  template<class T, class F>
  void abstract(std::string_view name, std::vector<std::string> concrete_types, F) {
    static_assert(std::is_empty_v<F> && std::is_default_constructible_v<F>,
                  "resolve by a captureless lambda");
    add_abstract(name, {detail::identity_of<T>(), std::move(concrete_types),
                        [](const void* object) -> concrete { return F{}(*static_cast<const T*>(object)); }});
  }

  // `type` is "Query" or "Mutation" as the schema names them; T is what `resolve` answers with
  // (resolved::of<T>).
  template<class T> void root(std::string_view type, std::string_view field, resolver resolve) {
    add_root(
        type, field,
        {&detail::described<T>, detail::identity_of<T>(), &detail::write_itself<T>, std::move(resolve), {}});
  }
  // A field of the schema's root for subscriptions; T is the C++ type of its events (what
  // event_writer::write is given).
  template<class T> void stream(std::string_view field, stream_resolver resolve) {
    add_stream(
        field,
        {&detail::described<T>, detail::identity_of<T>(), &detail::write_itself<T>, {}, std::move(resolve)});
  }

  // The C++ enumerator of an argument (value::ordinal). REQUIRES: the enum is bound, once, as E.
  template<class E> E enumerator(std::uint32_t ordinal) const {
    return static_cast<E>(enum_of(detail::identity_of<E>()).cpp_values[ordinal]);
  }

  // Everything that is missing or does not fit the schema, one sentence each; empty when all is well. An
  // engine must not be made of bindings that do not check.
  std::vector<std::string> check() const;

  // For the planner.
  const schema& of() const { return schema_; }
  const object_bound* object_of(std::uint32_t type) const;
  const enum_bound* enumeration_of(std::uint32_t type) const;
  const abstract_bound* abstract_of(std::uint32_t type) const;
  const root_bound* root_of(std::uint32_t type, std::uint32_t field) const;

 private:
  template<class T> friend class object_binder;

  std::uint32_t add_object(std::string_view name, const void* identity);
  void add_field(std::uint32_t type, std::string_view name, field_binding how);
  void add_enumeration(std::string_view name, const void* identity,
                       const std::vector<std::pair<std::uint64_t, std::string_view>>& values);
  void add_abstract(std::string_view name, abstract_bound how);
  void add_root(std::string_view type, std::string_view field, root_bound how);
  void add_stream(std::string_view field, root_bound how);
  void add_resolver(const type& root, std::string_view field, root_bound how);
  const enum_bound& enum_of(const void* identity) const;

  const schema& schema_;
  // By type index of the schema; empty where a type is not of that kind or not bound.
  std::vector<std::optional<object_bound>> objects_;
  std::vector<std::optional<enum_bound>> enums_;
  std::vector<std::optional<abstract_bound>> abstracts_;
  std::vector<std::vector<root_bound>> roots_;
  std::vector<std::string> mistakes_; // made while binding: unknown names and the like
};

template<class T> void object_binder<T>::add(std::string_view name, field_binding how) {
  to_.add_field(type_, name, how);
}

} // namespace mooring::graphql
