// D, and the query that asks whether a connection lives.
#include <vector>

#include "bench/load/documents.hpp"
#include "bench/load/frames.hpp"
#include "bench/load/request.hpp"
#include "bench/load/workloads.hpp"

namespace mooring::bench {
namespace {

class changes final : public workload {
 public:
  explicit changes(const scenario& s)
      : entities_(s.entities)
      , readers_(s.connections) {
    // The cursor's length is the server's business, so the frame is made anew for each page.
    query_ = R"(","type":"subscribe","payload":{"query":)" + json_string(changes_document) +
             R"(,"variables":{"since":)";
  }

  bool write(std::size_t connection, std::string_view operation, std::string& out) override {
    const auto& since = readers_[connection].cursor;
    text_.assign(R"({"id":")");
    text_.append(operation).append(query_).append(since.empty() ? "null" : since).append("}}}");
    append_frame(out, opcode::text, text_);
    return true;
  }

  std::int64_t accept(std::size_t connection, std::string_view message, std::string& why) override {
    auto& reader = readers_[connection];
    const auto head = message.substr(0, 1000);
    const auto cursor = head.find(R"("cursor":")");
    const auto end = cursor == std::string_view::npos ? cursor : head.find('"', cursor + 10);
    const bool more = head.find(R"("hasMore":true)") != std::string_view::npos;
    const bool last = head.find(R"("hasMore":false)") != std::string_view::npos;
    const auto found = count(message, R"("entityId":")");
    reader.seen += found;
    if (end == std::string_view::npos || more == last || (more && found != 1000) ||
        (last && reader.seen != entities_)) {
      why = "not a page of the feed, or not all of it (" + std::to_string(reader.seen) + " of " +
            std::to_string(entities_) + ")";
      return -1;
    }
    if (last) {
      reader = {};
    } else {
      reader.cursor.assign(head.substr(cursor + 9, end + 1 - (cursor + 9))); // with its quotes
    }
    return static_cast<std::int64_t>(found);
  }

 private:
  struct state {
    std::string cursor; // a JSON string, or empty at the beginning
    std::uint64_t seen = 0;
  };
  std::uint64_t entities_;
  std::vector<state> readers_;
  std::string query_, text_;
};

class server_info final : public workload {
 public:
  server_info() {
    operation_ = begin_request(frame_, server_info_document);
    frame_.text("{}");
    end_request(frame_);
  }
  bool write(std::size_t connection, std::string_view operation, std::string& out) override {
    if (connection < asked_) return false; // once each: connections come in ascending order the first time
    asked_ = connection + 1;
    const auto at = frame_.stamp(out);
    frame_.fill(out, at, operation_, operation);
    return true;
  }
  std::int64_t accept(std::size_t, std::string_view message, std::string& why) override {
    if (has(message, R"("serverInfo":{"version":)")) return 1;
    why = "not the answer to serverInfo";
    return -1;
  }

 private:
  frame_template frame_;
  frame_template::slot operation_ = 0;
  std::size_t asked_ = 0;
};

} // namespace

std::unique_ptr<workload> make_changes(const scenario& s) {
  return std::make_unique<changes>(s);
}
std::unique_ptr<workload> make_server_info() {
  return std::make_unique<server_info>();
}

} // namespace mooring::bench
