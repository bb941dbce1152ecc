// Filling a store, and C and F: edits of what was filled.
#include <algorithm>
#include <vector>

#include "bench/load/documents.hpp"
#include "bench/load/frames.hpp"
#include "bench/load/ids.hpp"
#include "bench/load/request.hpp"
#include "bench/load/workloads.hpp"

namespace mooring::bench {
namespace {

class fill final : public workload {
 public:
  // One more template for the last, smaller batch.
  fill(const scenario& s, std::size_t batch_size, bool each_its_own)
      : now_ms_(s.now_ms)
      , domain_(s.domain)
      , batch_size_(std::min<std::uint64_t>(batch_size, s.entities))
      , full_(batch_size_)
      , rest_(each_its_own ? 0 : s.entities % batch_size_)
      , salt_(scramble(s.salt))
      , devices_(device_family(s.tenant))
      , family_(entity_family(s.tenant))
      , entities_(s.entities)
      , each_its_own_(each_its_own)
      , done_(s.connections) {
    prepare(full_);
    if (rest_.size > 0) prepare(rest_);
  }

  bool write(std::size_t connection, std::string_view operation, std::string& out) override {
    if (each_its_own_ ? static_cast<bool>(done_[connection]) : next_ >= entities_) return false;
    const auto begin = each_its_own_ ? connection * entities_ : next_;
    const auto& request = each_its_own_ || entities_ - next_ >= batch_size_ ? full_ : rest_;
    next_ += request.size;
    done_[connection] = true;
    const auto at = request.frame.stamp(out);
    request.frame.fill(out, at, request.operation, operation);
    request.frame.fill(out, at, request.key, uuid(~salt_ + 1, begin)); // not a key of the edits
    request.frame.fill(out, at, request.device, uuid(devices_, connection));
    for (std::size_t i = 0; i < request.size; ++i) {
      request.frame.fill(out, at, request.entity[i], uuid(family_, begin + i));
      request.frame.fill(out, at, request.note[i], uuid(~family_, begin + i));
    }
    return true;
  }

  std::int64_t accept(std::size_t, std::string_view message, std::string& why) override {
    std::size_t from = 0;
    const auto total = integer_after(message, R"("overallMetrics":{"totalItems":)", from);
    if (!has(message, R"("syncBatch":{"success":true,)") ||
        !has(message, R"("failedItems":0,"conflictsDetected":0)") || !has(message, R"("replayed":false)") ||
        total < 1) {
      why = "not the answer to a stored batch";
      return -1;
    }
    return total;
  }

 private:
  struct batch {
    explicit batch(std::uint64_t items)
        : size(items)
        , entity(items)
        , note(items) {}
    std::uint64_t size;
    frame_template frame;
    frame_template::slot operation = 0, key = 0, device = 0;
    std::vector<frame_template::slot> entity, note;
  };

