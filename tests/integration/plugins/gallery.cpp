// Keeps the memories that come with messages, and the messages' numbers:
//   "?"      all of them: the number, "=" if its picture is right now, "-" if there was none, and
//            an r behind what was delivered again; a comma after each
//   "clear"  keeps none any more
//   "turn"   answers with another memory, of the number that follows the one in it (1: none came)
// A message "N die as G" is the end of its G-th process.
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "picture.hpp"

namespace {

class Gallery : public mohhos::Plugin {
public:
  void on_message(const mohhos::Message& message) override {
    const std::string text = message.copy();
    if (text == "?") return reply(message, describe());
    if (text == "clear") {
      pictures_.clear();
      return reply(message, std::string("cleared"));
    }
    if (text == "turn") return turn(message);
    std::istringstream words(text);
    Picture& picture = pictures_.emplace_back();
    std::string rest;
    words >> picture.number;
    std::getline(words >> std::ws, rest);
    picture.memory = message.memory();
    picture.redelivered = message.redelivered();
    if (rest == "die as " + std::to_string(generation())) std::abort();
  }

private:
  struct Picture {
    int number = 0;
    mohhos::MemoryView memory;
    bool redelivered = false;
  };

  std::string describe() const {
    std::string text;
    for (const Picture& one : pictures_) {
      text += std::to_string(one.number);
      if (!one.memory)
        text += '-';
      else
        text += is_picture(one.memory.bytes(), one.number, one.memory.size()) ? '=' : '!';
      if (one.redelivered) text += 'r';
      text += ',';
    }
    return text;
  }

  void turn(const mohhos::Message& message) {
    const mohhos::MemoryView came = message.memory();
    int number = 0;
    while (!is_picture(came.bytes(), number, came.size()) && number < 1000) ++number;
    mohhos::Memory turned = make_memory(came ? came.size() : 4096);
    paint(turned.bytes(), number + 1);
    reply(message, std::string("turned"), turned);
  }

  std::vector<Picture> pictures_;
};

} // namespace

MOHHOS_PLUGIN(Gallery)
