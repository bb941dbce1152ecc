#include "graphql/overlapping_fields.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/core.h>

#include "base/text_map.hpp"

namespace mooring::graphql {

namespace {

// One selection of a field, with the type it is selected on (nullptr: not known) and its definition (nullptr:
// none).
struct field_use {
  const type* parent;
  const ast::selection* node;
  const field* definition;
};

struct field_group {
  std::string_view response_name;
  std::vector<field_use> uses;
};

// The fields and fragments of one selection set, inline fragments unfolded.
struct collected {
  std::vector<field_group> groups;
  text_map<std::string_view, std::size_t> group_numbers;
  std::vector<const ast::fragment*> fragments; // each once
};

struct conflict {
  std::string_view response_name;
  std::string reason;
  std::vector<std::uint32_t> first; // offsets of the fields on both sides
  std::vector<std::uint32_t> second;
};

struct pair_hash {
  std::size_t operator()(const std::pair<const void*, const void*>& pair) const {
    const auto a = reinterpret_cast<std::uintptr_t>(pair.first);
    const auto b = reinterpret_cast<std::uintptr_t>(pair.second);
    return static_cast<std::size_t>(a * 0x9e3779b97f4a7c15u ^ (b + (a >> 7)));
  }
};

// Pairs that have been compared. A pair compared as "may meet" has been compared as "never meet" as well, for
// that asks less.
class compared_pairs {
 public:
  // True when the pair is new.
  bool add(const void* a, const void* b, bool exclusive) {
    const auto [entry, inserted] = pairs_.emplace(std::pair(a, b), exclusive);
    if (inserted) return true;
    if (exclusive || !entry->second) return false;
    entry->second = false;
    return true;
  }

 private:
  std::unordered_map<std::pair<const void*, const void*>, bool, pair_hash> pairs_;
};

bool same_value(const ast::value& a, const ast::value& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
  case ast::value_kind::null: return true;
  case ast::value_kind::boolean: return a.boolean == b.boolean;
  case ast::value_kind::list:
    return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same_value);
  case ast::value_kind::object: {
    if (a.fields.size() != b.fields.size()) return false;
    // The order of fields means nothing. Names occur twice only in documents that another rule refuses.
    using fields = std::vector<const ast::object_field*>;
    const auto sorted = [](const ast::value& value) {
      fields out;
      for (const auto& field : value.fields) out.push_back(&field);
      std::stable_sort(out.begin(), out.end(),
                       [](const auto* x, const auto* y) { return x->name.text < y->name.text; });
      return out;
    };
    const auto x = sorted(a);
    const auto y = sorted(b);
    return std::equal(x.begin(), x.end(), y.begin(), [](const auto* m, const auto* n) {
      return m->name.text == n->name.text && same_value(m->value, n->value);
    });
  }
  default: return a.text == b.text;
  }
}

bool same_arguments(const ast::selection& a, const ast::selection& b) {
  if (a.arguments.size() != b.arguments.size()) return false;
  return std::all_of(a.arguments.begin(), a.arguments.end(), [&](const ast::argument& x) {
    const ast::argument* found = nullptr;
    for (const auto& y : b.arguments)
      if (y.name.text == x.name.text) found = &y;
    return found != nullptr && same_value(x.value, found->value);
  });
}

class overlap_check {
 public:
  overlap_check(const schema& of, const ast::document& document,
                const std::vector<const ast::fragment*>& fragments, std::uint32_t comparisons_max,
                error_list& errors)
      : schema_(of)
      , document_(document)
      , fragment_of_(fragments)
      , comparisons_left_(comparisons_max)
      , errors_(errors) {}

  void run() {
    for (const auto& definition : document_.definitions) {
      if (definition.kind == ast::definition_kind::operation) {
        const auto root = schema_.root(definition.operation->kind);
        visit(root == no_type ? nullptr : &schema_.type(root), definition.operation->selections);
      } else if (definition.kind == ast::definition_kind::fragment) {
        visit(composite(definition.fragment->type_condition.text), definition.fragment->selections);
      }
    }
  }

 private:
  static constexpr int nesting_max = 500; // of comparisons in each other; a stack frame each

  const type* composite(std::string_view name) const {
    const auto* type = schema_.find_type(name);
    return type != nullptr && type->is_composite() ? type : nullptr;
  }
  const type* composite_of(const field* definition) const {
    if (definition == nullptr) return nullptr;
    const auto& type = schema_.named_type(definition->type);
    return type.is_composite() ? &type : nullptr;
  }
  const type* condition(const ast::selection& inline_fragment, const type* parent) const {
    return inline_fragment.type_condition.present() ? composite(inline_fragment.type_condition.text) : parent;
  }

