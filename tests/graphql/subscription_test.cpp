// Subscriptions: how they begin, what their events look like, and when two of them look the same.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "execution_fixture.hpp"
#include "subscription_fixture.hpp"

using namespace mooring;
using namespace mooring::graphql;
using namespace mooring::graphql::test;
using namespace mooring::graphql::test::watch;

namespace {

struct begun {
  std::string field;
  std::vector<std::string> arguments;
  std::shared_ptr<const event_writer> writer;
  stream_responder responder;
  void* context = nullptr;
};

class lookout {
 public:
  explicit lookout(engine_options options = {})
      : schema_(make_schema(watch::sdl)) {
    bindings to(*schema_);
    bind(to);
    for (const auto& why : to.check()) FAIL_CHECK(why);
    options.scalars = {{"DateTime", custom_scalar::opaque_string}};
    engine_ = std::make_unique<graphql::engine>(*schema_, std::move(to), std::move(options));
  }

  void bind(bindings& to) {
    watch::bind_types(to);
    to.stream<sighting>("seen", resolver());
    to.stream<sighting>("sightings", resolver());
    to.stream<std::int32_t>("ticks", resolver());
  }

  stream_resolver resolver() {
    return [this](const field_call& call, std::shared_ptr<const event_writer> writer,
                  stream_responder answer) {
      last = {std::string(call.field), {}, std::move(writer), answer, call.context};
      for (const auto& each : call.arguments) last.arguments.push_back(shown(each));
      if (refuse_with) answer(*refuse_with);
      if (begin_at_once)
        answer(std::shared_ptr<void>(std::make_shared<std::string>("source of " + std::string(call.field))));
    };
  }

  struct outcome {
    int answers = 0;
    response answer;
  };
  // The request's buffers go when this returns.
  std::shared_ptr<outcome> ask(std::string_view query, std::string_view variables = {},
                               bool may_stream = true, std::string_view operation_name = {}) {
    const std::string copy(query);
    const std::string name(operation_name);
    json_parser parser;
    request what;
    what.query = copy;
    what.operation_name = name;
    if (!variables.empty()) {
      auto parsed = parser.parse(variables);
      REQUIRE(parsed);
      what.variables = *parsed;
    }
    what.request_id = 0xab;
    what.context = context;
    what.may_stream = may_stream;
    auto out = std::make_shared<outcome>();
    engine_->execute(what, [out](response answer) {
      ++out->answers;
      out->answer = std::move(answer);
    });
    return out;
  }
  // The writer of a subscription that begins at once.
  std::shared_ptr<const event_writer> begin(std::string_view query, std::string_view variables = {},
                                            std::string_view operation_name = {}) {
    const auto asked = ask(query, variables, true, operation_name);
    REQUIRE(asked->answers == 1);
    REQUIRE_MESSAGE(asked->answer.source != nullptr, asked->answer.body);
    CHECK(asked->answer.executed);
    CHECK(asked->answer.body.empty());
    return last.writer;
  }
  std::string refusal(std::string_view query, std::string_view variables = {}, bool may_stream = true) {
    const auto asked = ask(query, variables, may_stream);
    REQUIRE(asked->answers == 1);
    CHECK(asked->answer.source == nullptr);
    CHECK_FALSE(asked->answer.executed);
    CHECK(asked->answer.body.starts_with(R"({"errors":[{)"));
    CHECK(asked->answer.body.ends_with("}]}"));
    CHECK(asked->answer.body.find("\"data\"") == std::string::npos);
    CHECK(asked->answer.refused.has_value());
    return asked->answer.body;
  }

  begun last;
  bool begin_at_once = true;
  std::optional<error> refuse_with;
  std::shared_ptr<void> context = std::make_shared<int>(7);
  graphql::engine& engine() { return *engine_; }

