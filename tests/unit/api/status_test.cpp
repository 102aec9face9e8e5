#include "api/status.hpp"

#include <gtest/gtest.h>

namespace mohhos::api {
namespace {

TEST(Status, EveryCodeComesBackAsItself) {
  for (unsigned i = 1; i <= static_cast<unsigned>(Code::Unsupported); ++i) {
    ttrpc::Status status;
    write_status({static_cast<Code>(i), "a sentence"}, status);
    EXPECT_NE(status.code(), 0) << i;
    const Error error = read_status(status);
    EXPECT_EQ(error.code, static_cast<Code>(i));
    EXPECT_EQ(error.text, "a sentence");
  }
}

TEST(Status, OfAnotherServerBecomesTheNearestCode) {
  ttrpc::Status status;
  status.set_code(static_cast<int>(GrpcCode::NotFound));
  EXPECT_EQ(read_status(status).code, Code::NotFound);
  status.set_code(static_cast<int>(GrpcCode::DataLoss));
  EXPECT_EQ(read_status(status).code, Code::Failed);
  status.set_code(-5);
  EXPECT_EQ(read_status(status).code, Code::Failed);
}

TEST(Status, ADetailThatLiesAboutItsCodeIsNotBelieved) {
  ttrpc::Status status;
  status.set_code(static_cast<int>(GrpcCode::PermissionDenied));
  auto* any = status.add_details();
  any->set_type_url("type.googleapis.com/mohhos.v1.ErrorDetail");
  any->set_value(std::string("\x08\xFF\x01", 3)); // code 255
  EXPECT_EQ(read_status(status).code, Code::Denied);
}

} // namespace
} // namespace mohhos::api
