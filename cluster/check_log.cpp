#include "cluster/check_log.hpp"

#include <memory>

#include <fmt/format.h>

#include "cluster/lmdb_storage.hpp"
#include "cluster/message_check.hpp"
#include "cluster/pending_apply.hpp"
#include "cluster/replica_store.hpp"

namespace mooring::cluster {

result<void> check_log(storage::environment& where, row_reader read_rows, log_report& report) {
  const auto storage = make_lmdb_storage(std::shared_ptr<storage::environment>(&where, [](auto*) {}));
  replica_contents contents;
  const auto found = read_replica(*storage, contents, &report.problems);
  if (!found) return found.failure();
  report.present = *found;
  if (!report.present) return {};
  report.members = contents.who.members;
  report.self = contents.who.self;
  report.term = contents.hard.term;
  report.applied = contents.applied.index;
  report.first = contents.applied.log_first;
  report.last = report.first == 0 ? 0 : report.first - 1 + contents.entries.size();
  report.bytes = contents.bodies.size();
  if (contents.hard.vote != 0 && contents.who.self != 0 && !contents.who.members.find(contents.hard.vote))
    report.problems.push_back(fmt::format("vote: node {} is no member", contents.hard.vote));
  report.bodies = std::make_unique<const std::string>(std::move(contents.bodies));
  pending_apply unapplied;
  std::vector<row> rows;
  auto index = report.first;
  for (const auto& entry : contents.entries) {
    const auto body = std::string_view(*report.bodies).substr(entry.body_at, entry.body_bytes);
    if (entry.type == entry_type::command) {
      if (!rows_are_valid(body, read_rows, rows))
        report.problems.push_back(fmt::format("log entry {}: its body does not decode", index));
      else if (index > report.applied)
        unapplied.add(rows, 0);
    }
    ++index;
  }
  report.unapplied = unapplied.take_merged();
  return {};
}

} // namespace mooring::cluster