 private:
  std::unique_ptr<const graphql::schema> schema_;
  std::unique_ptr<graphql::engine> engine_;
};

resolved event_of(sighting is) {
  return resolved::of(std::move(is));
}
const ship erna{"s1", "Erna", {"salt", "tea"}, flag::pirate};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a subscription begins with its source, and its writer writes every event") {
  lookout at;
  const auto asked = at.ask(R"(subscription Watch($from: ID!) {
    what: seen(from: $from, area: {north: 1, tags: ["a"]}) {
      __typename
      ... on Ship { ...whole kind: flag }
      ... on Storm { force near { ...whole } }
      ... on Sighting { sight: id }
    }
  }
  fragment whole on Ship { name cargo })",
                            R"({"from":"f9"})");
  REQUIRE(asked->answers == 1);
  CHECK(asked->answer.executed);
  CHECK(asked->answer.body.empty());
  REQUIRE(asked->answer.source != nullptr);
  CHECK(*std::static_pointer_cast<std::string>(asked->answer.source) == "source of seen");
  CHECK(at.last.field == "seen");
  CHECK(at.last.arguments == std::vector<std::string>{"'f9'", "{0:1f 1:['a']}"});
  CHECK(at.last.context == at.context.get());
  const auto& writer = *at.last.writer;
  CHECK(
      writer.write(event_of(erna)) ==
      R"({"data":{"what":{"__typename":"Ship","name":"Erna","cargo":["salt","tea"],"kind":"PIRATE","sight":"s1"}}})");
  CHECK(
      writer.write(event_of(storm{"t1", 9, std::make_shared<const ship>(erna)})) ==
      R"({"data":{"what":{"__typename":"Storm","force":9,"near":{"name":"Erna","cargo":["salt","tea"]},"sight":"t1"}}})");
  // A shared event is written as well as one of its own.
  CHECK(writer.write(resolved::shared(std::make_shared<const sighting>(storm{"t2", 1, nullptr}))) ==
        R"({"data":{"what":{"__typename":"Storm","force":1,"near":null,"sight":"t2"}}})");
}

TEST_CASE("an event may be a scalar, and arguments have their defaults") {
  lookout at;
  const auto writer = at.begin("subscription { ticks }");
  CHECK(at.last.arguments == std::vector<std::string>{"5"});
  CHECK(writer->write(resolved::of(std::int32_t{3})) == R"({"data":{"ticks":3}})");
  at.begin("subscription ($n: Int = 8) { ticks(every: $n) }");
  CHECK(at.last.arguments == std::vector<std::string>{"8"});
}

TEST_CASE("variables below the root field count for every event, long after the request is gone") {
  lookout at;
  const auto writer =
      at.begin(R"(subscription ($w: String, $n: Int!, $more: Boolean = false, $never: Boolean!) {
    sightings {
      id @skip(if: $never)
      ... on Ship @include(if: $more) { name }
      ... on Ship { hail(words: $w, times: $n) again: hail(times: 1) }
      ... on Storm { near { hail(words: "you", times: $n) } }
    }
  })",
               R"({"w":"a text that is longer than any short string","n":2,"never":true})");
  at.last.responder = nullptr;
  for (int i = 0; i < 3; ++i) {
    CHECK(
        writer->write(event_of(erna)) ==
        R"({"data":{"sightings":{"hail":"a text that is longer than any short string s1! a text that is longer than any short string s1! ","again":"ahoy s1! "}}})");
    CHECK(writer->write(event_of(storm{"t", 2, std::make_shared<const ship>(erna)})) ==
          R"({"data":{"sightings":{"near":{"hail":"you s1! you s1! "}}}})");
  }
}

TEST_CASE("an argument below the root that cannot be had fails its field in every event") {
  lookout at;
  const auto writer = at.begin("subscription ($n: Int = 1) { sightings { ... on Ship { id hail(times: $n) } "
                               "... on Storm { force } } }",
                               R"({"n":null})");
  const auto body = writer->write(event_of(erna));
  CHECK(contains(body, R"("code":"BAD_USER_INPUT")"));
  CHECK(contains(body, R"("path":["sightings","hail"])"));
  CHECK(body.ends_with(R"("data":{"sightings":null}})"));
  CHECK(writer->write(event_of(storm{"t", 3, nullptr})) == R"({"data":{"sightings":{"force":3}}})");
}

