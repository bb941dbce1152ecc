// While one lives, the system gives this process no further thread: every new one asks for more stack than there is.
#pragma once

#include <cstddef>

#include <pthread.h>

namespace mooring::testing {

class no_thread_left {
 public:
  no_thread_left() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t impossible;
    pthread_attr_init(&impossible);
    pthread_attr_setstacksize(&impossible, std::size_t{1} << 50);
    pthread_setattr_default_np(&impossible);
    pthread_attr_destroy(&impossible);
  }
  ~no_thread_left() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }
  no_thread_left(const no_thread_left&) = delete;

 private:
  pthread_attr_t before_;
};

} // namespace mooring::testing
