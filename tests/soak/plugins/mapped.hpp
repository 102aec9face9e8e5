// A file that a test plugin shares with its test.
#pragma once

#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mohhos/sdk.hpp>

namespace mohhos::soak {

// For as long as the process lives.
template <class T>
T* map_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0)
    throw mohhos::Failure(MOHHOS_E_FAILED, "open " + path + ": " + std::strerror(errno));
  void* const memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (memory == MAP_FAILED)
    throw mohhos::Failure(MOHHOS_E_FAILED, "mmap " + path + ": " + std::strerror(errno));
  return static_cast<T*>(memory);
}

} // namespace mohhos::soak
