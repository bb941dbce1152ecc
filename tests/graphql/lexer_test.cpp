#include "graphql/lexer.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace mooring::graphql {
namespace {

struct lexed {
  std::vector<token> tokens; // without the end of the file
  std::string error;         // "offset message"; empty: none
};

// Texts of the tokens stay valid as long as `memory`.
lexed lex(std::string_view source, arena& memory) {
  lexed out;
  lexer lexer(source, memory);
  for (auto token = lexer.next(); token.kind != token_kind::end_of_file; token = lexer.next())
    out.tokens.push_back(token);
  if (lexer.failed()) out.error = std::to_string(lexer.error_offset()) + " " + lexer.message();
  return out;
}

std::string only_text(std::string_view source, token_kind kind) {
  arena memory;
  const auto out = lex(source, memory);
  REQUIRE_MESSAGE(out.error.empty(), out.error);
  REQUIRE(out.tokens.size() == 1);
  CHECK(out.tokens[0].kind == kind);
  return std::string(out.tokens[0].text);
}

std::string error_of(std::string_view source) {
  arena memory;
  return lex(source, memory).error;
}

} // namespace

TEST_CASE("blanks, commas, comments and byte order marks separate tokens and are no tokens") {
  arena memory;
  const auto out = lex("\xef\xbb\xbf a,,\tb # c {\r\n\n d\xef\xbb\xbf", memory);
  CHECK(out.error.empty());
  REQUIRE(out.tokens.size() == 3);
  CHECK(out.tokens[0].text == "a");
  CHECK(out.tokens[0].offset == 4);
  CHECK(out.tokens[1].text == "b");
  CHECK(out.tokens[2].text == "d");
  CHECK(lex("", memory).tokens.empty());
  CHECK(lex("# a comment that ends the file", memory).tokens.empty());
}

TEST_CASE("every punctuator is a token of its own kind") {
  arena memory;
  const auto out = lex("!$&()...:=@[]{|}", memory);
  REQUIRE(out.tokens.size() == 14);
  std::string described;
  for (std::size_t i = 0; i < out.tokens.size(); ++i) {
    CHECK(static_cast<int>(out.tokens[i].kind) == static_cast<int>(token_kind::bang) + static_cast<int>(i));
    described += describe(out.tokens[i].kind);
  }
  CHECK(described == R"x("!""$""&""("")""..."":""=""@""[""]""{""|""}")x");
  CHECK(describe(token_kind::start_of_file) == "<SOF>");
  CHECK(describe(token_kind::end_of_file) == "<EOF>");
  CHECK(describe(token_kind::integer) == "Int");
  CHECK(describe(token_kind::floating) == "Float");
  CHECK(describe(token_kind::string) == "String");
  CHECK(describe(token_kind::block_string) == "BlockString");
}

TEST_CASE("numbers are integers or floats by their form") {
  for (const auto* text : {"0", "-0", "4", "-4", "9", "1234567890123456789012345678901234567890"})
    CHECK(only_text(text, token_kind::integer) == text);
  for (const auto* text : {"0.0", "-4.123", "123e4", "123E4", "123e-4", "123e+4", "-1.123e4567", "0e1"})
    CHECK(only_text(text, token_kind::floating) == text);
}

TEST_CASE("a malformed number says which character was not expected") {
  CHECK(error_of("00") == "1 Invalid number, unexpected digit after 0: \"0\".");
  CHECK(error_of("+1") == "0 Unexpected character: \"+\".");
  CHECK(error_of("1.") == "2 Invalid number, expected digit but got: <EOF>.");
  CHECK(error_of("1e") == "2 Invalid number, expected digit but got: <EOF>.");
  CHECK(error_of("1.A") == "2 Invalid number, expected digit but got: \"A\".");
  CHECK(error_of("-A") == "1 Invalid number, expected digit but got: \"A\".");
  CHECK(error_of("1.0eA") == "4 Invalid number, expected digit but got: \"A\".");
  CHECK(error_of("1.23.4") == "4 Invalid number, expected digit but got: \".\".");
  CHECK(error_of("0xF1") == "1 Invalid number, expected digit but got: \"x\".");
  CHECK(error_of("1é") == "1 Unexpected character: U+00E9.");
}

TEST_CASE("strings are unescaped") {
  CHECK(only_text(R"("")", token_kind::string).empty());
  CHECK(only_text(R"("simple")", token_kind::string) == "simple");
  CHECK(only_text(R"("quote \" back \\ slash \/ \b\f\n\r\t end")", token_kind::string) ==
        "quote \" back \\ slash / \b\f\n\r\t end");
  CHECK(only_text(R"("\u0041\u00e9\u20AC")", token_kind::string) == "Aé€");
  CHECK(only_text(R"("\uD83D\uDE00")", token_kind::string) == "😀");
  CHECK(only_text(R"("\u{41}\u{1F600}\u{10FFFF}\u{00000041}")", token_kind::string) == "A😀\U0010FFFFA");
  CHECK(only_text("\"tab\tand é 😀\"", token_kind::string) == "tab\tand é 😀");
  CHECK(only_text(std::string_view("\"nul\0.\"", 7), token_kind::string) == std::string("nul\0.", 5));
}

