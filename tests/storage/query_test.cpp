#include "storage/query.hpp"

#include <algorithm>

#include "storage/tenants.hpp"
#include "tests/storage/sample.hpp"
#include "tests/storage/support.hpp"

using namespace mooring;
using namespace mooring::storage;
using namespace mooring::storage::test;

namespace {

struct asked {
  scratch_folder folder;
  std::unique_ptr<environment> env = open_environment(folder.path());
  read_transaction snapshot;
  sync::rule_settings rules;
  directory names;
  std::string online = "tablet-a";

  asked() {
    store_writes(*env, "acme", sample_tenant("acme"));
    snapshot = good(env->begin_read());
  }
  result<sync::query_answer> ask(const std::string& user, const sync::query& what, bool admin = false) {
    tenant_store store(snapshot, "acme");
    sync::caller who;
    who.tenant = "acme";
    who.user = user;
    who.is_admin = admin;
    query_setting setting;
    setting.rules = &rules;
    setting.now = sample_time;
    setting.online = [&](std::string_view device) { return device == online; };
    return answer_query(store, names, who, what, setting);
  }
  template<class T> T get(const std::string& user, const sync::query& what, bool admin = false) {
    auto answer = good(ask(user, what, admin));
    REQUIRE(std::holds_alternative<T>(answer));
    return std::get<T>(std::move(answer));
  }
  std::vector<std::string> changes(const std::string& user, const sync::get_changes& what) {
    std::vector<std::string> ids;
    for (const auto& one : get<sync::change_page>(user, what).entities) ids.push_back(one.id);
    return ids;
  }
  std::vector<std::string> conflicts(const std::string& user, const sync::list_conflicts& what) {
    std::vector<std::string> ids;
    for (const auto& one : get<sync::conflict_page>(user, what).conflicts) ids.push_back(one.id);
    return ids;
  }
};

using ids = std::vector<std::string>;
using maybe_entity = std::optional<sync::entity_answer>;
using maybe_conflict = std::optional<sync::conflict>;
using maybe_device = std::optional<sync::device_answer>;

} // namespace

TEST_CASE("an entity is answered with names, to those who may see it") {
  asked is;
  const auto shared = is.get<maybe_entity>("bob", sync::get_entity{sync::domain::task, "t1"});
  REQUIRE(shared);
  CHECK(shared->version == 3);
  CHECK(*shared->device_id == "phone-a");
  CHECK(*shared->user_id == "ann");
  CHECK(shared->data == text_object("t1"));
  CHECK(is.get<maybe_entity>("ann", sync::get_entity{sync::domain::journal, "j1"}));
  CHECK(!is.get<maybe_entity>("bob", sync::get_entity{sync::domain::journal, "j1"}));
  CHECK(!is.get<maybe_entity>("nobody", sync::get_entity{sync::domain::journal, "j1"}));
  CHECK(!is.get<maybe_entity>("ann", sync::get_entity{sync::domain::task, "t9"}));
  CHECK(is.get<maybe_entity>("nobody", sync::get_entity{sync::domain::task, "t2"})->deleted);
}

TEST_CASE("changes are paged, and pages join without gap or repetition") {
  asked is;
  CHECK(is.changes("ann", {}) == ids{"v1", "t1", "j1", "t2"});
  CHECK(is.changes("bob", {}) == ids{"t1", "j2", "t2"});
  CHECK(is.changes("nobody", {}) == ids{"t1", "t2"});
  sync::get_changes journal;
  journal.domains = sync::domain_set{1} << static_cast<unsigned>(sync::domain::journal);
  CHECK(is.changes("ann", journal) == ids{"j1"});

  ids read;
  sync::get_changes page;
  page.first = 1;
  for (int pages = 0; pages < 20; ++pages) {
    const auto answer = is.get<sync::change_page>("ann", page);
    for (const auto& one : answer.entities) read.push_back(one.id);
    page.since = answer.upto;
    if (!answer.has_more) break;
  }
  CHECK(read == ids{"v1", "t1", "j1", "t2"});
  const auto at_end = is.get<sync::change_page>("ann", page);
  CHECK(at_end.entities.empty());
  CHECK(at_end.upto == 12); // also what one may not see was read
}

