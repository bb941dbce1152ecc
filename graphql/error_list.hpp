// The errors of one document, bounded in number and size, whatever the document's author wanted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graphql/ast.hpp"
#include "graphql/source.hpp"

namespace mooring::graphql {

class error_list {
 public:
  static constexpr std::size_t message_bytes_max = 2'000;
  static constexpr std::size_t locations_max = 100; // of one error

  error_list(const ast::document& document, std::uint32_t errors_max)
      : document_(document)
      , errors_max_(errors_max) {}

  // True when the last allowed error, or one that ends the work, has been added: the caller should stop.
  bool full() const { return full_; }
  bool empty() const { return errors_.empty(); }

  void add(std::string_view rule, std::string message, std::span<const std::uint32_t> offsets);
  void add(std::string_view rule, std::string message, std::initializer_list<std::uint32_t> offsets) {
    add(rule, std::move(message), std::span(offsets.begin(), offsets.size()));
  }
  // The document asks for more work than is allowed: nothing is added after this.
  void stop(std::string message);

  std::vector<document_error> take() { return std::move(errors_); }

 private:
  const ast::document& document_;
  std::uint32_t errors_max_;
  bool full_ = false;
  std::vector<document_error> errors_;
};

} // namespace mooring::graphql
