#include "storage/write_batch.hpp"

#include <algorithm>
#include <variant>

#include "storage/codec.hpp"
#include "storage/packing.hpp"

namespace mooring::storage {

namespace {

constexpr std::size_t batch_head_bytes = 5; // array 32, so that the count can be filled in at the end
constexpr unsigned array32 = 0xdd, bin16 = 0xc5, bin32 = 0xc6;

// Turns writes into rows, index rows included, straight into the entry's bytes.
class row_writer {
 public:
  row_writer(std::string& entry, tenant_hash tenant, numbering before)
      : out_(entry)
      , tenant_(tenant)
      , before_(before)
      , start_(out_.size()) {
    out_.room(batch_head_bytes);
    out_.byte(array32);
    out_.big32(0);
  }

  void operator()(const sync::tenant_counters& counters) {
    put(keys::counters(tenant_), [&](auto key) { encode_counters(out_, key, counters); });
  }
  void operator()(const sync::entity& entity) {
    put(keys::entity(tenant_, entity.in, entity.owner, entity.id),
        [&](auto key) { encode_entity(out_, key, entity); });
  }
  void operator()(const sync::conflict& conflict) {
    put(keys::conflict(tenant_, conflict.first_at), [&](auto key) { encode_conflict(out_, key, conflict); });
    const auto index = keys::open_conflict(tenant_, conflict.first_at);
    if (conflict.status == sync::conflict_status::open)
      put(index, [&](auto key) { encode_open_conflict(out_, key, conflict.in, conflict.owner); });
    else
      remove(index);
  }
  void operator()(const sync::device& device) {
    put(keys::device(tenant_, device.number), [&](auto key) { encode_device(out_, key, device); });
    if (device.number <= before_.last_device) return;
    put(keys::device_by_name(tenant_, device.id),
        [&](auto key) { encode_device_by_name(out_, key, device.number); });
    put(keys::device_by_owner(tenant_, device.owner, device.number),
        [&](auto key) { encode_device_by_owner(out_, key); });
  }
  void operator()(const sync::user& user) {
    put(keys::user(tenant_, user.number), [&](auto key) { encode_user(out_, key, user); });
    put(keys::user_by_name(tenant_, user.id), [&](auto key) { encode_user_by_name(out_, key, user.number); });
  }
  void operator()(const sync::policy& policy) {
    put(keys::policy(tenant_, policy.in), [&](auto key) { encode_policy(out_, key, policy); });
  }
  void operator()(const sync::idempotency_record& record) {
    put(keys::idempotency(tenant_, record.user, record.device, record.key),
        [&](auto key) { encode_idempotency(out_, key, record); });
  }
  void operator()(const sync::operation_record& record) {
    put(keys::operation(tenant_, record.user, record.device, record.operation_id),
        [&](auto key) { encode_operation(out_, key, record); });
  }
  void operator()(const sync::feed_row& row) {
    put(keys::feed(tenant_, row.key), [&](auto key) { encode_feed_row(out_, key, row); });
  }
  void operator()(const sync::notification& told) {
    put(keys::notification(tenant_, told.at), [&](auto key) { encode_notification(out_, key, told); });
  }
  void operator()(const sync::delete_notification& gone) { remove(keys::notification(tenant_, gone.at)); }
  void operator()(const sync::analytics_hour& of) {
    put(keys::analytics(tenant_, of.hour), [&](auto key) { encode_analytics(out_, key, of); });
  }
  void operator()(const sync::delete_analytics& gone) { remove(keys::analytics(tenant_, gone.hour)); }
  void operator()(const sync::delete_entity& gone) {
    remove(keys::entity(tenant_, gone.in, gone.owner, gone.id));
  }
  void operator()(const sync::delete_feed_row& gone) { remove(keys::feed(tenant_, gone.key)); }
  void operator()(const sync::delete_conflict& gone) {
    remove(keys::conflict(tenant_, gone.first_at));
    remove(keys::open_conflict(tenant_, gone.first_at));
  }
  void operator()(const sync::delete_idempotency& gone) {
    remove(keys::idempotency(tenant_, gone.user, gone.device, gone.key));
  }
  void operator()(const sync::delete_operation& gone) {
    remove(keys::operation(tenant_, gone.user, gone.device, gone.operation_id));
  }
  void operator()(const sync::put_swept_position& swept) {
    put(keys::swept(tenant_), [&](auto key) { encode_swept(out_, key, swept.upto); });
  }

  // False when a key did not fit; the entry is then as it was.
  bool finish() {
    if (!fits_) {
      out_.cut(start_);
      return false;
    }
    char* count = out_.data_at(start_ + 1);
    for (int shift = 24; shift >= 0; shift -= 8) *count++ = static_cast<char>(rows_ >> shift);
    return true;
  }

