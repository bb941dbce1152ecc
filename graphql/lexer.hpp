// Text → tokens (October 2021, 2.1 and appendix B.1, B.2), with `\u{…}` of the later drafts, as graphql-js 16
// reads it.
//
// Blanks, commas, comments and byte order marks are skipped. The source must be valid UTF-8 (the parser
// checks it). After the first error `next` returns end_of_file for ever.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "graphql/arena.hpp"

namespace mooring::graphql {

enum class token_kind : std::uint8_t {
  start_of_file,
  end_of_file,
  bang,
  dollar,
  ampersand,
  left_parenthesis,
  right_parenthesis,
  spread,
  colon,
  equals,
  at,
  left_bracket,
  right_bracket,
  left_brace,
  pipe,
  right_brace,
  name,
  integer,
  floating,
  string,
  block_string
};

struct token {
  token_kind kind = token_kind::start_of_file;
  std::uint32_t offset = 0;
  std::string_view text = {}; // name, integer, floating: as written; strings: the content
};

// `"}"` or `Name`, as messages name a kind.
std::string_view describe(token_kind kind);

class lexer {
 public:
  // Contents of strings with escapes are put into `memory`. Both outlive the tokens.
  lexer(std::string_view source, arena& memory)
      : source_(source)
      , memory_(memory) {}

  token next();

  bool failed() const { return failed_; }
  // REQUIRES: failed()
  const std::string& message() const { return message_; }
  std::uint32_t error_offset() const { return error_offset_; }

 private:
  // The byte at an offset; past the end, a byte that no token contains.
  char at(std::size_t offset) const { return offset < source_.size() ? source_[offset] : '\0'; }
  bool starts_with(std::size_t offset, std::string_view text) const {
    return source_.substr(offset < source_.size() ? offset : source_.size()).starts_with(text);
  }
  token make(token_kind kind, std::size_t start, std::size_t bytes);
  token fail(std::size_t offset, std::string message);
  std::string printed_character(std::size_t offset) const;
  std::string_view slice(std::size_t offset, std::size_t utf16_units) const;
  token number(std::size_t start);
  bool digits(std::size_t& position);
  token string(std::size_t start);
  std::size_t escape(std::size_t position, std::string& out);
  std::size_t escape_braced(std::size_t position, std::string& out);
  std::size_t escape_fixed(std::size_t position, std::string& out);
  std::int32_t hex4(std::size_t position) const;
  token block_string(std::size_t start);

  std::string_view source_;
  arena& memory_;
  std::size_t position_ = 0;
  bool failed_ = false;
  std::string message_;
  std::uint32_t error_offset_ = 0;
};

} // namespace mooring::graphql
