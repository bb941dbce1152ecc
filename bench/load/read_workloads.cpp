// D, M, and the query that asks whether a connection lives.
#include <vector>

#include "bench/load/documents.hpp"
#include "bench/load/frames.hpp"
#include "bench/load/request.hpp"
#include "bench/load/workloads.hpp"

namespace mooring::bench {
namespace {

// The request for a page of `changes`. The cursor's length is the server's business, so each frame is made anew.
class page_frame {
 public:
  // `since`: a JSON string, or empty: from the beginning.
  void write(std::string_view operation, const std::string& since, std::string& out) {
    text_.assign(R"({"id":")");
    text_.append(operation).append(query_).append(since.empty() ? "null" : since).append("}}}");
    append_frame(out, opcode::text, text_);
  }

 private:
  std::string query_ = R"(","type":"subscribe","payload":{"query":)" + json_string(changes_document) +
                       R"(,"variables":{"since":)";
  std::string text_;
};

struct page_head {
  std::string_view cursor; // with its quotes; empty: this is no page
  bool more = false;
  std::size_t entities = 0;
};
page_head read_page(std::string_view message) {
  const auto head = message.substr(0, 1000);
  const auto cursor = head.find(R"("cursor":")");
  const auto end = cursor == std::string_view::npos ? cursor : head.find('"', cursor + 10);
  const bool more = head.find(R"("hasMore":true)") != std::string_view::npos;
  const bool last = head.find(R"("hasMore":false)") != std::string_view::npos;
  if (end == std::string_view::npos || more == last) return {};
  return {head.substr(cursor + 9, end + 1 - (cursor + 9)), more, count(message, R"("entityId":")")};
}

class changes final : public workload {
 public:
  explicit changes(const scenario& s)
      : entities_(s.entities)
      , readers_(s.connections) {}

  bool write(std::size_t connection, std::string_view operation, std::string& out) override {
    frame_.write(operation, readers_[connection].cursor, out);
    return true;
  }

  std::int64_t accept(std::size_t connection, std::string_view message, std::string& why) override {
    auto& reader = readers_[connection];
    const auto page = read_page(message);
    reader.seen += page.entities;
    if (page.cursor.empty() || (page.more && page.entities != 1000) ||
        (!page.more && reader.seen != entities_)) {
      why = "not a page of the feed, or not all of it (" + std::to_string(reader.seen) + " of " +
            std::to_string(entities_) + ")";
      return -1;
    }
    if (page.more)
      reader.cursor.assign(page.cursor);
    else
      reader = {};
    return static_cast<std::int64_t>(page.entities);
  }

 private:
  struct state {
    std::string cursor; // a JSON string, or empty at the beginning
    std::uint64_t seen = 0;
  };
  std::uint64_t entities_;
  std::vector<state> readers_;
  page_frame frame_;
};

class phones final : public workload {
 public:
  explicit phones(const scenario& s)
      : upload_(make_voice(s))
      , phones_(s.connections) {}

  bool write(std::size_t connection, std::string_view operation, std::string& out) override {
    const auto& phone = phones_[connection];
    if (!phone.reads) return upload_->write(connection, operation, out);
    frame_.write(operation, phone.cursor, out);
    return true;
  }

  std::int64_t accept(std::size_t connection, std::string_view message, std::string& why) override {
    auto& phone = phones_[connection];
    if (!phone.reads) {
      phone.reads = true;
      phone.seen = 0;
      return upload_->accept(connection, message, why);
    }
    const auto page = read_page(message);
    phone.seen += page.entities;
    if (page.cursor.empty() || (!page.more && phone.seen != 1)) { // others' voice items are not for its eyes
      why = "not a page of the feed, or not the one item that was uploaded just now (" +
            std::to_string(phone.seen) + ")";
      return -1;
    }
    phone.cursor.assign(page.cursor);
    phone.reads = page.more;
    return 0;
  }

 private:
  struct state {
    std::string cursor;
    bool reads = false;
    std::size_t seen = 0; // since the upload
  };
  std::unique_ptr<workload> upload_;
  std::vector<state> phones_;
  page_frame frame_;
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
std::unique_ptr<workload> make_phones(const scenario& s) {
  return std::make_unique<phones>(s);
}
std::unique_ptr<workload> make_server_info() {
  return std::make_unique<server_info>();
}

} // namespace mooring::bench
