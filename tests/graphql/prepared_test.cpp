// Prepared documents: the cache's bounds, and automatic persisted queries.
#include <doctest/doctest.h>

#include <thread>

#include "execution_fixture.hpp"
#include "graphql/bounded_cache.hpp"
#include "graphql/persisted.hpp"

using namespace mooring;
using namespace mooring::graphql;
using namespace mooring::graphql::test;

namespace {

bool holds(const std::string& body, std::string_view part) {
  return body.find(part) != std::string::npos;
}

std::string asking(std::string_view hash, int version = 1) {
  return "{\"persistedQuery\":{\"version\":" + std::to_string(version) + ",\"sha256Hash\":\"" +
         std::string(hash) + "\"}}";
}

} // namespace

TEST_CASE("fragments that grow when they are written out end at a bound, even without the static limits") {
  engine_options options;
  options.limits.depth = options.limits.complexity = options.limits.aliases = 0xffffffff;
  harbour at(std::move(options));
  std::string query = "{ boat { ...F1 } }";
  for (int i = 1; i < 20; ++i) {
    const auto next = " { ...F" + std::to_string(i + 1) + " }";
    query += " fragment F" + std::to_string(i) + " on Boat { tender" + next + " tenderOrFail" + next + " }";
  }
  query += " fragment F20 on Boat { id }";
  CHECK(holds(at.run(query), R"("code":"QUERY_TOO_COMPLEX")"));
  CHECK(at.engine().counters().prepared_documents == 0);
}

TEST_CASE("a document is prepared once for each text and operation name") {
  harbour at;
  for (int i = 0; i < 3; ++i) CHECK(at.run("{ number }") == R"({"data":{"number":42}})");
  CHECK(at.engine().counters().prepared_misses == 1);
  CHECK(at.engine().counters().prepared_hits == 2);
  at.run("{ number } # another text");
  at.run("query A { number } query B { n: number }", {}, "A");
  at.run("query A { number } query B { n: number }", {}, "B");
  CHECK(at.run("query A { number } query B { n: number }", {}, "B") == R"({"data":{"n":42}})");
  CHECK(at.engine().counters().prepared_documents == 4);
}

TEST_CASE("invalid documents are not kept") {
  harbour at;
  for (int i = 0; i < 3; ++i) at.run("{ ship" + std::to_string(i) + " }");
  CHECK(at.engine().counters().prepared_documents == 0);
  CHECK(at.engine().counters().documents_refused == 3);
}

TEST_CASE("the number and the bytes of prepared documents are bounded") {
  engine_options options;
  options.prepared_max = 10;
  harbour at(std::move(options));
  for (int i = 0; i < 100; ++i) at.run("{ a" + std::to_string(i) + ": number }");
  CHECK(at.engine().counters().prepared_documents == 10);
  CHECK(at.engine().counters().prepared_evictions == 90);

  engine_options small;
  small.prepared_bytes_max = 50'000;
  harbour tight(std::move(small));
  for (int i = 0; i < 100; ++i) tight.run("{ a" + std::to_string(i) + ": number }");
  CHECK(tight.engine().counters().prepared_bytes <= 50'000);
  CHECK(tight.engine().counters().prepared_documents > 0);
  CHECK(tight.engine().counters().prepared_documents < 100);
}

TEST_CASE("documents that are sent once do not push out those that are used again") {
  engine_options options;
  options.prepared_max = 10;
  harbour at(std::move(options));
  at.run("{ number }");
  at.run("{ number }");
  for (int i = 0; i < 100; ++i) at.run("{ a" + std::to_string(i) + ": number }");
  const auto before = at.engine().counters().prepared_hits;
  at.run("{ number }");
  CHECK(at.engine().counters().prepared_hits == before + 1);
}

TEST_CASE("a cache keeps its bounds under any use") {
  bounded_cache<int, std::string> cache(20, 1000);
  const auto put = [&](int key, std::size_t bytes) {
    cache.insert(key, std::make_shared<const std::string>(std::to_string(key)), bytes);
  };
  std::uint32_t random = 12345;
  for (int i = 0; i < 20'000; ++i) {
    random = random * 1664525 + 1013904223;
    const int key = static_cast<int>(random >> 24) % 60;
    if (const auto found = cache.find(key))
      CHECK(*found == std::to_string(key));
    else
      put(key, (random >> 8) % 200);
    REQUIRE(cache.count() <= 20);
    REQUIRE(cache.bytes() <= 1000);
  }
  put(1, 1001); // larger than everything: not kept, and what was there under its key is gone
  CHECK(cache.find(1) == nullptr);
}

TEST_CASE("a prepared document serves many threads, with a plan for each assignment of its conditions") {
  harbour at;
  const std::string query =
      "query Q($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean!, $e: Boolean!) "
      "{ a: number @include(if: $a) b: number @include(if: $b) c: number @include(if: $c) "
      "d: number @include(if: $d) e: number @include(if: $e) }";
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      json_parser parser;
      for (int i = 0; i < 200; ++i) {
        std::string variables = "{";
        std::string expected;
        for (int bit = 0; bit < 5; ++bit) {
          const bool set = (i >> bit & 1) != 0;
          const std::string name(1, static_cast<char>('a' + bit));
          variables.append(bit == 0 ? "" : ",").append("\"" + name + "\":" + (set ? "true" : "false"));
          if (set) expected.append(expected.empty() ? "" : ",").append("\"" + name + "\":42");
        }
        const auto parsed = parser.parse(variables + "}");
        request what;
        what.query = query;
        what.variables = *parsed;
        at.engine().execute(what, [&](response answer) {
          if (answer.body != "{\"data\":{" + expected + "}}") ++wrong;
        });
      }
    });
  for (auto& each : threads) each.join();
  CHECK(wrong == 0);
}

