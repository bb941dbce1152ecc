// Name → small number, built once, then read by any number of threads. Open addressing, at most half full.
//
// The names are views; their owner must outlive the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace mooring::graphql {

class name_table {
 public:
  static constexpr std::uint32_t absent = 0xffffffff;

  // False, and nothing is changed, when the name is there already.
  bool insert(std::string_view name, std::uint32_t number);
  // The number, or `absent`.
  std::uint32_t find(std::string_view name) const;
  std::size_t size() const { return size_; }

 private:
  struct slot {
    std::string_view name;
    std::uint32_t number = absent;
  };
  void grow();

  std::vector<slot> slots_;
  std::size_t size_ = 0;
};

} // namespace mooring::graphql
