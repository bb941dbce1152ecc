#include "actors/presence.hpp"

#include <doctest/doctest.h>

using namespace mooring;

namespace {

class closing final : public net::connection_handle {
 public:
  void close(std::uint16_t code, std::string) override { closed_with = code; }
  std::uint16_t closed_with = 0;
};

} // namespace

TEST_CASE("a device is online while one of its connections is, and closing reaches them all") {
  actors::presence here;
  const auto first = std::make_shared<closing>(), second = std::make_shared<closing>(),
             other = std::make_shared<closing>();
  here.opened(1, "acme", first);
  here.opened(2, "acme", second);
  here.opened(3, "evil", other);
  for (const auto connection : {1, 2, 3}) here.uses(static_cast<std::uint64_t>(connection), "phone");
  CHECK(here.online("acme", "phone"));
  CHECK_FALSE(here.online("acme", "tablet"));
  CHECK(here.close_all("acme", "phone", 4403, "gone") == 2);
  CHECK(first->closed_with == 4403);
  CHECK(second->closed_with == 4403);
  CHECK(other->closed_with == 0);
  here.closed(1);
  CHECK(here.online("acme", "phone"));
  here.closed(2);
  CHECK_FALSE(here.online("acme", "phone"));
  CHECK(here.online("evil", "phone"));
}
