#include "storage/keys.hpp"

namespace mooring::storage {

std::string_view to_string(table value) {
  switch (value) {
  case table::counters: return "counters";
  case table::swept: return "swept position";
  case table::policy: return "policy";
  case table::user_by_name: return "user by name";
  case table::user: return "user";
  case table::device_by_name: return "device by name";
  case table::device_by_owner: return "device by owner";
  case table::device: return "device";
  case table::open_conflict: return "open conflict";
  case table::conflict: return "conflict";
  case table::notification: return "notification";
  case table::analytics: return "analytics";
  case table::feed: return "feed";
  case table::idempotency: return "idempotency";
  case table::operation: return "operation";
  case table::entity: return "entity";
  }
  return "unknown";
}

tenant_hash hash_tenant(std::string_view name) {
  return hash64(name);
}

unsigned shard_of_tenant(std::string_view name, unsigned shards) {
  return static_cast<unsigned>(hash64(name, 3) % shards);
}

namespace {

class key_reader {
 public:
  explicit key_reader(std::string_view key)
      : rest_(key) {}
  std::uint64_t integer(std::size_t width) {
    if (rest_.size() < width) {
      ok_ = false;
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) value = value << 8 | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(width);
    return value;
  }
  std::uint32_t number() { return static_cast<std::uint32_t>(integer(4)); }
  sync::domain domain() {
    const auto value = integer(1);
    if (value >= sync::domain_count) ok_ = false;
    return static_cast<sync::domain>(value);
  }
  std::string_view id() { return std::exchange(rest_, {}); }
  bool whole() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

} // namespace

std::optional<key_parts> parse_key(std::string_view key) {
  key_reader in(key);
  if (in.integer(1) != tenant_rows_tag) return std::nullopt;
  key_parts parts;
  parts.tenant = in.integer(8);
  parts.in = static_cast<table>(in.integer(1));
  switch (parts.in) {
  case table::counters:
  case table::swept: break;
  case table::policy: parts.domain = in.domain(); break;
  case table::user_by_name:
  case table::device_by_name: parts.id = in.id(); break;
  case table::user: parts.user = in.number(); break;
  case table::device_by_owner:
    parts.user = in.number();
    parts.device = in.number();
    break;
  case table::device: parts.device = in.number(); break;
  case table::open_conflict:
  case table::conflict:
  case table::notification:
  case table::feed: parts.at = in.integer(8); break;
  case table::analytics: parts.hour = in.number(); break;
  case table::idempotency:
  case table::operation:
    parts.user = in.number();
    parts.device = in.number();
    parts.id = in.id();
    break;
  case table::entity:
    parts.domain = in.domain();
    parts.user = in.number();
    parts.id = in.id();
    break;
  default: return std::nullopt;
  }
  if (!in.whole()) return std::nullopt;
  return parts;
}

std::string to_hex(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out.push_back(digits[static_cast<unsigned char>(c) >> 4]);
    out.push_back(digits[static_cast<unsigned char>(c) & 0x0f]);
  }
  return out;
}

} // namespace mooring::storage
