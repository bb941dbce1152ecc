// failure: keeps the input that brought the process down.
//
// A crash (signal, failed MOORING_CHECK, exception that nobody caught, a sanitizer's report) and an input
// that runs for too long are noticed here: the input is written to a file and the command that runs it again
// is printed, with nothing but what a signal handler may call. One target a process; the target runs on the
// main thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mooring::fuzz {

// `artifacts`: folder for the inputs, made when it is missing. `program`: argv[0], for the message.
void watch_for_failures(const std::string& artifacts, const std::string& program, const std::string& target,
                        unsigned seconds_an_input_max);

// The input that runs now; its bytes stay valid until the next call.
void about_to_run(const std::uint8_t* bytes, std::size_t length);
void nothing_runs();

} // namespace mooring::fuzz
