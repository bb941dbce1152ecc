// A node's actors without sockets: requests go in through the gateway as net would send them.

#include "actors/runtime.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <future>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <stdlib.h>

#include "base/json.hpp"

using namespace mooring;

namespace {

// A network thread: runs what is posted.
class loop final : public net::thread_context {
 public:
  loop() : thread_([this] { run(); }) {}
  ~loop() { stop(); }
  void post(std::function<void()> work) override {
    const std::lock_guard hold(mutex_);
    work_.push_back(std::move(work));
    changed_.notify_one();
  }
  unsigned index() const override { return 0; }
  void at_rest(std::function<void()> work) override { at_rest_ = std::move(work); }
  void stop() {
    {
      const std::lock_guard hold(mutex_);
      stopping_ = true;
      changed_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    std::unique_lock hold(mutex_);
    for (;;) {
      changed_.wait(hold, [&] { return stopping_ || !work_.empty(); });
      if (work_.empty()) return;
      auto next = std::move(work_.front());
      work_.pop_front();
      hold.unlock();
      next();
      next = nullptr;
      if (at_rest_) at_rest_();
      hold.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> at_rest_; // set before the first post
  std::deque<std::function<void()>> work_;
  bool stopping_ = false;
  std::thread thread_;
};

class scratch_folder {
 public:
  scratch_folder() {
    char name[] = "/tmp/mooring-actors-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~scratch_folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

class small_node {
 public:
  explicit small_node(const std::filesystem::path& folder, actors::actor_settings settings = {}) : service_(options()) {
    actors::runtime_options what;
    what.settings = settings;
    storage::environment_options shard;
    shard.folder = folder;
    shard.disk_reserve_bytes = 0;
    shard.disk_reserve_share = 0;
    what.shards = {shard};
    what.fatal = [this](const std::string&) { fatal = true; };
    runtime = std::make_unique<actors::runtime>(std::move(what));
    REQUIRE(runtime->wait_ready(10'000).ok());
    gateway_ = runtime->make_gateway(loop_, service_);
  }
  ~small_node() { stop(); }
  void stop() {
    if (gateway_ == nullptr) return;
    std::promise<void> gone;
    loop_.post([&] {
      gateway_.reset();
      gone.set_value();
    });
    gone.get_future().wait();
    loop_.stop();
    runtime->stop();
  }

  std::future<std::string> ask(std::string query, std::string user = "ann") {
    auto answer = std::make_shared<std::promise<std::string>>();
    auto out = answer->get_future();
    loop_.post([this, answer, query = std::move(query), user = std::move(user)] {
      auto who = std::make_shared<net::identity>();
      who->tenant = "acme";
      who->user = user;
      net::graphql_request request;
      request.who = who;
      request.query = query;
      request.arrived_us = system_clock().monotonic_us();
      gateway_->execute(request, [answer](net::graphql_answer made) { answer->set_value(std::move(made.body)); });
    });
    return out;
  }

  // An actor of this kind, or 0.
  std::uint64_t one_of(actors::actor_kind kind, std::uint64_t random) {
    std::vector<std::uint64_t> ids;
    for (const auto& one : runtime->who().list())
      if (one.kind == kind) ids.push_back(one.actor_id);
    return ids.empty() ? 0 : ids[random % ids.size()];
  }

  std::unique_ptr<actors::runtime> runtime;
  std::atomic<bool> fatal{false};

 private:
  static api::service_options options() {
    api::service_options out;
    out.rates.per_user = out.rates.per_tenant = out.rates.per_address = {};
    return out;
  }
  loop loop_;
  api::service service_;
  std::unique_ptr<net::gateway> gateway_;
};

std::string voice(int n, std::string_view device) {
  return fmt::format("mutation {{ syncVoiceData(idempotencyKey: \"k{}\", deviceId: \"{}\", data: [{{verificationId: \"v{}\", timestamp: "
                     "\"2026-01-01T00:00:00Z\", verified: true}}]) {{ success replayed items {{ duplicate }} }} }}",
                     n, device, n);
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::set<std::string> stored_ids(small_node& node) {
  const auto body = node.ask("{ changes(first: 1000) { hasMore entities { entityId } } }").get();
  json_parser parser;
  const auto parsed = parser.parse(body);
  REQUIRE(parsed.ok());
  std::set<std::string> out;
  std::size_t entities = 0;
  parsed->find("data").find("changes").find("entities").for_each_element([&](json_value one) {
    ++entities;
    out.insert(std::string(one.find("entityId").string()));
  });
  CHECK(out.size() == entities); // each once
  return out;
}

} // namespace

TEST_CASE("an upload is durable when it is answered, and its retry is answered without a second execution") {
  const scratch_folder folder;
  {
    small_node node(folder.path);
    CHECK(has(node.ask(voice(1, "phone")).get(), "\"success\":true,\"replayed\":false"));
    CHECK(has(node.ask(voice(1, "phone")).get(), "\"success\":true,\"replayed\":true"));
    CHECK(stored_ids(node) == std::set<std::string>{"v1"});
  }
  small_node again(folder.path);
  CHECK(has(again.ask(voice(1, "phone")).get(), "\"replayed\":true"));
  CHECK(stored_ids(again) == std::set<std::string>{"v1"});
}

TEST_CASE("two retries at the same moment are one execution") {
  const scratch_folder folder;
  small_node node(folder.path);
  for (int n = 0; n < 50; ++n) {
    auto first = node.ask(voice(n, "phone")), second = node.ask(voice(n, "phone"));
    const auto one = first.get(), two = second.get();
    CHECK(has(one, "\"replayed\":true") != has(two, "\"replayed\":true"));
  }
}

TEST_CASE("actors that fail at any moment lose nothing that was answered, and every retry lands once") {
  const scratch_folder folder;
  actors::actor_settings settings;
  settings.restarts_max = 1'000'000;
  small_node node(folder.path, settings);
  std::mt19937_64 random(7);
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  std::thread saboteur([&] {
    while (!stop) {
      const auto before = answered.load();
      const auto kinds = std::array{actors::actor_kind::device, actors::actor_kind::device, actors::actor_kind::tenant,
                                    actors::actor_kind::shard_writer};
      if (const auto victim = node.one_of(kinds[random() % kinds.size()], random())) node.runtime->fail(victim);
      std::this_thread::sleep_for(std::chrono::milliseconds(5 + random() % 20));
      // On a slow machine, or with a sanitizer, a shard takes longer to load than the next failure takes to come.
      for (int wait = 0; wait < 200 && answered == before && !stop; ++wait)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  std::set<std::string> wanted;
  int retried = 0;
  constexpr int uploads = 300;
  constexpr int window = 8;
  std::deque<std::pair<int, std::future<std::string>>> open;
  const auto settle = [&] {
    auto [n, future] = std::move(open.front());
    open.pop_front();
    auto body = future.get();
    for (int attempt = 0; !has(body, "\"success\":true") && attempt < 500; ++attempt) {
      CHECK(has(body, "\"retryable\":true"));
      ++retried;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      body = node.ask(voice(n, fmt::format("phone-{}", n % 5))).get();
    }
    ++answered;
    CHECK(has(body, "\"success\":true"));
    CHECK(has(body, "\"duplicate\":false")); // the stored answer of the one execution
  };
  for (int n = 0; n < uploads; ++n) {
    wanted.insert(fmt::format("v{}", n));
    open.emplace_back(n, node.ask(voice(n, fmt::format("phone-{}", n % 5))));
    if (open.size() >= window) settle();
  }
  while (!open.empty()) settle();
  stop = true;
  saboteur.join();
  CHECK(retried > 0);
  CHECK_FALSE(node.fatal);
  std::set<std::string> found;
  for (int attempt = 0; attempt < 100 && found != wanted; ++attempt) found = stored_ids(node);
  CHECK(found == wanted);
}

TEST_CASE("idle devices and tenants end, and their next request starts them again") {
  const scratch_folder folder;
  actors::actor_settings settings;
  settings.idle_timeout_ms = 50;
  settings.housekeeping_ms = 20;
  small_node node(folder.path, settings);
  CHECK(has(node.ask(voice(1, "phone")).get(), "\"success\":true"));
  CHECK(node.runtime->who().alive(actors::actor_kind::device) == 1);
  const auto& who = node.runtime->who();
  for (int i = 0; i < 500 && who.alive(actors::actor_kind::tenant) + who.alive(actors::actor_kind::device) > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(who.alive(actors::actor_kind::device) == 0);
  CHECK(who.alive(actors::actor_kind::tenant) == 0);
  CHECK(has(node.ask(voice(2, "phone")).get(), "\"success\":true"));
  CHECK(stored_ids(node).size() == 2);
}

TEST_CASE("every actor answers what it is doing") {
  const scratch_folder folder;
  small_node node(folder.path);
  CHECK(has(node.ask(voice(1, "phone")).get(), "\"success\":true"));
  std::set<std::string> kinds;
  for (const auto& one : node.runtime->who().list()) {
    const auto answer = node.runtime->inspect(one.actor_id);
    REQUIRE(answer.has_value());
    const auto kind = find_field(answer->bytes, "kind");
    REQUIRE(kind.has_value());
    CHECK(string_of(*kind) == to_string(one.kind));
    kinds.insert(std::string(string_of(*kind)));
  }
  CHECK(kinds.size() == actors::actor_kinds);
}

TEST_CASE("a tenant that fails too often fails its directory and the node is told") {
  const scratch_folder folder;
  actors::actor_settings settings;
  settings.restarts_max = 2;
  small_node node(folder.path, settings);
  for (int i = 0; i < 200 && !node.fatal; ++i) {
    node.ask(voice(i, "phone"));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (const auto victim = node.one_of(actors::actor_kind::tenant, 0)) node.runtime->fail(victim);
  }
  CHECK(node.fatal);
}
