#include "execution_fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/json_writer.hpp"

namespace mooring::graphql::test {

std::unique_ptr<const graphql::schema> make_schema(std::string_view text) {
  auto made = check_schema(std::string(text));
  for (const auto& each : made.errors) MESSAGE(each.message);
  REQUIRE(made);
  return std::move(made.schema);
}

std::string shown(const value& is) {
  switch (is.kind()) {
  case value_kind::absent: return "absent";
  case value_kind::null: return "null";
  case value_kind::boolean: return is.boolean() ? "true" : "false";
  case value_kind::integer: return std::to_string(is.integer());
  case value_kind::number: {
    std::string out;
    append_json_number(out, is.number());
    return out + "f";
  }
  case value_kind::string: return "'" + std::string(is.string()) + "'";
  case value_kind::enumeration: return "#" + std::to_string(is.ordinal());
  case value_kind::json: {
    if (is.json_too_deep()) return "<too deep>";
    std::string out = "json ";
    append_json(out, is.json());
    return out;
  }
  case value_kind::list: {
    std::string out = "[";
    for (const auto& item : is.items()) out.append(out.size() > 1 ? " " : "").append(shown(item));
    return out + "]";
  }
  case value_kind::object: {
    std::string out = "{";
    for (std::size_t i = 0; i < is.fields().size(); ++i)
      if (!is[i].absent())
        out.append(out.size() > 1 ? " " : "").append(std::to_string(i)).append(":").append(shown(is[i]));
    return out + "}";
  }
  }
  return "";
}

void bind_types(bindings& to) {
  to.enumeration<color>("Color", {{color::red, "RED"}, {color::green, "GREEN"}, {color::blue, "BLUE"}});
  enum class unit { metre, foot };
  to.enumeration<unit>("Unit", {{unit::metre, "METRE"}, {unit::foot, "FOOT"}});
  to.object<part>("Part").field<&part::name>("name").field<&part::weight>("weight");
  to.object<boat>("Boat")
      .field<&boat::id>("id")
      .field<&boat::name>("name")
      .field<&boat::owner>("owner")
      .field("ownerOrFail", [](const boat& x) { return x.owner ? x.owner->c_str() : nullptr; })
      .field<&boat::paint>("paint")
      .field<&boat::length>("length")
      .field<&boat::afloat>("afloat")
      .field<&boat::launched>("launched")
      .field<&boat::log>("log")
      .field<&boat::parts>("parts")
      .field<&boat::crew>("crew")
      .field("hands",
             [](const boat& x) {
               std::vector<const char*> out;
               for (const auto& each : x.crew) out.push_back(each ? each->c_str() : nullptr);
               return out;
             })
      .field<&boat::tender>("tender")
      .field("tenderOrFail", [](const boat& x) { return x.tender.get(); })
      .field<&boat::mast>("mast")
      .field<&boat::tonnage>("tonnage")
      .field("greeting", [](const boat& x, const field_context& at) {
        std::string out;
        for (int i = 0; i < std::min(3, at.arguments[1].optional_integer().value_or(1)); ++i)
          out.append(x.name).append(" greets ").append(at.arguments[0].string()).append(". ");
        return out;
      });
  to.object<buoy>("Buoy").field<&buoy::id>("id").field<&buoy::depth>("depth");
  const auto resolve = [](const thing& x) {
    return x.as_boat != nullptr ? concrete::of(0, x.as_boat) : concrete::of(1, x.as_buoy);
  };
  to.abstract<thing>("Thing", {"Boat", "Buoy"}, resolve);
  to.abstract<thing>("Floating", {"Boat", "Buoy"}, resolve);
}

harbour::harbour(engine_options options)
    : schema_(make_schema(sdl)) {
  boat.id = "b1";
  boat.name = "Erna";
  boat.launched = instant{1759060800123};
  boat.log = *document_from_json(R"({"miles":[1,2.5,"x"]})");
  boat.parts = {{"hull", 900}, {"keel", std::nullopt}};
  boat.crew = {"Ann", std::nullopt, "Bo"};
  buoy.id = "y1";
  bindings to(*schema_);
  bind_types(to);
  bind(to);
  for (const auto& why : to.check()) FAIL_CHECK(why);
  if (options.scalars.empty())
    options.scalars = {{"JSON", custom_scalar::json_document},
                       {"DateTime", custom_scalar::opaque_string},
                       {"Cursor", custom_scalar::opaque_string}};
  engine_ = std::make_unique<graphql::engine>(*schema_, std::move(to), std::move(options));
}

void harbour::bind(bindings& to) {
  using boat_pointer = std::shared_ptr<const test::boat>;
  to.root<test::boat>("Query", "boat", [this](const field_call& call, responder answer) {
    if (call.arguments[0].given() && call.arguments[0].string() != boat.id)
      answer(resolved::null());
    else
      answer(resolved::of(boat));
  });
  to.root<test::boat>("Query", "boatOrFail",
                      [this](const field_call&, responder answer) { answer(resolved::of(boat)); });
  to.root<std::vector<boat_pointer>>("Query", "boats", [this](const field_call&, responder answer) {
    answer(resolved::of(std::vector<boat_pointer>{std::make_shared<const test::boat>(boat)}));
  });
  to.root<std::vector<thing>>("Query", "things", [this](const field_call&, responder answer) {
    answer(resolved::of(std::vector<thing>{{&boat, nullptr}, {nullptr, &buoy}}));
  });
  to.root<thing>("Query", "floating", [this](const field_call& call, responder answer) {
    const auto which = call.arguments[0].string();
    answer(resolved::of(which == "boat"   ? thing{&boat, nullptr}
                        : which == "buoy" ? thing{nullptr, &buoy}
                                          : thing{}));
  });
  to.root<std::int32_t>("Query", "number",
                        [](const field_call&, responder answer) { answer(resolved::of(std::int32_t{42})); });
  to.root<std::int64_t>("Query", "sum", [](const field_call& call, responder answer) {
    const auto b = call.arguments[1].optional_integer().value_or(0);
    answer(resolved::of(std::int64_t{call.arguments[0].integer()} + b));
  });
  to.root<std::string>("Query", "echo", [](const field_call& call, responder answer) {
    std::string out;
    for (std::size_t i = 0; i < call.arguments.size(); ++i)
      if (!call.arguments[i].absent())
        out.append(out.empty() ? "" : "; ")
            .append(std::to_string(i))
            .append("=")
            .append(shown(call.arguments[i]));
    answer(resolved::of(out));
  });
  to.root<std::string>("Query", "fail", [](const field_call& call, responder answer) {
    const auto code = call.arguments[0].string();
    if (code == "INTERNAL")
      answer(error{error_code::internal, "the password is 1234"});
    else if (code == "RATE_LIMITED")
      answer(error{error_code::rate_limited, "slow down", {}, 1500});
    else if (code == "TYPE")
      answer(resolved::of(true));
    else
      answer(error{error_code::not_found, "no such boat", "id"});
  });
  to.root<std::string>("Query", "failHard", [](const field_call&, responder answer) {
    answer(error{error_code::not_found, "gone"});
  });
  to.root<std::int32_t>("Query", "later", [this](const field_call&, responder answer) {
    waiting.push_back([answer] { answer(resolved::of(std::int32_t{7})); });
  });
  to.root<std::int64_t>("Mutation", "add", [this](const field_call& call, responder answer) {
    calls.push_back("add " + std::to_string(call.arguments[0].integer()));
    total += call.arguments[0].integer();
    answer(resolved::of(total));
  });
  to.root<std::int64_t>("Mutation", "addLater", [this](const field_call& call, responder answer) {
    const auto by = call.arguments[0].integer();
    calls.push_back("addLater " + std::to_string(by));
    waiting.push_back([this, by, answer] {
      total += by;
      answer(resolved::of(total));
    });
  });
  to.root<std::int32_t>("Mutation", "failHard", [this](const field_call&, responder answer) {
    calls.push_back("failHard");
    answer(error{error_code::unavailable, "no leader"});
  });
  to.root<std::int32_t>("Mutation", "failSoft", [this](const field_call&, responder answer) {
    calls.push_back("failSoft");
    answer(error{error_code::unavailable, "no leader"});
  });
}

std::shared_ptr<harbour::outcome> harbour::start(std::string_view query, std::string_view variables,
                                                 std::string_view operation_name,
                                                 std::string_view extensions) {
  // The buffers go when this returns, as they do in the network layer.
  json_parser variable_parser;
  json_parser extension_parser;
  request what;
  const std::string query_copy(query);
  what.query = query_copy;
  what.operation_name = operation_name;
  if (!variables.empty()) {
    auto parsed = variable_parser.parse(variables);
    REQUIRE(parsed);
    what.variables = *parsed;
  }
  if (!extensions.empty()) {
    auto parsed = extension_parser.parse(extensions);
    REQUIRE(parsed);
    what.extensions = *parsed;
  }
  auto out = std::make_shared<outcome>();
  engine_->execute(what, [out](response answer) {
    CHECK_FALSE(out->answered);
    out->answered = true;
    out->answer = std::move(answer);
  });
  return out;
}

std::string harbour::run(std::string_view query, std::string_view variables, std::string_view operation_name,
                         std::string_view extensions) {
  const auto out = start(query, variables, operation_name, extensions);
  REQUIRE(out->answered);
  return out->answer.body;
}

} // namespace mooring::graphql::test
