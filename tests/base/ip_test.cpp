#include "base/ip.hpp"

#include <doctest/doctest.h>

using namespace mooring;

TEST_CASE("an address is read in its spellings and written in one") {
  CHECK(ip_address::parse("192.0.2.1")->text() == "192.0.2.1");
  CHECK(ip_address::parse("2001:DB8:0:0::1")->text() == "2001:db8::1");
  CHECK(ip_address::parse("::ffff:192.0.2.1")->text() == "192.0.2.1");
  CHECK(*ip_address::parse("::ffff:192.0.2.1") == *ip_address::parse("192.0.2.1"));
  for (const auto* bad :
       {"", "1.2.3", "1.2.3.4.5", "01.2.3.4x", "256.1.1.1", "::g", "[::1]", "::1%lo", "1.2.3.4:80",
        " 1.2.3.4", "localhost", "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222"})
    CHECK_FALSE(ip_address::parse(bad));
  CHECK_FALSE(ip_address::parse(std::string_view("1.2.3.4\0", 8)));
}

TEST_CASE("loopback is known in both families") {
  CHECK(ip_address::parse("127.0.0.1")->is_loopback());
  CHECK(ip_address::parse("127.9.9.9")->is_loopback());
  CHECK(ip_address::parse("::ffff:127.0.0.1")->is_loopback());
  CHECK(ip_address::parse("::1")->is_loopback());
  CHECK_FALSE(ip_address::parse("::2")->is_loopback());
  CHECK_FALSE(ip_address::parse("128.0.0.1")->is_loopback());
}

TEST_CASE("a network holds what its prefix says") {
  const auto in = [](const char* network, const char* one) {
    return ip_network::parse(network)->contains(*ip_address::parse(one));
  };
  CHECK(in("10.0.0.0/8", "10.255.1.2"));
  CHECK_FALSE(in("10.0.0.0/8", "11.0.0.1"));
  CHECK(in("10.0.0.0/8", "::ffff:10.1.2.3"));
  CHECK(in("192.168.4.0/22", "192.168.7.255"));
  CHECK_FALSE(in("192.168.4.0/22", "192.168.8.0"));
  CHECK(in("192.0.2.7", "192.0.2.7"));
  CHECK_FALSE(in("192.0.2.7", "192.0.2.6"));
  CHECK(in("0.0.0.0/0", "203.0.113.9"));
  CHECK_FALSE(in("0.0.0.0/0", "2001:db8::1"));
  CHECK(in("::/0", "203.0.113.9"));
  CHECK(in("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(in("2001:db8::/33", "2001:db8:8000::1"));
  CHECK(in("::1", "::1"));
  for (const auto* bad : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.1/8",
                          "2001:db8::/129", "2001:db8::1/64", "proxy"})
    CHECK_FALSE(ip_network::parse(bad));
}
