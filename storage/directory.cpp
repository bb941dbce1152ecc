#include "storage/directory.hpp"

namespace mooring::storage {

namespace {

template<class Find>
directory::name look_up(std::unordered_map<std::uint32_t, directory::name>& names, std::uint32_t number,
                        Find&& find) {
  if (number == 0) return nullptr;
  if (const auto known = names.find(number); known != names.end()) return known->second;
  const auto id = find();
  if (!id) return nullptr;
  if (names.size() >= directory::names_max) names.clear();
  return names.emplace(number, std::make_shared<const std::string>(*id)).first->second;
}

} // namespace

directory::name directory::device(feed_source& store, sync::device_number number) {
  return look_up(devices_, number, [&] { return store.device_id(number); });
}

directory::name directory::user(feed_source& store, sync::user_number number) {
  return look_up(users_, number, [&] { return store.user_id(number); });
}

} // namespace mooring::storage