TEST_CASE("errors in an event stand beside its data, and say nothing of a request") {
  lookout at;
  const auto writer = at.begin(
      "subscription { seen(from: 1) { ... on Ship { id name } ... on Storm { near { id name } } } }");
  auto nameless = erna;
  nameless.name.reset();
  const auto failed = writer->write(event_of(nameless));
  CHECK(
      failed ==
      R"({"errors":[{"message":"Cannot return null for non-nullable field Ship.name.","locations":[{"line":1,"column":49}],"path":["seen","name"],"extensions":{"code":"INTERNAL","retryable":false}}],"data":null})");
  const auto half = writer->write(event_of(storm{"t", 1, std::make_shared<const ship>(nameless)}));
  CHECK(half.starts_with(R"({"errors":[)"));
  CHECK(half.ends_with(R"("data":{"seen":{"near":null}}})"));
  CHECK(contains(writer->write(resolved::null()),
                 R"("message":"Cannot return null for non-nullable field Subscription.seen.")"));
  const auto wrong = writer->write(resolved::of(std::int32_t{1}));
  CHECK(contains(wrong, R"("code":"INTERNAL")"));
  CHECK(wrong.ends_with(R"("data":null})"));
  const auto nullable = at.begin("subscription { sightings { id } }");
  CHECK(nullable->write(resolved::null()) == R"({"data":{"sightings":null}})");
  CHECK(nullable->write(event_of(erna)) == R"({"data":{"sightings":{"id":"s1"}}})");
}

TEST_CASE("shapes are equal when every event's answer is") {
  lookout at;
  const auto shape = [&](std::string_view query, std::string_view variables = {},
                         std::string_view name = {}) { return at.begin(query, variables, name)->shape(); };
  constexpr std::string_view query =
      R"(subscription ($from: ID!, $n: Int = 1, $short: Boolean = false, $area: Area) {
    seen(from: $from, area: $area) { ... on Ship { id name @skip(if: $short) hail(times: $n) } }
  })";
  const auto plain = shape(query, R"({"from":"a"})");
  CHECK(shape(query, R"({"from":"another","area":{"north":2}})") == plain); // the root's own arguments
  CHECK(shape(query, R"({"from":"a","short":false,"n":1})") == plain);      // the defaults, written out
  CHECK(shape(query, R"({"from":"a","n":2})") != plain);
  CHECK(shape(query, R"({"from":"a","short":true})") != plain);
  CHECK(shape(query, R"({"from":"a","n":2})") == shape(query, R"({"from":"b","n":2})"));
  CHECK(shape("subscription { seen(from: 1) { __typename } }") != shape("subscription { ticks }"));
  CHECK(shape("subscription { seen(from: 1) { __typename } }") ==
        shape("subscription { seen(from: 1) { __typename } }"));
  constexpr std::string_view both = R"(subscription A { ticks } subscription B { t: ticks })";
  CHECK(shape(both, {}, "A") != shape(both, {}, "B"));
  // Literals with variables inside, and texts that only their lengths tell apart.
  constexpr std::string_view words = R"(subscription ($a: String, $b: String) {
    sightings { ... on Ship { x: hail(words: $a, times: 1) y: hail(words: $b, times: 1) } }
  })";
  CHECK(shape(words, R"({"a":"xy","b":"z"})") != shape(words, R"({"a":"x","b":"yz"})"));
  CHECK(shape(words, R"({"a":null})") != shape(words, R"({"a":"null"})"));
  // Directives that variables decide, also where two variables swap.
  constexpr std::string_view swapped = R"(subscription ($a: Boolean!, $b: Boolean!) {
    sightings { id ... on Ship { name @include(if: $a) cargo @include(if: $b) } }
  })";
  CHECK(shape(swapped, R"({"a":true,"b":false})") != shape(swapped, R"({"a":false,"b":true})"));
}

