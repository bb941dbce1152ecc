#include "actors/device.hpp"

#include <caf/all.hpp>

#include "actors/inspection.hpp"

namespace mooring::actors {

device_state::device_state(device_actor::pointer self, const surroundings& around,
                           const std::string& tenant_name, std::string id, tenant_actor tenant,
                           std::uint32_t restarts)
    : self_(self)
    , around_(around)
    , id_(std::move(id))
    , tenant_(std::move(tenant))
    , stay_(around.who->enter({actor_kind::device, self->id(), tenant_name + "/" + id_, tenant_.id(),
                               around.time->now(), restarts, caf::weak_actor_ptr{self->ctrl()}}))
    , started_us_(around.time->monotonic_us()) {}

device_actor::behavior_type device_state::behavior() {
  return {
      [this](device_command& message) { take(std::move(message.request)); },
      [this](command_decided&) { next(); },
      [this](stop_if_idle) { end_if_idle(); },
      [this](inspect_request) { return inspect(); },
  };
}

void device_state::take(command_ptr request) {
  request->device = self_;
  if (!deciding_) return hand_on(std::move(request));
  if (waiting_.size() < around_.settings.device_queue_max) {
    waiting_.push_back(std::move(request));
    return;
  }
  request->answer =
      error{error_code::unavailable, "too many requests of this device wait for their turn", {}, 1'000};
  const auto to = request->reply_to;
  self_->send(to, command_done{std::move(request)});
}

void device_state::hand_on(command_ptr request) {
  deciding_ = true;
  ++handled_;
  self_->send(tenant_, decide_command{std::move(request)});
}

void device_state::next() {
  deciding_ = false;
  if (waiting_.empty()) return;
  auto request = std::move(waiting_.front());
  waiting_.pop_front();
  hand_on(std::move(request));
}

void device_state::end_if_idle() {
  // Messages that are still in the mailbox are not lost: network actors hear of the end and send them anew, and the tenant
  // sends none until it knows.
  if (!deciding_ && waiting_.empty())
    self_->quit();
  else
    self_->send(tenant_, goes_on{});
}

inspect_answer device_state::inspect() const {
  inspection out("device", id_, (around_.time->monotonic_us() - started_us_) / 1000);
  out.number("handled", static_cast<std::int64_t>(handled_));
  out.number("waiting", static_cast<std::int64_t>(waiting_.size()));
  out.text("state", deciding_ ? "deciding" : "idle");
  return out.take();
}

} // namespace mooring::actors
