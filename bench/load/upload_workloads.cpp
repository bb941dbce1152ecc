// A, A-replay, B and the echo's frames.
#include <array>
#include <utility>
#include <vector>

#include "bench/load/documents.hpp"
#include "bench/load/frames.hpp"
#include "bench/load/ids.hpp"
#include "bench/load/request.hpp"
#include "bench/load/workloads.hpp"

namespace mooring::bench {
namespace {

// The request of A with holes for what differs.
struct voice_frame {
  frame_template frame;
  frame_template::slot operation, verification, key, device;

  explicit voice_frame(const scenario& s) {
    operation = begin_request(frame, voice_document);
    frame.text(R"({"data":[{"verificationId":")");
    verification = frame.hole(uuid::width);
    frame.text(R"(","timestamp":")");
    frame.text(instant_text(s.now_ms));
    frame.text(R"(","verified":true,"confidenceScore":0.973,"qualityScore":0.912,"processingTimeMs":412,)"
               R"("metadata":{"model":"speaker-v3","locale":"de-DE","noiseDb":31}}],"key":")");
    key = frame.hole(uuid::width);
    frame.text(R"(","device":")");
    device = frame.hole(uuid::width);
    frame.text(R"("})");
    end_request(frame);
  }
};

class voice final : public workload {
 public:
  voice(const scenario& s, bool replay)
      : request_(s)
      , salt_(scramble(s.salt))
      , devices_(device_family(s.tenant))
      , replay_(replay)
      , begun_(s.connections) {}

  bool write(std::size_t connection, std::string_view operation, std::string& out) override {
    const auto number = replay_ ? connection : next_++;
    const auto at = request_.frame.stamp(out);
    request_.frame.fill(out, at, request_.operation, operation);
    request_.frame.fill(out, at, request_.verification, uuid(salt_, number));
    request_.frame.fill(out, at, request_.key, uuid(~salt_, number));
    request_.frame.fill(out, at, request_.device, uuid(devices_, connection));
    return true;
  }

  std::int64_t accept(std::size_t connection, std::string_view message, std::string& why) override {
    const bool replayed = replay_ && begun_[connection];
    begun_[connection] = true;
    if (!has(message, R"("syncVoiceData":{"success":true,"syncedItems":1,"failedItems":0,)") ||
        !has(message, R"("duplicate":false)") ||
        !has(message, replayed ? R"("replayed":true)" : R"("replayed":false)")) {
      why = "not the answer to one stored voice item";
      return -1;
    }
    return 1;
  }

  static std::uint64_t device_family(const std::string& tenant) { return hash_name(tenant + "/devices"); }

 private:
  voice_frame request_;
  std::uint64_t salt_, devices_;
  bool replay_;
  std::vector<bool> begun_; // per connection: the fresh request was answered
  std::uint64_t next_ = 0;
};

class echo final : public workload {
 public:
  explicit echo(const scenario& s)
      : request_(s) {}
  bool write(std::size_t, std::string_view operation, std::string& out) override {
    const auto at = request_.frame.stamp(out);
    request_.frame.fill(out, at, request_.operation, operation);
    request_.frame.fill(out, at, request_.verification, uuid(1, next_));
    request_.frame.fill(out, at, request_.key, uuid(2, next_));
    request_.frame.fill(out, at, request_.device, uuid(3, next_++));
    return true;
  }
  std::int64_t accept(std::size_t, std::string_view message, std::string& why) override {
    if (message.size() == request_.frame.payload_bytes() && message.substr(0, 7) == R"({"id":")") return 1;
    why = "not the frame that was sent";
    return -1;
  }

 private:
  voice_frame request_;
  std::uint64_t next_ = 0;
};

constexpr int per_section = 10;

// The request of B. One template for all; the operations' kinds are fixed, so the first batch of a connection
// goes through a second template in which the five edits are creations.
struct batch_frame {
  frame_template frame;
  frame_template::slot operation, key, device;
  std::array<frame_template::slot, per_section> voice{}, behavioral{}, session{}, metrics_time{}, entity{};
  std::array<frame_template::slot, per_section> edit_note{};
  std::array<frame_template::slot, per_section> base_version{}; // of the edits: the last five

