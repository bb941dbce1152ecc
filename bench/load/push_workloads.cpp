// E to H: devices that register, edits that others hear of, and catching up.
#include <deque>
#include <unordered_map>
#include <vector>

#include "bench/load/documents.hpp"
#include "bench/load/frames.hpp"
#include "bench/load/ids.hpp"
#include "bench/load/request.hpp"
#include "bench/load/workloads.hpp"

namespace mooring::bench {
namespace {

class registration final : public workload {
 public:
  registration(const scenario& s, std::size_t first)
      : devices_(device_family(s.tenant))
      , next_(first) {
    operation_ = begin_request(frame_, register_document);
    frame_.text(R"({"device":{"deviceId":")");
    device_ = frame_.hole(uuid::width);
    frame_.text(R"(","deviceType":"PHONE","deviceName":"Phone","osType":"android","appVersion":"1.0"}})");
    end_request(frame_);
  }

  bool write(std::size_t connection, std::string_view operation, std::string& out) override {
    if (connection < next_) return false; // once each: connections come in ascending order the first time
    next_ = connection + 1;
    const auto at = frame_.stamp(out);
    frame_.fill(out, at, operation_, operation);
    frame_.fill(out, at, device_, uuid(devices_, connection));
    return true;
  }

  std::int64_t accept(std::size_t connection, std::string_view message, std::string& why) override {
    if (string_after(message, R"("registerDevice":{"deviceId":")") == uuid(devices_, connection) &&
        has(message, R"("active":true)"))
      return 1;
    why = "not the answer to a registration";
    return -1;
  }

 private:
  frame_template frame_;
  frame_template::slot operation_ = 0, device_ = 0;
  std::uint64_t devices_;
  std::size_t next_;
};

class counted_arrivals final : public arrivals {
 public:
  explicit counted_arrivals(std::size_t connections)
      : arrived_(connections) {}

  bool hear(std::size_t connection, std::string_view message, std::string& why) override {
    if (!has(message, R"("syncEvents":{"__typename":"CaughtUpEvent")") || arrived_[connection]) {
      why = "not one CaughtUpEvent";
      return false;
    }
    arrived_[connection] = true;
    ++count_;
    return true;
  }
  std::size_t count() const override { return count_; }

 private:
  std::vector<bool> arrived_;
  std::size_t count_ = 0;
};

