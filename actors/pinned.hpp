// pinned<State, Handle>: an actor that always runs on one home, whoever sends to it. See home.hpp for why.
//
// State is constructed with (self, arguments…) on the spawning thread and has `behavior()`; on_exit destroys it.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/home.hpp"

namespace mooring::actors {

template<class State, class Handle> class pinned final : public Handle::base {
 public:
  using super = typename Handle::base;

  template<class... Arguments>
  pinned(caf::actor_config& config, home& where, Arguments&&... arguments)
      : super(config)
      , where_(where)
      , state_(std::in_place, this, std::forward<Arguments>(arguments)...) {}

  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit*) override {
    super::enqueue(std::move(element), &where_);
  }
  const char* name() const override { return State::actor_name; }
  void on_exit() override { state_.reset(); }

 protected:
  typename Handle::behavior_type make_behavior() override { return state_->behavior(); }

 private:
  home& where_;
  std::optional<State> state_;
};

template<class State, class Handle, class... Arguments>
Handle spawn_pinned(caf::actor_system& system, home& where, Arguments&&... arguments) {
  caf::actor_config config{&where};
  return system.spawn_class<pinned<State, Handle>, caf::no_spawn_options>(
      config, std::ref(where), std::forward<Arguments>(arguments)...);
}

} // namespace mooring::actors
