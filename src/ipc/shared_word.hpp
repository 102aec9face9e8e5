// Words that another process reads or writes while we do. Each access is one load or one store of
// the whole word, named by its order; a comment at each use names the partner.
#pragma once

#include <atomic>
#include <concepts>

namespace mohhos::ipc {

template <std::unsigned_integral T>
[[nodiscard]] T load_relaxed(const T* word) noexcept {
  return __atomic_load_n(word, __ATOMIC_RELAXED);
}
template <std::unsigned_integral T>
[[nodiscard]] T load_acquire(const T* word) noexcept {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
template <std::unsigned_integral T>
void store_relaxed(T* word, std::type_identity_t<T> value) noexcept {
  __atomic_store_n(word, value, __ATOMIC_RELAXED);
}
template <std::unsigned_integral T>
void store_release(T* word, std::type_identity_t<T> value) noexcept {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

#if defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan" // it cannot model fences; nothing here relies on that
#endif
// Between a store of ours and a load of the other's word, when the other does the same the other
// way round: at least one of the two sees the other's store.
inline void store_load_fence() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
// Between a store that gives something up and the stores that spoil it.
inline void store_store_fence() noexcept {
  std::atomic_thread_fence(std::memory_order_release);
}
// Between loads of something and the look whether it was still whole.
inline void load_load_fence() noexcept {
  std::atomic_thread_fence(std::memory_order_acquire);
}
#if defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic pop
#endif

// In a loop that waits for another core's store.
inline void spin_pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

} // namespace mohhos::ipc
