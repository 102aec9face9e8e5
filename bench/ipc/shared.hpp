// One object in memory that both processes of a pair share: made before the fork.
#pragma once

#include <new>
#include <utility>

#include <sys/mman.h>

#include "ring_support.hpp"

namespace mohhos::bench {

template <class T>
class Shared {
public:
  Shared() {
    void* const memory =
        ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "mmap");
    object_ = ::new (memory) T{};
  }
  ~Shared() {
    if (object_ != nullptr) ::munmap(static_cast<void*>(object_), sizeof(T));
  }
  Shared(Shared&& from) noexcept : object_(std::exchange(from.object_, nullptr)) {}
  Shared& operator=(Shared&&) = delete;
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }

private:
  T* object_;
};

} // namespace mohhos::bench
