// What a new mohhosd would find in journals that machines left when their power failed.
//
//   power_judge DIRECTORY…     for each, as lines: "series LIFE LANE FIRST NEXT COUNT WHOLE", "torn
//   N",
//                              "order N", "remark TEXT" and then "end"
#include <cstdio>
#include <map>

#include <fmt/format.h>

#include "manager/journal_store.hpp"
#include "power_payload.hpp"

namespace mohhos::soak {
namespace {

using manager::JournalMessage;
using manager::JournalStore;
using manager::Leftovers;
using manager::LogInfo;

struct Series {
  std::uint64_t first = 0;
  std::uint64_t next = 0;
  std::uint64_t count = 0; // less than next - first when something is missing: nobody's promise
  std::uint64_t whole = 0; // nothing is missing before
};

struct Found {
  std::map<std::pair<std::uint32_t, std::uint32_t>, Series> series;
  std::uint64_t torn = 0;
  std::uint64_t order = 0;

  void add(std::span<const std::byte> payload) {
    const auto head = read_power_message(payload);
    if (!head) {
      ++torn;
      return;
    }
    const auto [found, is_new] = series.try_emplace(
        {head->life, head->lane}, Series{.first = head->number, .whole = head->number});
    if (head->number < found->second.next) ++order;
    found->second.next = head->number + 1;
    ++found->second.count;
    if (head->number == found->second.whole) ++found->second.whole;
  }
};

void judge(const char* directory) {
  auto store = JournalStore::open(directory, {});
  if (!store) {
    fmt::print("remark {}\nend\n", store.error().text);
    return;
  }
  Found found;
  std::uint64_t channel = 1;
  for (const Leftovers& each :
       store->leftovers("soak_vault", [](const LogInfo&) { return false; })) {
    std::uint64_t position = 0;
    // As it is done for a plugin that is loaded: into a log of the new life.
    const auto adopted = store->adopt(each,
                                      {.life = ~std::uint64_t{0},
                                       .channel = channel++,
                                       .sender = each.sender,
                                       .receiver = each.receiver},
                                      [&](const JournalMessage& message) -> Result<manager::Place> {
                                        found.add(message.payload);
                                        position += 64;
                                        return manager::Place{position - 64, position};
                                      });
    if (!adopted) fmt::print("remark {}\n", adopted.error().text);
  }
  for (const auto& [key, series] : found.series)
    fmt::print("series {} {} {} {} {} {}\n", key.first, key.second, series.first, series.next,
               series.count, series.whole);
  fmt::print("torn {}\norder {}\n", found.torn, found.order);
  for (const std::string& remark : store->take_remarks()) fmt::print("remark {}\n", remark);
  fmt::print("end\n");
}

} // namespace
} // namespace mohhos::soak

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) mohhos::soak::judge(argv[i]);
}
