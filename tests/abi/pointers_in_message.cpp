// Must not compile, and say why: what is not its own bytes cannot be sent as such.
#include <vector>

#include "mohhos/sdk.hpp"

struct Letter {
  std::vector<int> pages;
};
void send(const mohhos::Channel& channel) {
  channel.send(Letter{});
}
