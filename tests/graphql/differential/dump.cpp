#include <fmt/core.h>

#include "tests/graphql/differential/answers.hpp"

namespace mooring::graphql::differential {

namespace {

class dumper {
 public:
  explicit dumper(const ast::document& document)
      : document_(document) {}

  std::string run() const {
    std::string out;
    for (const auto& definition : document_.definitions) {
      if (!out.empty()) out.push_back('\n');
      switch (definition.kind) {
      case ast::definition_kind::operation: out += operation(*definition.operation); break;
      case ast::definition_kind::fragment: out += fragment(*definition.fragment); break;
      case ast::definition_kind::schema: out += schema(*definition.schema); break;
      case ast::definition_kind::type: out += type_definition(*definition.type); break;
      case ast::definition_kind::directive: out += directive_definition(*definition.directive); break;
      }
    }
    return out;
  }

 private:
  std::string at(std::uint32_t offset) const {
    const auto where = document_.locate(offset);
    return fmt::format("@{}:{}", where.line, where.column);
  }
  template<class T, class One> std::string many(const list<T>& nodes, One&& one) const {
    std::string out;
    for (const auto& node : nodes) {
      if (!out.empty()) out.push_back(' ');
      out += one(node);
    }
    return out;
  }
  static std::string text(std::string_view value) { return fmt::format("{}:{}", value.size(), value); }
  std::string name(const ast::name& node) const {
    return node.present() ? std::string(node.text) + at(node.offset) : "-";
  }
  std::string names(const list<ast::name>& nodes) const {
    return many(nodes, [this](const auto& node) { return name(node); });
  }

  std::string value(const ast::value& node) const {
    const auto where = at(node.offset);
    switch (node.kind) {
    case ast::value_kind::variable: return fmt::format("${}{}", node.text, where);
    case ast::value_kind::integer: return fmt::format("i{}{}", node.text, where);
    case ast::value_kind::floating: return fmt::format("f{}{}", node.text, where);
    case ast::value_kind::string: return (node.block_string ? "b" : "s") + text(node.text) + where;
    case ast::value_kind::boolean: return (node.boolean ? "true" : "false") + where;
    case ast::value_kind::null: return "null" + where;
    case ast::value_kind::enumeration: return fmt::format("e{}{}", node.text, where);
    case ast::value_kind::list:
      return "[" + many(node.items, [this](const auto& item) { return value(item); }) + "]" + where;
    case ast::value_kind::object:
      return "{" +
             many(node.fields,
                  [this](const auto& field) { return name(field.name) + "=" + value(field.value); }) +
             "}" + where;
    }
    return "";
  }

  std::string type(const ast::type& node) const {
    switch (node.kind) {
    case ast::type_kind::named: return std::string(node.named) + at(node.offset);
    case ast::type_kind::list: return "[" + type(*node.of) + "]" + at(node.offset);
    case ast::type_kind::non_null: return type(*node.of) + "!";
    }
    return "";
  }

  std::string arguments(const list<ast::argument>& nodes) const {
    return "(" + many(nodes, [this](const auto& node) { return name(node.name) + "=" + value(node.value); }) +
           ")";
  }
  std::string directives(const list<ast::directive>& nodes) const {
    return "<" +
           many(nodes,
                [this](const auto& node) {
                  return name(node.name) + arguments(node.arguments) + at(node.offset);
                }) +
           ">";
  }

  std::string selections(const ast::selection_set& set) const {
    if (!set.present) return "";
    return "{" + many(set.items, [this](const auto& node) { return selection(node); }) + "}" + at(set.offset);
  }
  std::string selection(const ast::selection& node) const {
    switch (node.kind) {
    case ast::selection_kind::field:
      return "field " + name(node.alias) + " " + name(node.name) + arguments(node.arguments) +
             directives(node.directives) + selections(node.selections) + at(node.offset);
    case ast::selection_kind::fragment_spread:
      return "spread " + name(node.name) + directives(node.directives) + at(node.offset);
    case ast::selection_kind::inline_fragment:
      return "inline " + name(node.type_condition) + directives(node.directives) +
             selections(node.selections) + at(node.offset);
    }
    return "";
  }

  static std::string_view word(ast::operation_kind kind) {
    constexpr std::string_view words[] = {"query", "mutation", "subscription"};
    return words[static_cast<int>(kind)];
  }
  std::string default_value(const ast::value* node) const { return node == nullptr ? "-" : value(*node); }

  std::string operation(const ast::operation& node) const {
    return fmt::format("{} {}({})", word(node.kind), name(node.name),
                       many(node.variables,
                            [this](const auto& variable) {
                              return name(variable.name) + ":" + type(*variable.type) + "=" +
                                     default_value(variable.default_value) + directives(variable.directives) +
                                     at(variable.offset);
                            })) +
           directives(node.directives) + selections(node.selections) + at(node.offset);
  }
  std::string fragment(const ast::fragment& node) const {
    return "fragment " + name(node.name) + " " + name(node.type_condition) + directives(node.directives) +
           selections(node.selections) + at(node.offset);
  }

  static std::string description(const ast::description& node) {
    return node.present ? "\"" + text(node.text) : "-";
  }
  std::string inputs(const list<ast::input_value_definition>& nodes) const {
    return many(nodes, [this](const auto& node) {
      return description(node.description) + " " + name(node.name) + ":" + type(*node.type) + "=" +
             default_value(node.default_value) + directives(node.directives) + at(node.offset);
    });
  }
  std::string fields(const list<ast::field_definition>& nodes) const {
    return many(nodes, [this](const auto& node) {
      return description(node.description) + " " + name(node.name) + "(" + inputs(node.arguments) +
             "):" + type(*node.type) + directives(node.directives) + at(node.offset);
    });
  }

  std::string schema(const ast::schema_definition& node) const {
    return fmt::format("schema{} {}", node.extension ? "+" : "", description(node.description)) +
           directives(node.directives) + "{" +
           many(node.operations,
                [this](const auto& operation) {
                  return fmt::format("{}:{}{}", word(operation.kind), name(operation.type),
                                     at(operation.offset));
                }) +
           "}" + at(node.offset);
  }
  std::string type_definition(const ast::type_definition& node) const {
    constexpr std::string_view words[] = {"scalar", "type", "interface", "union", "enum", "input"};
    return fmt::format("{}{} {} {} &({})", words[static_cast<int>(node.kind)], node.extension ? "+" : "",
                       description(node.description), name(node.name), names(node.interfaces)) +
           directives(node.directives) + "{" + fields(node.fields) + inputs(node.input_fields) + "}|(" +
           names(node.members) + ")=(" +
           many(node.values,
                [this](const auto& entry) {
                  return description(entry.description) + " " + name(entry.name) +
                         directives(entry.directives) + at(entry.offset);
                }) +
           ")" + at(node.offset);
  }
  std::string directive_definition(const ast::directive_definition& node) const {
    return "directive " + description(node.description) + " " + name(node.name) + "(" +
           inputs(node.arguments) + ")" + (node.repeatable ? "*" : "") + "|(" + names(node.locations) + ")" +
           at(node.offset);
  }

  const ast::document& document_;
};

} // namespace

std::string dump(const ast::document& document) {
  return dumper(document).run();
}

} // namespace mooring::graphql::differential