TEST_CASE("a subscription that cannot begin is a request error") {
  lookout at;
  SUBCASE("whoever asks cannot take events") {
    CHECK(
        at.refusal("subscription { ticks }", {}, false) ==
        R"({"errors":[{"message":"subscriptions need a WebSocket","extensions":{"code":"BAD_USER_INPUT","retryable":false,"requestId":"ab"}}]})");
    CHECK(at.last.writer == nullptr);
  }
  SUBCASE("the resolver refuses") {
    at.begin_at_once = false;
    at.refuse_with = error{error_code::rate_limited, "slow down", "from", 1500};
    CHECK(
        at.refusal("subscription { it: seen(from: 1) { __typename } }") ==
        R"({"errors":[{"message":"slow down","locations":[{"line":1,"column":16}],"path":["it"],"extensions":{"code":"RATE_LIMITED","retryable":true,"requestId":"ab","retryAfterMs":1500,"field":"from"}}]})");
  }
  SUBCASE("the detail of an internal error stays here") {
    at.begin_at_once = false;
    at.refuse_with = error{error_code::internal, "the password is 1234"};
    const auto body = at.refusal("subscription { ticks }");
    CHECK_FALSE(contains(body, "1234"));
    CHECK(contains(body, "INTERNAL"));
  }
  SUBCASE("the resolver drops its responder") {
    at.begin_at_once = false;
    const auto asked = at.ask("subscription { ticks }");
    CHECK(asked->answers == 0);
    at.last.responder = nullptr;
    CHECK(asked->answers == 1);
    CHECK(asked->answer.refused == error_code::internal);
    CHECK_FALSE(asked->answer.executed);
  }
  SUBCASE("the resolver answers with nothing") {
    at.begin_at_once = false;
    const auto asked = at.ask("subscription { ticks }");
    at.last.responder(std::shared_ptr<void>());
    CHECK(asked->answer.refused == error_code::internal);
  }
  SUBCASE("an argument of the root field does not fit") {
    const auto body = at.refusal(
        "subscription ($n: Float! = 1) { seen(from: 1, area: {north: $n}) { __typename } }", R"({"n":null})");
    CHECK(contains(body, "BAD_USER_INPUT"));
  }
  SUBCASE("a variable does not fit") {
    CHECK(contains(at.refusal("subscription ($n: Int) { ticks(every: $n) }", R"({"n":"x"})"),
                   "BAD_USER_INPUT"));
  }
  SUBCASE("directives leave no field") {
    CHECK(contains(at.refusal("subscription ($no: Boolean!) { ticks @include(if: $no) }", R"({"no":false})"),
                   "The subscription must select one top level field."));
  }
  SUBCASE("two root fields, or introspection") {
    CHECK(contains(at.refusal("subscription { ticks more: ticks }"), "must select only one top level field"));
    CHECK(contains(at.refusal("subscription { __typename }"), "introspection"));
  }
}

TEST_CASE("the source may come later and from another thread, and only the first answer counts") {
  lookout at;
  at.begin_at_once = false;
  const auto asked = at.ask("subscription { ticks }");
  CHECK(asked->answers == 0);
  auto responder = std::move(at.last.responder);
  at.last.responder = nullptr;
  std::thread([&responder] { responder(std::shared_ptr<void>(std::make_shared<int>(5))); }).join();
  REQUIRE(asked->answers == 1);
  CHECK(*std::static_pointer_cast<int>(asked->answer.source) == 5);
  responder(error{error_code::unavailable, "too late"});
  responder = nullptr;
  CHECK(asked->answers == 1);
  CHECK(at.last.writer->write(resolved::of(std::int32_t{1})) == R"({"data":{"ticks":1}})");
}

TEST_CASE("the request's context lives as long as the writer, and no longer") {
  lookout at;
  const std::weak_ptr<void> context = at.context;
  auto writer = at.begin("subscription { ticks }");
  at.last = {};
  at.context = nullptr;
  CHECK_FALSE(context.expired());
  writer = nullptr;
  CHECK(context.expired());
}

