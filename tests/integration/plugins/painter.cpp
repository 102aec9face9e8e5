// Sends memories to gallery (or to the peer of its configuration), and answers how that went: the
// outcome's number.
//   "paint N BYTES [TEXT]"  one that is filled after N, with the message "N TEXT"
//   "hang N BYTES PEER"     the same to gallery and to PEER, one memory for both
//   "open"                  opens the channel to gallery anew
//   "durable"               with a message that is to be on disk
//   "make COUNT BYTES"      makes so many and keeps them; how many, and the last outcome
//   "flood"                 one memory with message after message; how many, and the last outcome
//   "ask N BYTES"           a request with one, whose answer brings it back turned round
//   "crash"                 dies
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "picture.hpp"

namespace {

class Painter : public mohhos::Plugin {
public:
  void on_start() override { gallery_ = open("gallery"); }

  void on_message(const mohhos::Message& message) override {
    std::istringstream words(message.copy());
    std::string verb;
    words >> verb;
    if (verb == "crash") std::abort();
    if (!message.wants_reply()) return;
    try {
      reply(message, act(verb, words));
    } catch (const mohhos::Failure& failure) {
      reply(message, std::to_string(failure.code()));
    }
  }

private:
  std::string act(const std::string& verb, std::istringstream& words) {
    int number = 0;
    std::size_t bytes = 0;
    std::string text;
    words >> number >> bytes;
    std::getline(words >> std::ws, text);
    if (verb == "make") return make(number, bytes);
    if (verb == "flood") return flood();
    if (verb == "open") {
      gallery_ = open("gallery");
      return "0";
    }
    mohhos::Memory picture = make_memory(verb == "durable" ? 4096 : bytes);
    paint(picture.bytes(), number);
    const std::string title = std::to_string(number) + " " + text;
    if (verb == "durable")
      return std::to_string(gallery_.try_send(title, {.durable = true, .memory = &picture}));
    if (verb == "hang") {
      gallery_.send(std::to_string(number), {.memory = &picture});
      open(text).send(std::to_string(number), {.memory = &picture});
      return "0";
    }
    if (verb == "ask") return ask(picture, number);
    if (verb == "paint") return std::to_string(gallery_.try_send(title, {.memory = &picture}));
    return "what?";
  }

  std::string make(int count, std::size_t bytes) {
    for (int i = 0; i < count; ++i) {
      mohhos_memory_t memory = 0;
      void* data = nullptr;
      const auto made = host()->make_memory(host(), bytes, 2'000'000'000, &memory, &data);
      if (made < 0) return std::to_string(i) + " " + std::to_string(made);
    }
    return std::to_string(count) + " 0";
  }

  std::string flood() {
    mohhos::Memory picture = make_memory(4096);
    for (int i = 0;; ++i) {
      const auto sent = gallery_.try_send("0", {.memory = &picture});
      if (sent < 0) return std::to_string(i) + " " + std::to_string(sent);
    }
  }

  std::string ask(mohhos::Memory& picture, int number) {
    const auto size = picture.size();
    gallery_.call("turn", std::chrono::seconds(10),
                  [this, number, size](const mohhos::Reply& answer) {
                    const mohhos::MemoryView turned = answer.message().memory();
                    answer_ = is_picture(turned.bytes(), number + 1, size) ? "turned" : "wrong";
                    info(answer_);
                  },
                  {.memory = &picture});
    return "0";
  }

  mohhos::Channel gallery_;
  std::string answer_;
};

} // namespace

MOHHOS_PLUGIN(Painter)
