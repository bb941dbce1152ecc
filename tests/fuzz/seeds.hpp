// What a fuzz target may offer besides LLVMFuzzerTestOneInput.
#pragma once

#include <cstddef>
#include <cstdint>

// Optional: gives seeds that are made by the real encoder, for binary formats whose files would go stale.
// Each call of `add` copies one. Our driver adds them to the files of corpus/<name>/; for libFuzzer, write
// them out first with `fuzz_<name> --write-seeds DIR`.
extern "C" __attribute__((weak)) void mooring_fuzz_seeds(void (*add)(const std::uint8_t* bytes,
                                                                     std::size_t length));
