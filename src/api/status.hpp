// mohhos::Code ↔ the gRPC code that ttrpc's Status carries, and the whole Error inside it: code is
// the nearest gRPC code (any client understands it), message the sentence, details[0] an
// ErrorDetail with our own code.
#pragma once

#include <cstdint>

#include "base/error.hpp"
#include "ttrpc.pb.h"

namespace mohhos::api {

enum class GrpcCode : std::int32_t {
  Ok = 0,
  Cancelled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
};

[[nodiscard]] GrpcCode grpc_code(Code code) noexcept; // [pure]
// The nearest of ours for a Status without an ErrorDetail. [pure]
[[nodiscard]] Code code_of(GrpcCode code) noexcept;

void write_status(const Error& error, ttrpc::Status& status); // [pure]
// The Error that write_status wrote, or the nearest to what another server says. [pure]
[[nodiscard]] Error read_status(const ttrpc::Status& status);

} // namespace mohhos::api