TEST_CASE("persisted queries follow Apollo's convention") {
  harbour at;
  const std::string query = "{ number }";
  const auto hash = sha256_hex(query);
  CHECK(hash == "808357eac9eac5c154ca5389783828884cf22902d307664e1f57095caa06697d");
  auto out = at.start("", {}, {}, asking(hash));
  REQUIRE(out->answered);
  CHECK_FALSE(out->answer.executed);
  CHECK_FALSE(out->answer.refused);
  CHECK(out->answer.body == R"({"errors":[{"message":"PersistedQueryNotFound",)"
                            R"("extensions":{"code":"PERSISTED_QUERY_NOT_FOUND","retryable":false}}]})");
  CHECK(at.run(query, {}, {}, asking(hash)) == R"({"data":{"number":42}})");
  CHECK(at.run("", {}, {}, asking(hash)) == R"({"data":{"number":42}})");
  CHECK(at.engine().counters().persisted_hits == 1);
  CHECK(at.engine().counters().persisted_documents == 1);
  CHECK(holds(at.run("{ n: number }", {}, {}, asking(hash)), "provided sha does not match query"));
  CHECK(holds(at.run("", {}, {}, asking(hash, 2)), "Unsupported persisted query version"));
  CHECK(holds(at.run("", {}, {}, asking("abc")), "Malformed persistedQuery"));
  CHECK(holds(at.run("", {}, {}, R"({"persistedQuery":7})"), "Malformed persistedQuery"));
  CHECK(at.run(query, {}, {}, R"({"persistedQuery":null,"other":1})") == R"({"data":{"number":42}})");
}

TEST_CASE("an invalid text is not remembered under its hash") {
  harbour at;
  const std::string query = "{ ship }";
  at.run(query, {}, {}, asking(sha256_hex(query)));
  CHECK(at.engine().counters().persisted_documents == 0);
}

TEST_CASE("persisted queries are bounded, and can be switched off") {
  engine_options options;
  options.persisted_max = 5;
  harbour at(std::move(options));
  for (int i = 0; i < 20; ++i) {
    const auto query = "{ a" + std::to_string(i) + ": number }";
    at.run(query, {}, {}, asking(sha256_hex(query)));
  }
  CHECK(at.engine().counters().persisted_documents == 5);

  engine_options off;
  off.persisted_max = 0;
  harbour without(std::move(off));
  CHECK(holds(without.run("", {}, {}, asking(sha256_hex("{ number }"))),
              R"("code":"PERSISTED_QUERY_NOT_SUPPORTED")"));
  CHECK(without.run("{ number }", {}, {}, asking(sha256_hex("{ number }"))) == R"({"data":{"number":42}})");
}
