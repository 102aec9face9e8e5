// What the source and the sink have in common: the ledger, and dying as ordered.
#pragma once

#include <cstdlib>
#include <cstring>

#include <mohhos/sdk.hpp>

#include "../ledger.hpp"
#include "mapped.hpp"

namespace mohhos::soak {

class PartOfAStream : public mohhos::Plugin {
protected:
  void on_init() override { ledger_ = map_file<Ledger>(config("ledger").value_or("")); }

  // The word is looked at by each message; it is taken, so that the next life does not obey it too.
  void die_if_told(Part& me, Place place) const {
    const std::uint64_t order = me.order.get();
    if (order == 0 || order >> 8 != static_cast<std::uint64_t>(place)) return;
    me.order.set(0);
    die(me, death_of(order));
  }

  Ledger* ledger_ = nullptr;

private:
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
