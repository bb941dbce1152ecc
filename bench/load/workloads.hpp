// The cases of the benchmark as workloads. What each stands for is said at the maker.
//
// Every connection is a device of its own with a user of its own; names come from the tenant's name and the
// connection's number, so that a later run over the same tenant finds its devices and entities again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/fleet.hpp"
#include "bench/load/histogram.hpp"

namespace mooring::bench {

struct scenario {
  std::string tenant;      // names come from it
  std::uint64_t salt = 0;  // makes the keys and new ids of this run differ from every other run's
  std::int64_t now_ms = 0; // wall clock at the start
  std::size_t connections = 1;
  std::uint64_t entities = 0;  // in the store, for the cases that edit or read them
  std::string domain = "TASK"; // of what fill makes and push edits
};

std::string user_of(std::size_t connection);

// A: syncVoiceData with 1 item, every item new.
std::unique_ptr<workload> make_voice(const scenario& s);
// A-replay: each connection's first request again and again, key and all. The first answer of each is fresh.
std::unique_ptr<workload> make_voice_replay(const scenario& s);
// The ceiling: the frames of A, sent back by the server as they are.
std::unique_ptr<workload> make_echo(const scenario& s);
// B: syncBatch with 50 items: 10 voice, 10 behavioral, 10 sessions, 10 metrics, and 10 operations of which 5
// create a task and 5 edit tasks that the device made before. Needs a fresh tenant; the first batch of a
// connection creates 10.
std::unique_ptr<workload> make_batch(const scenario& s);

// Creates the scenario's entities with batches of `batch_size` (at most 1,000) operations, spread over the
// connections; ends when all exist. The data of each is about 110 bytes.
std::unique_ptr<workload> make_fill(const scenario& s, std::size_t batch_size);

// C, F: syncOperations with 1 UPDATE of an entity that fill made. A connection owns the entities whose number
// modulo `connections` is its own and sends the right baseVersion, as it learned it from the answers. In
// turn, or, when `scattered`, at random among its own entities of part `part` of `parts` (so that runs over
// one store do not meet).
struct edit_options {
  bool scattered = false;
  std::uint64_t part = 0, parts = 1;
};
std::unique_ptr<workload> make_edits(const scenario& s, edit_options options);

// C over many tenants: connection i belongs to the tenant of its own, which holds `entities` entities made by
// its own fill (`make_own_fill`), and edits them in turn.
std::unique_ptr<workload> make_own_fill(const scenario& s);
std::unique_ptr<workload> make_own_edits(const scenario& s);

// D: each connection reads the feed from the beginning in pages of 1,000, again and again; each pass must
// find the scenario's entities.
std::unique_ptr<workload> make_changes(const scenario& s);

// M: each connection uploads a new voice item and reads the changes since it last did, in turn; it must find that item, and
// nothing of the others'. An upload is an item, a page is none.
std::unique_ptr<workload> make_phones(const scenario& s);

// ── pushes ──

// Every connection from number `first` on registers its device.
std::unique_ptr<workload> make_registration(const scenario& s, std::size_t first);

// The variables of a connection's subscription; `cursor` empty: from the acknowledged position.
std::string event_variables(const scenario& s, std::size_t connection, const std::string& cursor);

// Hears CaughtUpEvent once of each connection, and nothing else.
class arrivals : public listener {
 public:
  virtual std::size_t count() const = 0;
};
std::unique_ptr<arrivals> make_arrivals(std::size_t connections);

// Edits of HIGH priority that others hear of: syncOperations with 1 UPDATE of an entity that fill made, or
// the creation of a new one. An operation ends when it is answered and everybody who is to hear of it has.
// Every event is checked: it is the one of the edit, all hear the same ones in the same order, none is
// missing or comes twice, and nobody else hears anything.
struct push_options {
  std::size_t editors = 1;      // the first connections; each edits entities of its own, one at a time
  std::vector<bool> hears = {}; // by connection
  bool creates = false;
  std::uint64_t edits_max = 0; // 0: no end
};
struct push_latency {
  histogram from_sending; // from the edit's sending to each event
  histogram from_answer;  // from its answer; 0 when the event came first
  std::uint64_t before_answer = 0;
};
class push_edits : public workload, public listener {
 public:
  virtual const push_latency& latency() const = 0;
  virtual std::uint64_t heard() const = 0; // events, in all
};
std::unique_ptr<push_edits> make_push_edits(fleet& on, const scenario& s, push_options options);

// H: a subscription from a cursor until CaughtUpEvent, again and again. What comes in between is checked
// against fill with batches of `batch_size`: each batch whole and in order, none missing, none twice.
class catch_up : public workload {
 public:
  virtual const std::string& cursor() const = 0; // of the last CaughtUpEvent
};
struct catch_up_options {
  std::string cursor = {};    // empty: from the acknowledged position
  std::size_t batch_size = 0; // 0: nobody knows what comes
  std::size_t passes_max = 0; // 0: no end
  std::size_t first = 0;      // the connections from this number on
};
std::unique_ptr<catch_up> make_catch_up(const scenario& s, catch_up_options options);

// One cheap query on each connection, to see that it lives.
std::unique_ptr<workload> make_server_info();

} // namespace mooring::bench
