#include "api/status.hpp"

#include <array>

#include "api/utf8.hpp"
#include "mohhos/v1/control.pb.h"

namespace mohhos::api {
namespace {

struct Row {
  Code code;
  GrpcCode grpc;
};

constexpr std::array kRows = {
    Row{Code::Failed, GrpcCode::Unknown},
    Row{Code::Invalid, GrpcCode::InvalidArgument},
    Row{Code::NotFound, GrpcCode::NotFound},
    Row{Code::Exists, GrpcCode::AlreadyExists},
    Row{Code::BadState, GrpcCode::FailedPrecondition},
    Row{Code::NotRunning, GrpcCode::FailedPrecondition},
    Row{Code::Denied, GrpcCode::PermissionDenied},
    Row{Code::Untrusted, GrpcCode::PermissionDenied},
    Row{Code::NoSandbox, GrpcCode::FailedPrecondition},
    Row{Code::Dependency, GrpcCode::FailedPrecondition},
    Row{Code::Incompatible, GrpcCode::FailedPrecondition},
    Row{Code::ConsentNeeded, GrpcCode::PermissionDenied},
    Row{Code::Unreachable, GrpcCode::Unavailable},
    Row{Code::TimedOut, GrpcCode::DeadlineExceeded},
    Row{Code::Malformed, GrpcCode::InvalidArgument},
    Row{Code::TooLarge, GrpcCode::ResourceExhausted},
    Row{Code::Exhausted, GrpcCode::ResourceExhausted},
    Row{Code::PluginFailed, GrpcCode::Aborted},
    Row{Code::PeerGone, GrpcCode::Unavailable},
    Row{Code::PeerRestarted, GrpcCode::Aborted},
    Row{Code::Refused, GrpcCode::ResourceExhausted},
    Row{Code::Cancelled, GrpcCode::Cancelled},
    Row{Code::Unsupported, GrpcCode::Unimplemented},
};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].code != static_cast<Code>(i + 1)) return false;
  return kRows.size() == static_cast<std::size_t>(Code::Unsupported);
}
static_assert(rows_in_order(), "every code has its row, in the order of the enum");

constexpr std::string_view kDetailType = "type.googleapis.com/mohhos.v1.ErrorDetail";

} // namespace

GrpcCode grpc_code(Code code) noexcept {
  const auto index = static_cast<std::size_t>(code) - 1;
  return index < kRows.size() ? kRows[index].grpc : GrpcCode::Unknown;
}

Code code_of(GrpcCode code) noexcept {
  // The first row wins: the general codes stand before the special ones.
  for (const Row& row : kRows)
    if (row.grpc == code) return row.code;
  return Code::Failed;
}

void write_status(const Error& error, ttrpc::Status& status) {
  status.set_code(static_cast<std::int32_t>(grpc_code(error.code)));
  status.set_message(as_utf8(error.text));
  v1::ErrorDetail detail;
  detail.set_code(static_cast<std::uint32_t>(error.code));
  detail.set_name(std::string(code_name(error.code)));
  detail.set_exit(exit_code(error.code));
  ttrpc::Any* any = status.add_details();
  any->set_type_url(std::string(kDetailType));
  any->set_value(detail.SerializeAsString());
}

Error read_status(const ttrpc::Status& status) {
  for (const ttrpc::Any& any : status.details()) {
    v1::ErrorDetail detail;
    if (any.type_url() != kDetailType || !detail.ParseFromString(any.value())) continue;
    if (detail.code() >= 1 && detail.code() <= kRows.size())
      return {static_cast<Code>(detail.code()), status.message()};
  }
  return {code_of(static_cast<GrpcCode>(status.code())), status.message()};
}

} // namespace mohhos::api
