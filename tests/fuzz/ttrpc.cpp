// Whatever bytes arrive on the control socket, in whatever pieces: frames, the request inside, and
// an answer's status.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <google/protobuf/stubs/logging.h>

#include "api/methods.hpp"
#include "api/status.hpp"
#include "api/wire.hpp"
#include "base/check.hpp"
#include "mohhos/v1/control.pb.h"

using namespace mohhos;
using namespace mohhos::api;

static void look_into(const Frame& frame) {
  CHECK(frame.payload.size() == frame.header.length);
  ttrpc::Request request;
  if (request.ParseFromString(frame.payload)) {
    if (const MethodName* name = find_method(request.service(), request.method()))
      CHECK(name_of(name->method).name == request.method());
    v1::LoadRequest load;
    v1::PluginRef ref;
    v1::LogsRequest logs;
    (void)load.ParseFromString(request.payload());
    (void)ref.ParseFromString(request.payload());
    (void)logs.ParseFromString(request.payload());
  }
  ttrpc::Response response;
  if (response.ParseFromString(frame.payload)) {
    const Error error = read_status(response.status());
    CHECK(error.code >= Code::Failed && error.code <= Code::Unsupported);
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  google::protobuf::SetLogHandler(nullptr);
  const std::size_t step = data[0] % 32 + 1; // how the stream is cut
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  FrameAssembler assembler(64U << 10);
  std::size_t taken = 0;
  while (!rest.empty()) {
    const auto space = assembler.space();
    CHECK(!space.empty() && space.size() <= (64U << 10));
    const std::size_t count = std::min({space.size(), rest.size(), step});
    std::memcpy(space.data(), rest.data(), count);
    rest.remove_prefix(count);
    taken += count;
    const auto frame = assembler.filled(count);
    if (!frame) return 0;
    if (*frame) look_into(**frame);
    CHECK(assembler.in_the_middle() || frame->has_value());
  }
  CHECK(taken == size - 1);
  return 0;
}