TEST_CASE("subscriptions are admitted, limited and prepared like queries") {
  engine_options options;
  std::vector<std::string> asked_for;
  bool admits = true;
  options.admit = [&](const admission& what) -> std::optional<error> {
    CHECK(what.kind == ast::operation_kind::subscription);
    for (const auto field : what.root_fields) asked_for.emplace_back(field);
    if (admits) return std::nullopt;
    return error{error_code::rate_limited, "no", {}, 10};
  };
  options.limits.depth = 2;
  options.subscribed_bytes_max = 32 * 1024;
  lookout at(std::move(options));
  at.begin("subscription { t: ticks }");
  at.begin("subscription { t: ticks }");
  CHECK(asked_for == std::vector<std::string>{"ticks", "ticks"});
  CHECK(at.engine().counters().prepared_misses == 1);
  CHECK(at.engine().counters().prepared_hits == 1);
  CHECK(contains(at.refusal("subscription { sightings { ... on Storm { near { id } } } }"),
                 "QUERY_TOO_COMPLEX"));
  std::string large = "subscription { sightings { ";
  for (int i = 0; i < 100; ++i) large.append("id ");
  for (int i = 0; i < 200; ++i) large.append("... on Ship { name } ");
  CHECK(contains(at.refusal(large + "} }"), "QUERY_TOO_COMPLEX"));
  admits = false;
  CHECK(contains(at.refusal("subscription { ticks }"), "RATE_LIMITED"));
}

TEST_CASE("one writer writes on many threads at once") {
  lookout at;
  const auto writer = at.begin("subscription ($n: Int!) { seen(from: 1) { ... on Ship { id name hail(times: "
                               "$n) } ... on Storm { force } } }",
                               R"({"n":1})");
  const auto expected = writer->write(event_of(erna));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 500; ++n)
        if (writer->write(event_of(erna)) != expected) ++wrong;
    });
  for (auto& each : threads) each.join();
  CHECK(wrong == 0);
}

TEST_CASE("check() says what is wrong with the streams of a schema") {
  const auto watch = make_schema(watch::sdl);
  const stream_resolver any = [](const field_call&, std::shared_ptr<const event_writer>, stream_responder) {};
  const auto sentences = [](const bindings& of) {
    std::string out;
    for (const auto& each : of.check()) out.append(each).append("\n");
    return out;
  };
  bindings to(*watch);
  watch::bind_types(to);
  SUBCASE("none is bound") {
    const auto out = sentences(to);
    CHECK(contains(out, "Subscription.seen has no resolver"));
    CHECK(contains(out, "Subscription.ticks has no resolver"));
  }
  SUBCASE("wrong types, names and functions") {
    to.stream<std::string>("ticks", any);
    to.stream<ship>("seen", any);
    to.stream<sighting>("sightings", {});
    to.stream<int>("tocks", any);
    to.root<int>("Subscription", "ticks", [](const field_call&, responder) {});
    const auto out = sentences(to);
    CHECK(contains(out, "Subscription.ticks is of type Int, for which text cannot stand"));
    CHECK(contains(out, "Subscription.seen is of another C++ class than Seen"));
    CHECK(contains(out, "Subscription.sightings has an empty resolver"));
    CHECK(contains(out, "Subscription.tocks has a resolver, but the schema does not have it"));
    CHECK(contains(out, "Subscription is the root of subscriptions: its fields are bound with stream()"));
  }
  SUBCASE("twice") {
    to.stream<int>("ticks", any);
    to.stream<int>("ticks", any);
    CHECK(contains(sentences(to), "Subscription.ticks has two resolvers"));
  }
  SUBCASE("no subscriptions at all") {
    const auto plain = make_schema("type Query { a: Int }");
    bindings none(*plain);
    none.root<int>("Query", "a", [](const field_call&, responder) {});
    none.stream<int>("ticks", any);
    CHECK(contains(sentences(none), "\"ticks\" is bound with stream(), but the schema has no subscriptions"));
  }
}