  batch_frame(const scenario& s, bool first) {
    const instant_text now(s.now_ms);
    operation = begin_request(frame, batch_document);
    frame.text(R"({"batch":{"idempotencyKey":")");
    key = frame.hole(uuid::width);
    frame.text(R"(","deviceId":")");
    device = frame.hole(uuid::width);
    frame.text(R"(","clientTimestamp":")");
    frame.text(now);
    frame.text(R"(","voiceData":[)");
    for (int i = 0; i < per_section; ++i) {
      frame.text(i == 0 ? R"({"verificationId":")" : R"(,{"verificationId":")");
      voice[i] = frame.hole(uuid::width);
      frame.text(R"(","timestamp":")");
      frame.text(now);
      frame.text(R"(","verified":true,"confidenceScore":0.973,"qualityScore":0.912,"processingTimeMs":412,)"
                 R"("metadata":{"model":"speaker-v3","locale":"de-DE"}})");
    }
    frame.text(R"(],"behavioralData":[)");
    for (int i = 0; i < per_section; ++i) {
      frame.text(i == 0 ? R"({"sessionId":")" : R"(,{"sessionId":")");
      behavioral[i] = frame.hole(uuid::width);
      frame.text(
          R"(","events":[{"type":"tap","x":120,"y":344,"at":12},{"type":"scroll","dy":-220,"at":950}],)"
          R"("durationMs":5300,"userInteractions":2,"screenChanges":1})");
    }
    frame.text(R"(],"sessionData":[)");
    for (int i = 0; i < per_section; ++i) {
      frame.text(i == 0 ? R"({"sessionId":")" : R"(,{"sessionId":")");
      session[i] = frame.hole(uuid::width);
      frame.text(R"(","startTime":")");
      frame.text(instant_text(s.now_ms - 600'000));
      frame.text(R"(","endTime":")");
      frame.text(now);
      frame.text(R"(","durationMs":600000,"activities":[{"kind":"inspection","steps":7}]})");
    }
    static constexpr std::string_view types[per_section] = {
        "battery", "cpu", "memory", "disk", "uplink", "downlink", "latency", "frame_rate", "temp", "crashes"};
    frame.text(R"(],"metricsData":[)");
    for (int i = 0; i < per_section; ++i) {
      frame.text(i == 0 ? R"({"metricType":")" : R"(,{"metricType":")");
      frame.text(types[i]);
      frame.text(R"(","value":72.5,"unit":"percent","timestamp":")");
      metrics_time[i] = frame.hole(instant_text::width);
      frame.text(R"(","tags":{"build":"4.2.0"}})");
    }
    frame.text(R"(],"operations":[)");
    for (int i = 0; i < per_section; ++i) {
      const bool edit = i >= 5 && !first;
      frame.text(i == 0 ? R"({"domain":"TASK","operation":")" : R"(,{"domain":"TASK","operation":")");
      frame.text(edit ? "UPDATE" : "CREATE");
      frame.text(R"(","entityId":")");
      entity[i] = frame.hole(uuid::width);
      frame.text(R"(","baseVersion":)");
      if (edit)
        base_version[i] = frame.hole(padded_integer::width);
      else
        frame.text("null");
      frame.text(edit ? R"(,"data":{"status":"in_progress","note":")"
                      : R"(,"data":{"title":"Inspect pump 7","status":"open","priority":3,"note":")");
      edit_note[i] = frame.hole(uuid::width);
      frame.text(R"("},"modifiedAt":")");
      frame.text(now);
      frame.text(R"("})");
    }
    frame.text(R"(],"metadata":{"appVersion":"4.2.0","network":"wifi"}}})");
    end_request(frame);
  }
};

class batch final : public workload {
 public:
  explicit batch(const scenario& s)
      : first_(s, true)
      , later_(s, false)
      , salt_(scramble(s.salt))
      , devices_(voice::device_family(s.tenant))
      ,
      // 30 days back, so that a millisecond for each batch of a device never reaches the future
      metrics_from_ms_(s.now_ms - 30LL * 86'400'000)
      , done_(s.connections, 0) {}

  bool write(std::size_t connection, std::string_view operation, std::string& out) override {
    const auto turn = done_[connection];
    const auto& request = turn == 0 ? first_ : later_;
    const auto& f = request.frame;
    const auto at = f.stamp(out);
    const auto number = next_++;
    f.fill(out, at, request.operation, operation);
    f.fill(out, at, request.key, uuid(~salt_, number));
    f.fill(out, at, request.device, uuid(devices_, connection));
    const instant_text measured(metrics_from_ms_ + static_cast<std::int64_t>(turn));
    const padded_integer base(turn);
    for (int i = 0; i < per_section; ++i) {
      const auto item = number * 100 + static_cast<unsigned>(i);
      f.fill(out, at, request.voice[i], uuid(salt_, item));
      f.fill(out, at, request.behavioral[i], uuid(salt_, item + 10));
      f.fill(out, at, request.session[i], uuid(salt_, item + 20));
      f.fill(out, at, request.metrics_time[i], measured);
      const bool edited_later = i >= 5;
      f.fill(out, at, request.entity[i],
             edited_later ? uuid(salt_ + 1, connection * 10 + static_cast<unsigned>(i))
                          : uuid(salt_, item + 30));
      f.fill(out, at, request.edit_note[i], uuid(salt_, item + 40));
      if (edited_later && turn > 0) f.fill(out, at, request.base_version[i], base);
    }
    return true;
  }

  std::int64_t accept(std::size_t connection, std::string_view message, std::string& why) override {
    ++done_[connection];
    if (!has(message, R"("syncBatch":{"success":true,)") ||
        !has(
            message,
            R"("overallMetrics":{"totalItems":50,"syncedItems":50,"failedItems":0,"conflictsDetected":0,)") ||
        has(message, R"("duplicate":true)") || !has(message, R"("replayed":false)")) {
      why = "not the answer to 50 stored items";
      return -1;
    }
    return 5 * per_section;
  }

 private:
  batch_frame first_, later_;
  std::uint64_t salt_, devices_;
  std::int64_t metrics_from_ms_;
  std::vector<std::uint64_t> done_; // batches, per connection: also the version of its five edited tasks
  std::uint64_t next_ = 0;
};

} // namespace

std::unique_ptr<workload> make_voice(const scenario& s) {
  return std::make_unique<voice>(s, false);
}
std::unique_ptr<workload> make_voice_replay(const scenario& s) {
  return std::make_unique<voice>(s, true);
}
std::unique_ptr<workload> make_echo(const scenario& s) {
  return std::make_unique<echo>(s);
}
std::unique_ptr<workload> make_batch(const scenario& s) {
  return std::make_unique<batch>(s);
}

} // namespace mooring::bench