class pushing final : public push_edits {
 public:
  pushing(fleet& on, const scenario& s, push_options options)
      : on_(on)
      , options_(std::move(options))
      , domain_(s.domain)
      , salt_(scramble(s.salt))
      , devices_(device_family(s.tenant))
      , entities_(options_.creates ? salt_ : entity_family(s.tenant))
      , version_(options_.creates ? 0 : s.entities, 1)
      , edits_(options_.editors)
      , heard_(options_.hears.size()) {
    for (const bool hears : options_.hears) listeners_ += hears;
    operation_ = begin_request(frame_, operations_document);
    frame_.text(R"({"operations":[{"domain":")");
    frame_.text(domain_);
    frame_.text(options_.creates ? R"(","operation":"CREATE","entityId":")"
                                 : R"(","operation":"UPDATE","entityId":")");
    entity_ = frame_.hole(uuid::width);
    frame_.text(R"(","baseVersion":)");
    base_version_ = frame_.hole(padded_integer::width);
    frame_.text(R"(,"priority":"HIGH","data":{"status":"in_progress","n":)");
    number_ = frame_.hole(padded_integer::width);
    frame_.text(R"(,"note":")");
    note_ = frame_.hole(uuid::width);
    frame_.text(R"("},"modifiedAt":")");
    frame_.text(instant_text(s.now_ms));
    frame_.text(R"("}],"key":")");
    key_ = frame_.hole(uuid::width);
    frame_.text(R"(","device":")");
    device_ = frame_.hole(uuid::width);
    frame_.text(R"("})");
    end_request(frame_);
  }

  ending ends() const override { return ending::released; }
  void recording_begins() override { latency_ = {}; }
  const push_latency& latency() const override { return latency_; }
  std::uint64_t heard() const override { return events_; }

  bool write(std::size_t editor, std::string_view operation, std::string& out) override {
    if (options_.edits_max > 0 && begun_ >= options_.edits_max) return false;
    auto& edit = edits_[editor];
    edit.number = editor + edit.turn * options_.editors;
    edit.entity = options_.creates
                      ? edit.number
                      : editor + edit.turn % (version_.size() / options_.editors) * options_.editors;
    ++edit.turn;
    ++begun_;
    edit.version = options_.creates ? 1 : version_[edit.entity] + 1;
    edit.answered_ns = 0;
    edit.is_heard = false;
    const auto at = frame_.stamp(out);
    frame_.fill(out, at, operation_, operation);
    frame_.fill(out, at, entity_, uuid(entities_, edit.entity));
    frame_.fill(out, at, base_version_, padded_integer(edit.version - 1));
    frame_.fill(out, at, number_, padded_integer(edit.number));
    frame_.fill(out, at, note_, uuid(~salt_, edit.number));
    frame_.fill(out, at, key_, uuid(salt_, edit.number));
    frame_.fill(out, at, device_, uuid(devices_, editor));
    edit.sent_ns = monotonic_ns();
    return true;
  }

  std::int64_t accept(std::size_t editor, std::string_view message, std::string& why) override {
    auto& edit = edits_[editor];
    std::size_t from = 0;
    if (!has(message, R"("syncOperations":{"success":true,"syncedItems":1,"failedItems":0,)") ||
        !has(message, R"("conflictDetected":false)") || !has(message, R"("replayed":false)") ||
        integer_after(message, R"("version":)", from) != static_cast<std::int64_t>(edit.version)) {
      why = "not the answer to one accepted edit of version " + std::to_string(edit.version - 1);
      return -1;
    }
    edit.answered_ns = on_.received_ns();
    if (!options_.creates) version_[edit.entity] = static_cast<std::uint32_t>(edit.version);
    if (listeners_ == 0) on_.release(editor);
    return static_cast<std::int64_t>(listeners_);
  }

  bool hear(std::size_t connection, std::string_view message, std::string& why) override {
    if (!options_.hears[connection]) {
      why = "an event that is for somebody else";
      return false;
    }
    const auto place = heard_[connection]++;
    if (place == first_ + told_.size()) {
      told event;
      event.left = listeners_;
      if (!check_first(message, event, why)) return false;
      event.text = message;
      told_.push_back(std::move(event));
    }
    auto& event = told_[place - first_];
    auto& edit = edits_[event.editor];
    // All have the same text, but for one whose event was written again because it was behind.
    if (message != event.text && !is_of(message, edit, event.editor)) {
      why = "not the event that others heard at this place";
      return false;
    }
    ++events_;
    if (on_.is_recording()) {
      const auto now = on_.received_ns();
      latency_.from_sending.record(static_cast<std::uint64_t>(now - edit.sent_ns));
      latency_.from_answer.record(edit.answered_ns == 0 ? 0
                                                        : static_cast<std::uint64_t>(now - edit.answered_ns));
      latency_.before_answer += edit.answered_ns == 0;
    }
    if (--event.left > 0) return true;
    const auto editor = event.editor;
    while (!told_.empty() && told_.front().left == 0) {
      told_.pop_front();
      ++first_;
    }
    on_.release(editor);
    return true;
  }

 private:
  struct edit_state { // of one editor: the one in flight
    std::uint64_t turn = 0, number = 0, entity = 0, version = 0;
    std::int64_t sent_ns = 0, answered_ns = 0;
    bool is_heard = true;
  };
  struct told { // an event that somebody has heard, and not yet everybody
    std::string text;
    std::size_t editor = 0;
    std::uint64_t left = 0;
  };

  bool check_first(std::string_view message, told& event, std::string& why) {
    std::size_t from = 0;
    const auto number = integer_after(message, R"("n":)", from);
    if (number >= 0) {
      event.editor = static_cast<std::size_t>(number) % options_.editors;
      auto& edit = edits_[event.editor];
      if (!edit.is_heard && edit.number == static_cast<std::uint64_t>(number) &&
          is_of(message, edit, event.editor)) {
        edit.is_heard = true;
        return true;
      }
    }
    why = "not the event of an edit that nobody has heard of yet";
    return false;
  }

  bool is_of(std::string_view message, const edit_state& edit, std::size_t editor) const {
    std::size_t from = 0;
    return has(message, R"("syncEvents":{"__typename":"DataUpdateEvent")") &&
           !string_after(message, R"("cursor":")").empty() &&
           string_after(message, R"("domain":")") == domain_ && has(message, R"("priority":"HIGH")") &&
           string_after(message, R"("entityId":")") == uuid(entities_, edit.entity) &&
           has(message, R"("deleted":false)") &&
           string_after(message, R"("note":")") == uuid(~salt_, edit.number) &&
           string_after(message, R"("deviceId":")") == uuid(devices_, editor) &&
           integer_after(message, R"("version":)", from) == static_cast<std::int64_t>(edit.version);
  }

  fleet& on_;
  push_options options_;
  std::string domain_;
  frame_template frame_;
  frame_template::slot operation_ = 0, entity_ = 0, base_version_ = 0, number_ = 0, note_ = 0, key_ = 0,
                       device_ = 0;
  std::uint64_t salt_, devices_, entities_;
  std::vector<std::uint32_t> version_; // of each entity, as the answers said
  std::vector<edit_state> edits_;
  std::vector<std::uint64_t> heard_; // how many events, by connection
  std::deque<told> told_;
  std::uint64_t first_ = 0; // the place of told_'s first
  std::uint64_t listeners_ = 0, begun_ = 0, events_ = 0;
  push_latency latency_;
};

