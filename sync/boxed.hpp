// boxed<T>: a value on the heap, for a large alternative of a variant of which most are small. Copies deeply; empty only
// after it was moved from.
#pragma once

#include <memory>
#include <utility>

namespace mooring::sync {

template<class T> class boxed {
 public:
  boxed(T value)
      : held_(std::make_unique<T>(std::move(value))) {}
  boxed(const boxed& other)
      : held_(other.held_ ? std::make_unique<T>(*other.held_) : nullptr) {}
  boxed(boxed&&) noexcept = default;
  boxed& operator=(const boxed& other) {
    if (this != &other) held_ = other.held_ ? std::make_unique<T>(*other.held_) : nullptr;
    return *this;
  }
  boxed& operator=(boxed&&) noexcept = default;
  ~boxed() = default;

  const T& operator*() const { return *held_; }
  const T* operator->() const { return held_.get(); }
  operator const T&() const { return *held_; }
  bool operator==(const boxed& other) const { return **this == *other; }

 private:
  std::unique_ptr<T> held_;
};

} // namespace mooring::sync
