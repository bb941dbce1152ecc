// result<T>: a value, or the expected failure that stands in its place.
//
// Exceptions stay inside the file that calls a library which throws; everything else returns one of these.
#pragma once

#include <utility>
#include <variant>

#include "base/check.hpp"
#include "base/error.hpp"

namespace mooring {

template<class T> class [[nodiscard]] result {
 public:
  result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}
  result(error failure)
      : state_(std::in_place_index<1>, std::move(failure)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok()
  T& value() & {
    MOORING_CHECK(ok(), "result::value() of a failure");
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    MOORING_CHECK(ok(), "result::value() of a failure");
    return *std::get_if<0>(&state_);
  }
  T&& value() && { return std::move(value()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // REQUIRES: !ok()
  const error& failure() const {
    MOORING_CHECK(!ok(), "result::failure() of a value");
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, error> state_;
};

template<> class [[nodiscard]] result<void> {
 public:
  result() = default;
  result(error failure)
      : failure_(std::move(failure))
      , ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const error& failure() const {
    MOORING_CHECK(!ok_, "result::failure() of a value");
    return failure_;
  }

 private:
  error failure_{};
  bool ok_ = true;
};

} // namespace mooring