 private:
  bool begin_row(const row_key& key) {
    if (!key.fits()) {
      fits_ = false;
      return false;
    }
    ++rows_;
    out_.room(1 + 5 + key_bytes_max + 5);
    out_.array(2);
    out_.bin(key.view());
    return true;
  }
  template<class Encode> void put(const row_key& key, Encode&& encode) {
    if (!begin_row(key)) return;
    // Nearly every value fits a 16-bit length; a longer one is moved by two bytes afterwards.
    const auto head = out_.size();
    out_.byte(bin16);
    out_.big16(0);
    encode(key.view());
    const auto size = out_.size() - head - 3;
    char* at = out_.data_at(head);
    if (size <= 0xffff) {
      at[1] = static_cast<char>(size >> 8);
      at[2] = static_cast<char>(size);
      return;
    }
    out_.room(2);
    out_.byte(0);
    out_.byte(0);
    at = out_.data_at(head); // room() may have moved it
    std::memmove(at + 5, at + 3, size);
    at[0] = static_cast<char>(bin32);
    for (int i = 0; i < 4; ++i) at[1 + i] = static_cast<char>(size >> (24 - 8 * i));
  }
  void remove(const row_key& key) {
    if (begin_row(key)) out_.nil();
  }

  packer out_;
  tenant_hash tenant_;
  numbering before_;
  std::size_t start_;
  std::uint32_t rows_ = 0;
  bool fits_ = true;
};

} // namespace

result<void> append_batch(std::string& entry, tenant_hash tenant, const sync::write_list& writes,
                          numbering before) {
  row_writer writer(entry, tenant, before);
  for (const auto& write : writes) std::visit(writer, write);
  if (!writer.finish()) return error{error_code::bad_user_input, "an id is longer than a stored key can be"};
  return {};
}

result<void> write_batch::append(tenant_hash tenant, const sync::write_list& writes, numbering before) {
  return append_batch(bytes_, tenant, writes, before);
}

result<write_batch> write_batch::encode(tenant_hash tenant, const sync::write_list& writes,
                                        numbering before) {
  write_batch batch;
  if (auto done = batch.append(tenant, writes, before); !done) return done.failure();
  return batch;
}

result<write_batch> write_batch::encode(std::string_view tenant, const sync::write_list& writes,
                                        numbering before) {
  return encode(hash_tenant(tenant), writes, before);
}

std::optional<batch_row> entry_reader::next() {
  if (failed_) return std::nullopt;
  unpacker from(rest_);
  while (rows_left_ == 0) {
    if (from.left() == 0) return std::nullopt;
    rows_left_ = static_cast<std::uint32_t>(from.array());
    if (!from.ok()) {
      failed_ = true;
      return std::nullopt;
    }
  }
  if (from.array() != 2) from.fail();
  batch_row row;
  row.key = from.bin();
  if (from.next_is_nil())
    from.nil();
  else
    row.value = from.bin();
  if (!from.ok()) {
    failed_ = true;
    return std::nullopt;
  }
  --rows_left_;
  rest_ = rest_.substr(rest_.size() - from.left());
  return row;
}

result<void> validate_entry(std::string_view entry) {
  entry_reader reader(entry);
  while (const auto row = reader.next()) {
    if (!row->value) {
      if (!parse_key(row->key))
        return error{error_code::internal,
                     "a write batch names row " + to_hex(row->key) + ", which is of no table"};
    } else if (const auto read = check_row(row->key, *row->value); !read) {
      return read.failure();
    }
  }
  if (reader.failed()) return error{error_code::internal, "a write batch does not parse"};
  return {};
}

result<batch_applier::counts> batch_applier::apply(write_transaction& transaction,
                                                   std::span<const std::string_view> entries) {
  rows_.clear();
  for (const auto entry : entries) {
    entry_reader reader(entry);
    while (const auto row = reader.next()) {
      // A row of cluster/ inside a batch would change the log behind raft's back.
      if (row->key.empty() || row->key.size() > key_bytes_max ||
          static_cast<unsigned char>(row->key.front()) < tenant_rows_tag)
        return error{error_code::internal,
                     "a write batch names row " + to_hex(row->key) + ", which is of no table"};
      rows_.push_back({row->key, row->value});
    }
    if (reader.failed()) return error{error_code::internal, "a write batch does not parse"};
  }
  std::stable_sort(rows_.begin(), rows_.end(),
                   [](const pending& a, const pending& b) { return a.key < b.key; });
  counts done;
  done.rows = rows_.size();
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const auto& row = rows_[i];
    if (i + 1 < rows_.size() && rows_[i + 1].key == row.key) continue;
    if (row.value) {
      if (auto put = transaction.put(row.key, *row.value); !put) return put.failure();
      ++done.written;
    } else {
      const auto removed = transaction.remove(row.key);
      if (!removed) return removed.failure();
      done.removed += *removed ? 1 : 0;
    }
  }
  return done;
}

} // namespace mooring::storage
