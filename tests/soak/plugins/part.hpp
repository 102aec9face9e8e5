// What the source and the sink have in common: the ledger, and dying as ordered.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mohhos/sdk.hpp>

#include "../ledger.hpp"

namespace mohhos::soak {

class PartOfAStream : public mohhos::Plugin {
protected:
  void on_init() override {
    const std::string path = config("ledger").value_or("");
    const int file = open_file(path);
    void* const memory =
        ::mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    if (memory == MAP_FAILED)
      throw mohhos::Failure(MOHHOS_E_FAILED, "mmap " + path + ": " + std::strerror(errno));
    ledger_ = static_cast<Ledger*>(memory);
  }

  // The word is looked at by each message; it is taken, so that the next life does not obey it too.
  void die_if_told(Part& me, Place place) const {
    const std::uint64_t order = me.order.get();
    if (order == 0 || order >> 8 != static_cast<std::uint64_t>(place)) return;
    me.order.set(0);
    die(me, death_of(order));
  }

  Ledger* ledger_ = nullptr;

private:
  static int open_file(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0)
      throw mohhos::Failure(MOHHOS_E_FAILED, "open " + path + ": " + std::strerror(errno));
    return file;
  }

  [[noreturn]] void die(Part& me, Death death) const {
    me.died_at.set(now_ns());
    if (death == Death::Memory) {
      constexpr std::size_t kSlice = std::size_t{1} << 20;
      for (;;) {
        void* const slice = std::malloc(kSlice);
        if (slice == nullptr) break; // a limit of addresses, not of pages
        std::memset(slice, 1, kSlice);
        asm volatile("" : : "r"(slice) : "memory");
        me.died_at.set(now_ns());
      }
    }
    if (death == Death::Segv) *static_cast<volatile int*>(nullptr) = 1;
    std::abort();
  }
};

} // namespace mohhos::soak