  void prepare(batch& request) {
    auto& f = request.frame;
    const instant_text now(now_ms_);
    request.operation = begin_request(f, fill_document);
    f.text(R"({"batch":{"idempotencyKey":")");
    request.key = f.hole(uuid::width);
    f.text(R"(","deviceId":")");
    request.device = f.hole(uuid::width);
    f.text(R"(","clientTimestamp":")");
    f.text(now);
    f.text(R"(","operations":[)");
    for (std::size_t i = 0; i < request.size; ++i) {
      f.text(i == 0 ? R"({"domain":")" : R"(,{"domain":")");
      f.text(domain_);
      f.text(R"(","operation":"CREATE","entityId":")");
      request.entity[i] = f.hole(uuid::width);
      f.text(R"(","data":{"title":"Inspect pump 7","status":"open","priority":3,"site":"north","note":")");
      request.note[i] = f.hole(uuid::width);
      f.text(R"("},"modifiedAt":")");
      f.text(now);
      f.text(R"("})");
    }
    f.text("]}}");
    end_request(f);
  }

  std::int64_t now_ms_;
  std::string domain_;
  std::uint64_t batch_size_;
  batch full_, rest_;
  std::uint64_t salt_, devices_, family_, entities_;
  bool each_its_own_;
  std::vector<bool> done_;
  std::uint64_t next_ = 0;
};

class edits final : public workload {
 public:
  edits(const scenario& s, edit_options options, bool each_its_own)
      : salt_(scramble(s.salt))
      , devices_(device_family(s.tenant))
      , family_(entity_family(s.tenant))
      , connections_(s.connections)
      , options_(options)
      , each_its_own_(each_its_own)
      , per_tenant_(s.entities) {
    operation_ = begin_request(frame_, operations_document);
    frame_.text(R"({"operations":[{"domain":"TASK","operation":"UPDATE","entityId":")");
    entity_ = frame_.hole(uuid::width);
    frame_.text(R"(","baseVersion":)");
    base_version_ = frame_.hole(padded_integer::width);
    frame_.text(R"(,"data":{"status":"in_progress","note":")");
    note_ = frame_.hole(uuid::width);
    frame_.text(R"("},"modifiedAt":")");
    frame_.text(instant_text(s.now_ms));
    frame_.text(R"("}],"key":")");
    key_ = frame_.hole(uuid::width);
    frame_.text(R"(","device":")");
    device_ = frame_.hole(uuid::width);
    frame_.text(R"("})");
    end_request(frame_);
    const auto total = each_its_own ? s.entities * s.connections : s.entities;
    version_.assign(total, 1);
    turn_.assign(s.connections, 0);
    chosen_.assign(s.connections, 0);
  }

  bool write(std::size_t connection, std::string_view operation, std::string& out) override {
    const auto entity = choose(connection);
    if (entity >= version_.size()) return false; // it owns none
    chosen_[connection] = entity;
    const auto at = frame_.stamp(out);
    frame_.fill(out, at, operation_, operation);
    frame_.fill(out, at, entity_, uuid(family_, entity));
    frame_.fill(out, at, base_version_, padded_integer(version_[entity]));
    frame_.fill(out, at, note_, uuid(salt_, next_));
    frame_.fill(out, at, key_, uuid(~salt_, next_++));
    frame_.fill(out, at, device_, uuid(devices_, connection));
    return true;
  }

  std::int64_t accept(std::size_t connection, std::string_view message, std::string& why) override {
    auto& version = version_[chosen_[connection]];
    std::size_t from = 0;
    const auto now = integer_after(message, R"("version":)", from);
    if (!has(message, R"("syncOperations":{"success":true,"syncedItems":1,"failedItems":0,)") ||
        !has(message, R"("conflictDetected":false)") || !has(message, R"("duplicate":false)") ||
        !has(message, R"("replayed":false)") || now != static_cast<std::int64_t>(version) + 1) {
      why = "not the answer to one accepted edit of version " + std::to_string(version);
      return -1;
    }
    version = static_cast<std::uint32_t>(now);
    return 1;
  }

 private:
  std::uint64_t choose(std::size_t connection) {
    auto& turn = turn_[connection];
    if (each_its_own_) return connection * per_tenant_ + turn++ % per_tenant_;
    const auto own =
        (version_.size() - connection + connections_ - 1) / connections_; // entities of this connection
    if (own == 0 || connection >= version_.size()) return version_.size();
    if (!options_.scattered) return connection + turn++ % own * connections_;
    const auto in_part = std::max<std::uint64_t>(1, own / options_.parts);
    const auto pick = options_.part * in_part + scramble(salt_ ^ (turn++ << 20) ^ connection) % in_part;
    return connection + pick % own * connections_;
  }

  frame_template frame_;
  frame_template::slot operation_ = 0, entity_ = 0, base_version_ = 0, note_ = 0, key_ = 0, device_ = 0;
  std::uint64_t salt_, devices_, family_;
  std::size_t connections_;
  edit_options options_;
  bool each_its_own_;
  std::uint64_t per_tenant_;
  std::vector<std::uint32_t> version_; // of each entity, as the answers said
  std::vector<std::uint64_t> turn_;    // per connection
  std::vector<std::uint64_t> chosen_;  // per connection: the entity of the operation in flight
  std::uint64_t next_ = 0;
};

} // namespace

std::unique_ptr<workload> make_fill(const scenario& s, std::size_t batch_size) {
  return std::make_unique<fill>(s, batch_size, false);
}
std::unique_ptr<workload> make_edits(const scenario& s, edit_options options) {
  return std::make_unique<edits>(s, options, false);
}
std::unique_ptr<workload> make_own_fill(const scenario& s) {
  return std::make_unique<fill>(s, s.entities, true);
}
std::unique_ptr<workload> make_own_edits(const scenario& s) {
  return std::make_unique<edits>(s, edit_options{}, true);
}

} // namespace mooring::bench
