// What soak_vault got, in memory that it shares with soak_power: numbered messages in series, one
// for each sending process (life) and lane.
#pragma once

#include "ledger.hpp"

namespace mohhos::soak {

struct VaultSeries {
  Word id;      // 0: free; else 1 + life * kLanes + lane
  Word allowed; // soak_power: the vault keeps what is not below it in hand
  Word first;   // the first number that came
  Word next;    // behind the last
  Word count;
};

struct VaultLedger {
  static constexpr std::uint64_t kSeries = 64;
  static constexpr std::uint64_t kEverything = ~std::uint64_t{0};

  Word old_lives; // soak_power: lives below come back from the disk, and must be flagged
  Word handled;
  Word torn;
  Word order;     // not behind the one before it, or (of a life that lives) not the next
  Word unflagged; // from before, without a flag; or flagged, and not from before
  VaultSeries series[kSeries];

  static std::uint64_t id_of(std::uint64_t life, std::uint64_t lane) {
    return 1 + life * kLanes + lane;
  }
  // Made if it is not there; null when there is no room.
  VaultSeries* find(std::uint64_t life, std::uint64_t lane) {
    const std::uint64_t id = id_of(life, lane);
    for (VaultSeries& each : series) {
      if (each.id.get() == id) return &each;
      if (each.id.get() != 0) continue;
      each.allowed.set(life < old_lives.get() ? kEverything : each.allowed.get());
      each.id.set(id);
      return &each;
    }
    return nullptr;
  }
};

} // namespace mohhos::soak
