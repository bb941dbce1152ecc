// A node's actors without sockets: requests go in through the gateway as net would send them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <stdlib.h>

#include "actors/runtime.hpp"
#include "base/json.hpp"

namespace mooring::actors::testing {

// A network thread: runs what is posted.
class loop final : public net::thread_context {
 public:
  loop()
      : thread_([this] { run(); }) {}
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
  explicit small_node(const std::filesystem::path& folder, actor_settings settings = {})
      : small_node(shard_in(folder), settings) {}
  small_node(const storage::environment_options& shard, actor_settings settings)
      : service_(options()) {
    runtime_options what;
    what.settings = settings;
    what.shards = {shard};
    what.fatal = [this](const std::string&) { fatal = true; };
    runtime = std::make_unique<actors::runtime>(std::move(what));
    REQUIRE(runtime->wait_ready(10'000).ok());
    gateway_ = runtime->make_gateway(loop_, service_);
  }
  ~small_node() { stop(); }
  static storage::environment_options shard_in(const std::filesystem::path& folder) {
    storage::environment_options shard;
    shard.folder = folder;
    shard.disk_reserve_bytes = 0;
    shard.disk_reserve_share = 0;
    return shard;
  }
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
      gateway_->execute(request,
                        [answer](net::graphql_answer made) { answer->set_value(std::move(made.body)); });
    });
    return out;
  }

  // An actor of this kind, or 0.
  std::uint64_t one_of(actor_kind kind, std::uint64_t random) {
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

inline bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// The values of `"name":"…"` in an answer, in order.
inline std::vector<std::string> texts_of(const std::string& body, const std::string& name) {
  std::vector<std::string> out;
  const auto start = "\"" + name + "\":\"";
  for (auto at = body.find(start); at != std::string::npos; at = body.find(start, at)) {
    at += start.size();
    out.push_back(body.substr(at, body.find('"', at) - at));
  }
  return out;
}

// The ids of all entities that ann sees, page by page. While the shard is being loaded, it asks again.
inline std::set<std::string> stored_ids(small_node& node) {
  std::set<std::string> out;
  std::size_t entities = 0;
  std::string since;
  for (bool more = true; more;) {
    const auto page_of = [&] {
      return node.ask("{ changes(first: 1000" + since + ") { cursor hasMore entities { entityId } } }").get();
    };
    auto body = page_of();
    for (int attempt = 0; has(body, "\"retryable\":true") && attempt < 500; ++attempt) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      body = page_of();
    }
    REQUIRE_FALSE(has(body, "\"errors\""));
    json_parser parser;
    const auto parsed = parser.parse(body);
    REQUIRE(parsed.ok());
    const auto page = parsed->find("data").find("changes");
    page.find("entities").for_each_element([&](json_value one) {
      ++entities;
      out.insert(std::string(one.find("entityId").string()));
    });
    more = page.find("hasMore").boolean();
    since = ", since: \"" + std::string(page.find("cursor").string()) + "\"";
  }
  CHECK(out.size() == entities); // each once
  return out;
}

} // namespace mooring::actors::testing