TEST_CASE("a malformed string says where and why") {
  CHECK(error_of("\"") == "1 Unterminated string.");
  CHECK(error_of("\"no end") == "7 Unterminated string.");
  CHECK(error_of("\"line\nbreak\"") == "5 Unterminated string.");
  CHECK(error_of("\"line\rbreak\"") == "5 Unterminated string.");
  CHECK(error_of(R"("bad \x esc")") == R"(5 Invalid character escape sequence: "\x".)");
  CHECK(error_of(R"("\)") == R"(1 Invalid character escape sequence: "\".)");
  CHECK(error_of(R"("\u1")") == R"(1 Invalid Unicode escape sequence: "\u1"".)");
  CHECK(error_of(R"("\u0XX1")") == R"(1 Invalid Unicode escape sequence: "\u0XX1".)");
  CHECK(error_of(R"("\uD83D no")") == R"(1 Invalid Unicode escape sequence: "\uD83D".)");
  CHECK(error_of(R"("\uD83D\u0041")") == R"(1 Invalid Unicode escape sequence: "\uD83D".)");
  CHECK(error_of(R"("\uDE00\uD83D")") == R"(1 Invalid Unicode escape sequence: "\uDE00".)");
  CHECK(error_of(R"("\u{}")") == R"(1 Invalid Unicode escape sequence: "\u{}".)");
  CHECK(error_of(R"("\u{110000}")") == R"(1 Invalid Unicode escape sequence: "\u{110000}".)");
  CHECK(error_of(R"("\u{D800}")") == R"(1 Invalid Unicode escape sequence: "\u{D800}".)");
  CHECK(error_of(R"("\u{FFFFFFFF}")") == R"(1 Invalid Unicode escape sequence: "\u{FFFFFFFF".)");
  CHECK(error_of(R"("\u{000000041}")") == R"(1 Invalid Unicode escape sequence: "\u{000000041".)");
  CHECK(error_of(R"("\u😀x")") == R"(1 Invalid Unicode escape sequence: "\u😀x"".)");
  CHECK(error_of("'single'") ==
        "0 Unexpected single quote character ('), did you mean to use a double quote (\")?");
}

TEST_CASE("block strings lose what indents all their lines, and blank lines at both ends") {
  struct {
    const char* source;
    const char* content;
  } const cases[] = {
      {R"("""""")", ""},
      {R"("""simple""")", "simple"},
      {R"(""" white space """)", " white space "},
      {"\"\"\"contains \" quote\"\"\"", "contains \" quote"},
      {R"("""contains \""" triple""")", "contains \"\"\" triple"},
      {R"("""no \n \u0041 escapes""")", R"(no \n \u0041 escapes)"},
      {"\"\"\"multi\nline\"\"\"", "multi\nline"},
      {"\"\"\"multi\rline\r\nnormalized\"\"\"", "multi\nline\nnormalized"},
      {"\"\"\"\n\n    spans\n      multiple\n        lines\n\n    \"\"\"", "spans\n  multiple\n    lines"},
      {"\"\"\"  first\n    second\n   third\"\"\"", "  first\n second\nthird"},
      {"\"\"\"\n\t a\n\t b\n\t\"\"\"", "a\nb"},
      {"\"\"\"\n  a\n\n  b\n \n  c\"\"\"", "a\n\nb\n\nc"},
      {"\"\"\"  \n\t\n  \"\"\"", ""},
      {"\"\"\"a\n    \n  b  \"\"\"", "a\n  \nb  "},
  };
  for (const auto& [source, content] : cases) CHECK(only_text(source, token_kind::block_string) == content);
  CHECK(error_of("\"\"\"no end\"\"") == "11 Unterminated string.");
  CHECK(error_of("\"\"\"\n\\\"\"\"") == "8 Unterminated string.");
}

TEST_CASE("characters that start no token are named") {
  CHECK(error_of(" ?") == "1 Unexpected character: \"?\".");
  CHECK(error_of("..") == "0 Unexpected character: \".\".");
  CHECK(error_of("\x07") == "0 Unexpected character: U+0007.");
  CHECK(error_of("😀") == "0 Unexpected character: U+1F600.");
  CHECK(error_of("€") == "0 Unexpected character: U+20AC.");
  CHECK(error_of(std::string_view("\0", 1)) == "0 Unexpected character: U+0000.");
}

TEST_CASE("after an error the lexer stands at the end of the file") {
  arena memory;
  lexer lexer("? a b", memory);
  CHECK(lexer.next().kind == token_kind::end_of_file);
  CHECK(lexer.next().kind == token_kind::end_of_file);
  CHECK(lexer.failed());
  CHECK(lexer.error_offset() == 0);
}

} // namespace mooring::graphql
