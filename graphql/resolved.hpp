// What a root resolver is called with, and how it answers.
//
// Threads: a resolver runs on the thread of engine::execute (for mutations after the first: on the thread
// that answered the one before). It must not block. It answers through its responder, at once or later, from
// any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.hpp"
#include "graphql/value.hpp"

namespace mooring::graphql {

class execution;

namespace detail {
template<class T> inline constexpr char identity_anchor = 0;
// The same for the same C++ type, different for different ones.
template<class T> constexpr const void* identity_of() {
  return &identity_anchor<std::remove_cv_t<T>>;
}
} // namespace detail

// A root field's value with its type erased: null, a small value kept inside, or a shared immutable struct
// that is written when the last root field has answered. The C++ type must be the one that the root field was
// bound with (bindings::root<T>); another one is an INTERNAL error of that field.
class resolved {
 public:
  static resolved null() { return {}; }

  // Keeps a copy of the value (inside when it is as small as a pointer and trivial, else on the heap).
  template<class T> static resolved of(T value) {
    resolved out;
    out.identity_ = detail::identity_of<T>();
    if constexpr (fits_inside<T>) {
      new (out.inside_) T(value);
    } else {
      auto owner = std::make_shared<const T>(std::move(value));
      out.object_ = owner.get();
      out.owner_ = std::move(owner);
    }
    return out;
  }
  // Shares an immutable value, for example the one that is stored for replays. An empty pointer is null.
  template<class T> static resolved shared(std::shared_ptr<const T> value) {
    resolved out;
    if (value == nullptr) return out;
    out.identity_ = detail::identity_of<T>();
    out.object_ = value.get();
    out.owner_ = std::move(value);
    return out;
  }

  bool is_null() const { return identity_ == nullptr; }
  const void* identity() const { return identity_; }
  const void* object() const { return object_ != nullptr ? object_ : inside_; }

 private:
  template<class T>
  static constexpr bool fits_inside = std::is_trivially_copyable_v<T> && sizeof(T) <= 8 && alignof(T) <= 8;

  std::shared_ptr<const void> owner_;
  const void* object_ = nullptr;
  const void* identity_ = nullptr;
  alignas(8) std::byte inside_[8] = {};
};

// Answers one root field. Copyable; the first answer counts, later ones are ignored. When the last copy is
// dropped without an answer, the field fails with INTERNAL, so that no client waits for ever.
class responder {
 public:
  responder(std::shared_ptr<execution> run, std::size_t slot)
      : run_(std::move(run))
      , slot_(slot) {}
  void operator()(result<resolved> answer) const;

 private:
  std::shared_ptr<execution> run_;
  std::size_t slot_;
};

struct field_call {
  std::string_view field;           // the schema's name of the root field
  std::span<const value> arguments; // by ordinal of the argument in the schema; valid only during the call
  void* context;                    // what the caller of engine::execute gave; valid until the response
};

using resolver = std::function<void(const field_call&, responder)>;

} // namespace mooring::graphql