class catching_up final : public catch_up {
 public:
  catching_up(const scenario& s, catch_up_options options)
      : options_(std::move(options))
      , batch_size_(options_.batch_size)
      , family_(entity_family(s.tenant))
      , entities_(s.entities)
      , scenario_(s)
      , readers_(s.connections) {
    query_ =
        R"(","type":"subscribe","payload":{"query":)" + json_string(events_document) + R"(,"variables":)";
    if (batch_size_ > 0)
      for (std::uint64_t first = 0; first < entities_; first += batch_size_)
        batches_.emplace(std::string_view(uuid(family_, first)), first);
  }

  ending ends() const override { return ending::over; }
  bool is_over(std::size_t connection) override { return readers_[connection].is_over; }
  const std::string& cursor() const override { return cursor_; }

  bool write(std::size_t connection, std::string_view operation, std::string& out) override {
    if (connection < options_.first || (options_.passes_max > 0 && passes_ >= options_.passes_max))
      return false;
    ++passes_;
    auto& reader = readers_[connection];
    reader.is_over = false;
    reader.seen = reader.next = 0;
    reader.had.assign(batches_.size(), false);
    text_.assign(R"({"id":")");
    text_.append(operation)
        .append(query_)
        .append(event_variables(scenario_, connection, options_.cursor))
        .append("}}");
    append_frame(out, opcode::text, text_);
    return true;
  }

  std::int64_t accept(std::size_t connection, std::string_view message, std::string& why) override {
    auto& reader = readers_[connection];
    const auto kind = string_after(message.substr(0, 200), R"("syncEvents":{"__typename":")");
    if (kind == "CaughtUpEvent") {
      if (batch_size_ > 0 && reader.seen != entities_) {
        why = "caught up with " + std::to_string(reader.seen) + " of " + std::to_string(entities_);
        return -1;
      }
      cursor_ = string_after(message, R"("cursor":")");
      reader.is_over = true;
      return 0;
    }
    if (kind != "DataUpdateEvent") {
      why = "not an event of a catch-up";
      return -1;
    }
    ++reader.seen;
    if (batch_size_ == 0) return 1;
    const auto id = string_after(message, R"("entityId":")");
    if (reader.next % batch_size_ == 0) {
      id_.assign(id);
      const auto found = batches_.find(id_);
      if (found == batches_.end() || reader.had[found->second / batch_size_]) {
        why = "not the first entity of a batch that is still missing";
        return -1;
      }
      reader.had[found->second / batch_size_] = true;
      reader.next = found->second;
    } else if (id != uuid(family_, reader.next)) {
      why = "not entity " + std::to_string(reader.next);
      return -1;
    }
    if (++reader.next == entities_) reader.next = 0; // the last batch may be a smaller one
    return 1;
  }

 private:
  struct state {
    std::uint64_t seen = 0, next = 0;
    std::vector<bool> had; // batches of this pass
    bool is_over = false;
  };
  catch_up_options options_;
  std::size_t batch_size_, passes_ = 0;
  std::uint64_t family_, entities_;
  std::string cursor_, query_, text_, id_;
  scenario scenario_;
  std::unordered_map<std::string, std::uint64_t> batches_; // by the id of the first entity
  std::vector<state> readers_;
};

} // namespace

std::string event_variables(const scenario& s, std::size_t connection, const std::string& cursor) {
  std::string out = R"({"device":")";
  out.append(uuid(device_family(s.tenant), connection)).append(R"(","after":)");
  if (cursor.empty())
    out.append("null}");
  else
    out.append("\"").append(cursor).append("\"}");
  return out;
}

std::unique_ptr<workload> make_registration(const scenario& s, std::size_t first) {
  return std::make_unique<registration>(s, first);
}
std::unique_ptr<arrivals> make_arrivals(std::size_t connections) {
  return std::make_unique<counted_arrivals>(connections);
}
std::unique_ptr<push_edits> make_push_edits(fleet& on, const scenario& s, push_options options) {
  return std::make_unique<pushing>(on, s, std::move(options));
}
std::unique_ptr<catch_up> make_catch_up(const scenario& s, catch_up_options options) {
  return std::make_unique<catching_up>(s, std::move(options));
}

} // namespace mooring::bench
