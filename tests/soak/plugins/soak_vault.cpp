// Takes durable messages, judges them, and holds each until soak_power allows it to be
// acknowledged.
#include "../power_payload.hpp"
#include "../vault_ledger.hpp"
#include "mapped.hpp"

namespace {

using namespace mohhos::soak;

class Vault : public mohhos::Plugin {
public:
  void on_init() override { ledger_ = map_file<VaultLedger>(config("ledger").value_or("")); }

  void on_message(const mohhos::Message& message) override {
    const std::string bytes = message.copy();
    const auto head = read_power_message(std::as_bytes(std::span(bytes.data(), bytes.size())));
    VaultSeries* const series = head ? ledger_->find(head->life, head->lane) : nullptr;
    if (series == nullptr) return ledger_->torn.add(1);
    const bool old = head->life < ledger_->old_lives.get();
    const std::uint64_t next = series->next.get();
    if (next == 0) series->first.set(head->number);
    if (old ? head->number < next : head->number != next) ledger_->order.add(1);
    if (message.redelivered() != old) ledger_->unflagged.add(1);
    series->count.add(1);
    series->next.set(head->number + 1);
    // The word of another process: there is nothing to wait on.
    while (head->number >= series->allowed.get()) ::usleep(100);
    ledger_->handled.add(1);
  }

private:
  VaultLedger* ledger_ = nullptr;
};

} // namespace

MOHHOS_PLUGIN(Vault)