TEST_CASE("a cursor older than what was swept is refused") {
  asked is;
  sync::get_changes page;
  page.since = 0; // the sample was swept up to 1
  const auto refused = is.ask("ann", page);
  REQUIRE(!refused);
  CHECK(refused.failure().code == error_code::bad_user_input);
  page.since = 1;
  CHECK(is.changes("ann", page).size() == 4);
}

TEST_CASE("conflicts are found and listed for those who may see them") {
  asked is;
  CHECK(is.get<maybe_conflict>("ann", sync::get_conflict{"c7"}));
  CHECK(is.get<maybe_conflict>("ann", sync::get_conflict{"c8"}));
  CHECK(!is.get<maybe_conflict>("bob", sync::get_conflict{"c8"}));
  for (const auto* none : {"", "c", "x7", "c07", "c7x", "c99", "c99999999999999999999999"})
    CHECK(!is.get<maybe_conflict>("ann", sync::get_conflict{none}));
  CHECK(is.conflicts("ann", {}) == ids{"c7"});
  CHECK(is.conflicts("bob", {}) == ids{"c7", "c11"});
  sync::list_conflicts any;
  any.status.reset();
  CHECK(is.conflicts("ann", any) == ids{"c7", "c8"});
  any.first = 1;
  const auto page = is.get<sync::conflict_page>("ann", any);
  CHECK(page.has_more);
  CHECK(page.last == 7);
  any.after = page.last;
  const auto rest = is.get<sync::conflict_page>("ann", any);
  CHECK(rest.conflicts.size() == 1);
  CHECK(!rest.has_more);
}

TEST_CASE("devices are one's own, an admin sees all") {
  asked is;
  const auto mine = is.get<std::vector<sync::device_answer>>("ann", sync::list_devices{});
  REQUIRE(mine.size() == 2);
  CHECK(mine[0].is.id == "phone-a");
  CHECK(mine[0].user_id == "ann");
  CHECK(!mine[0].online);
  CHECK(mine[0].pending_changes == 1); // the notification: all else is its own work
  CHECK(mine[1].online);
  CHECK(mine[1].pending_changes == 7);
  CHECK(is.get<std::vector<sync::device_answer>>("nobody", sync::list_devices{}).empty());
  CHECK(is.get<maybe_device>("bob", sync::get_device{"phone-b"}));
  CHECK(!is.get<maybe_device>("bob", sync::get_device{"phone-a"}));
  CHECK(is.get<maybe_device>("bob", sync::get_device{"phone-a"}, true));
  CHECK(!is.get<maybe_device>("bob", sync::get_device{"phone-z"}, true));
}

TEST_CASE("policies are those in force, of every domain that has conflicts") {
  asked is;
  const auto policies = is.get<std::vector<sync::policy>>("ann", sync::list_policies{});
  REQUIRE(policies.size() == 5);
  CHECK(policies[0].in == sync::domain::journal);
  CHECK(policies[0].resolution == sync::strategy::merge);  // set
  CHECK(policies[2].resolution == sync::strategy::manual); // set
  CHECK(policies[3] == sync::default_policy(sync::domain::ticket));
}

TEST_CASE("what cannot be read is INTERNAL and not half an answer") {
  asked is;
  const auto key = keys::feed(hash_tenant("acme"), 8);
  is.snapshot.park();
  put_row(*is.env, key.view(), "damaged");
  good(is.snapshot.renew());
  const auto failed = is.ask("ann", sync::get_changes{});
  REQUIRE(!failed);
  CHECK(failed.failure().code == error_code::internal);
}

TEST_CASE("walking the tenants passes over what is damaged or has no counters") {
  asked is;
  is.snapshot.park();
  store_writes(*is.env, "only a policy", {sync::policy{}});
  store_writes(*is.env, "other", sample_tenant("other"));
  put_row(*is.env, keys::counters(hash_tenant("other")).view(), "damaged");
  store_writes(*is.env, "third", sample_tenant("third"));
  good(is.snapshot.renew());
  ids names;
  for (auto at = next_tenant(is.snapshot, 0); at; at = next_tenant(is.snapshot, at->hash + 1))
    names.push_back(at->name);
  std::sort(names.begin(), names.end());
  CHECK(names == ids{"acme", "third"});
}