  bool stopped() const { return errors_.full(); }
  bool spend() {
    if (comparisons_left_ == 0) {
      errors_.stop("Document needs too many comparisons of fields that share a response name.");
      return false;
    }
    --comparisons_left_;
    return !stopped();
  }

  // Every selection set is held against itself once.
  void visit(const type* parent, const ast::selection_set& set) {
    if (stopped()) return;
    for (const auto& found : within(parent, set)) {
      auto at = found.first;
      at.insert(at.end(), found.second.begin(), found.second.end());
      errors_.add(
          "OverlappingFieldsCanBeMerged",
          fmt::format(
              "Fields \"{}\" conflict because {}. Use different aliases on the fields to fetch both if "
              "this was intentional.",
              found.response_name, found.reason),
          at);
    }
    for (const auto& selection : set.items) {
      if (!selection.selections.present) continue;
      if (selection.kind == ast::selection_kind::inline_fragment)
        visit(condition(selection, parent), selection.selections);
      else
        visit(composite_of(definition_of(parent, selection)), selection.selections);
    }
  }

  const field* definition_of(const type* parent, const ast::selection& selection) const {
    return parent == nullptr ? nullptr : schema_.find_field(*parent, selection.name.text);
  }

  const collected& collect(const type* parent, const ast::selection_set& set) {
    auto& entry = collected_[&set];
    if (!entry) {
      entry = std::make_unique<collected>();
      collect_into(*entry, parent, set);
    }
    return *entry;
  }
  const collected& collect(const ast::fragment& fragment) {
    return collect(composite(fragment.type_condition.text), fragment.selections);
  }

  void collect_into(collected& to, const type* parent, const ast::selection_set& set) {
    for (const auto& selection : set.items) {
      switch (selection.kind) {
      case ast::selection_kind::field: {
        const auto name = selection.response_name();
        const auto [number, inserted] = to.group_numbers.emplace(name, to.groups.size());
        if (inserted) to.groups.push_back({name, {}});
        to.groups[number->second].uses.push_back({parent, &selection, definition_of(parent, selection)});
        break;
      }
      case ast::selection_kind::fragment_spread:
        if (const auto* fragment = fragment_of_[selection.index];
            fragment != nullptr &&
            std::find(to.fragments.begin(), to.fragments.end(), fragment) == to.fragments.end())
          to.fragments.push_back(fragment);
        break;
      case ast::selection_kind::inline_fragment:
        collect_into(to, condition(selection, parent), selection.selections);
        break;
      }
    }
  }

  using conflicts = std::vector<conflict>;

  conflicts within(const type* parent, const ast::selection_set& set) {
    conflicts out;
    const auto& fields = collect(parent, set);
    for (const auto& group : fields.groups)
      for (std::size_t i = 0; i < group.uses.size(); ++i)
        for (auto j = i + 1; j < group.uses.size(); ++j)
          compare(out, group.response_name, group.uses[i], group.uses[j], false);
    for (std::size_t i = 0; i < fields.fragments.size(); ++i) {
      fields_and_fragment(out, fields, *fields.fragments[i], false);
      for (auto j = i + 1; j < fields.fragments.size(); ++j)
        fragments(out, *fields.fragments[i], *fields.fragments[j], false);
    }
    return out;
  }

  void between(conflicts& out, const collected& a, const collected& b, bool exclusive) {
    for (const auto& group : a.groups) {
      const auto other = b.group_numbers.find(group.response_name);
      if (other == b.group_numbers.end()) continue;
      for (const auto& x : group.uses)
        for (const auto& y : b.groups[other->second].uses) {
          if (stopped()) return;
          compare(out, group.response_name, x, y, exclusive);
        }
    }
  }

  void fields_and_fragment(conflicts& out, const collected& fields, const ast::fragment& fragment,
                           bool exclusive) {
    if (stopped() || !fields_and_fragments_.add(&fields, &fragment, exclusive)) return;
    const nesting_guard guard(*this);
    if (!guard) return;
    const auto& other = collect(fragment);
    if (&other == &fields) return;
    between(out, fields, other, exclusive);
    for (const auto* nested : other.fragments) fields_and_fragment(out, fields, *nested, exclusive);
  }

  void fragments(conflicts& out, const ast::fragment& a, const ast::fragment& b, bool exclusive) {
    if (stopped() || &a == &b) return;
    const bool ordered = a.name.text < b.name.text;
    if (!fragment_pairs_.add(ordered ? &a : &b, ordered ? &b : &a, exclusive)) return;
    const nesting_guard guard(*this);
    if (!guard) return;
    const auto& fields_a = collect(a);
    const auto& fields_b = collect(b);
    between(out, fields_a, fields_b, exclusive);
    for (const auto* nested : fields_b.fragments) fragments(out, a, *nested, exclusive);
    for (const auto* nested : fields_a.fragments) fragments(out, *nested, b, exclusive);
  }

