#include "model/messaging.hpp"

namespace mohhos::model {
namespace {
constexpr std::array<std::string_view, kLossinesses.size()> kNames = {"none", "newest", "oldest"};
}

std::string_view lossiness_name(Lossiness lossiness) noexcept {
  const auto index = static_cast<std::size_t>(lossiness);
  return index < kNames.size() ? kNames[index] : "unknown";
}

std::optional<Lossiness> parse_lossiness(std::string_view text) noexcept {
  for (const Lossiness lossiness : kLossinesses)
    if (lossiness_name(lossiness) == text) return lossiness;
  return std::nullopt;
}

} // namespace mohhos::model