  conflicts selection_sets(const type* type_a, const ast::selection_set& a, const type* type_b,
                           const ast::selection_set& b, bool exclusive) {
    conflicts out;
    const auto& fields_a = collect(type_a, a);
    const auto& fields_b = collect(type_b, b);
    between(out, fields_a, fields_b, exclusive);
    for (const auto* fragment : fields_b.fragments) fields_and_fragment(out, fields_a, *fragment, exclusive);
    for (const auto* fragment : fields_a.fragments) fields_and_fragment(out, fields_b, *fragment, exclusive);
    for (const auto* x : fields_a.fragments)
      for (const auto* y : fields_b.fragments) fragments(out, *x, *y, exclusive);
    return out;
  }

  // Adds the conflict of two uses of one response name, when there is one. `exclusive`: the objects that they
  // are selected on can never be the same; then only the shape of their results must agree
  // (SameResponseShape).
  void compare(conflicts& out, std::string_view response_name, const field_use& a, const field_use& b,
               bool exclusive) {
    if (!spend()) return;
    exclusive = exclusive || (a.parent != b.parent && a.parent != nullptr && b.parent != nullptr &&
                              a.parent->kind == type_kind::object && b.parent->kind == type_kind::object);
    const auto report = [&](std::string reason) {
      if (conflicts_left_ == 0) return; // enough of them to refuse the document and to say why
      --conflicts_left_;
      out.push_back({response_name, std::move(reason), {a.node->offset}, {b.node->offset}});
    };
    if (!exclusive) {
      if (a.node->name.text != b.node->name.text)
        return report(
            fmt::format("\"{}\" and \"{}\" are different fields", a.node->name.text, b.node->name.text));
      if (!same_arguments(*a.node, *b.node)) return report("they have differing arguments");
    }
    if (a.definition != nullptr && b.definition != nullptr &&
        types_conflict(a.definition->type, b.definition->type))
      return report(fmt::format("they return conflicting types \"{}\" and \"{}\"",
                                schema_.to_string(a.definition->type),
                                schema_.to_string(b.definition->type)));
    if (!a.node->selections.present || !b.node->selections.present) return;
    const nesting_guard guard(*this);
    if (!guard) return;
    const auto nested = selection_sets(composite_of(a.definition), a.node->selections,
                                       composite_of(b.definition), b.node->selections, exclusive);
    if (nested.empty()) return;
    conflict found{response_name, {}, {a.node->offset}, {b.node->offset}};
    for (const auto& entry : nested) {
      if (!found.reason.empty()) found.reason += " and ";
      if (found.reason.size() < error_list::message_bytes_max)
        found.reason +=
            fmt::format("subfields \"{}\" conflict because {}", entry.response_name, entry.reason);
      found.first.insert(found.first.end(), entry.first.begin(), entry.first.end());
      found.second.insert(found.second.end(), entry.second.begin(), entry.second.end());
    }
    out.push_back(std::move(found));
  }

  bool types_conflict(type_use a, type_use b) const {
    for (;;) {
      if (a.is_list() != b.is_list() || a.is_non_null() != b.is_non_null()) return true;
      if (a.is_named()) break;
      a = a.of();
      b = b.of();
    }
    return a != b && (schema_.named_type(a).is_leaf() || schema_.named_type(b).is_leaf());
  }

  class nesting_guard {
   public:
    explicit nesting_guard(overlap_check& owner)
        : owner_(owner) {
      if (++owner_.nesting_ > nesting_max)
        owner_.errors_.stop(
            "Document spreads fragments in each other too deeply for their fields to be compared.");
    }
    ~nesting_guard() { --owner_.nesting_; }
    nesting_guard(const nesting_guard&) = delete;
    nesting_guard& operator=(const nesting_guard&) = delete;
    explicit operator bool() const { return !owner_.stopped(); }

   private:
    overlap_check& owner_;
  };

  const schema& schema_;
  const ast::document& document_;
  const std::vector<const ast::fragment*>& fragment_of_;
  std::uint32_t comparisons_left_;
  std::uint32_t conflicts_left_ = 1'000;
  int nesting_ = 0;
  error_list& errors_;
  std::unordered_map<const ast::selection_set*, std::unique_ptr<collected>> collected_;
  compared_pairs fields_and_fragments_;
  compared_pairs fragment_pairs_;
};

} // namespace

void check_overlapping_fields(const schema& schema, const ast::document& document,
                              const std::vector<const ast::fragment*>& fragments,
                              std::uint32_t comparisons_max, error_list& errors) {
  overlap_check(schema, document, fragments, comparisons_max, errors).run();
}

} // namespace mooring::graphql
