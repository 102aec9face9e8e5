#include "api/permits.hpp"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "mohhos/v1/control.pb.h"

namespace mohhos::api {
namespace {

TEST(Permits, EveryMethodOfTheServicesHasItsRowAndNothingElse) {
  std::size_t methods = 0;
  const auto* file = v1::Empty::descriptor()->file();
  for (int s = 0; s < file->service_count(); ++s) {
    const auto* service = file->service(s);
    for (int m = 0; m < service->method_count(); ++m, ++methods) {
      const auto* method = service->method(m);
      const MethodName* name = find_method(service->full_name(), method->name());
      ASSERT_NE(name, nullptr) << method->full_name();
      EXPECT_EQ(name->streams, method->server_streaming()) << method->full_name();
      EXPECT_FALSE(method->client_streaming()) << method->full_name();
    }
  }
  EXPECT_EQ(methods, permits().size());
}

TEST(Permits, ACallerWithoutARoleMayNothing) {
  for (const Permit& permit : permits()) EXPECT_FALSE(check_permit(permit.method, Role::None));
}

TEST(Permits, AnAdminMayEverything) {
  for (const Permit& permit : permits()) EXPECT_TRUE(check_permit(permit.method, Role::Admin));
}

TEST(Permits, AnObserverChangesNothing) {
  for (const Method method :
       {Method::Load, Method::Unload, Method::Start, Method::Stop, Method::Suspend, Method::Resume,
        Method::OpenEndpoint, Method::DeadLetterShow, Method::DeadLetterRetry,
        Method::DeadLetterDrop}) {
    const auto refused = check_permit(method, Role::Observe);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Denied);
    EXPECT_NE(refused.error().text.find(name_of(method).name), std::string::npos);
  }
}

TEST(Permits, AnOperatorNeitherReadsNorForgesMessagesOfPlugins) {
  for (const Method method : {Method::TapChannel, Method::OpenReplay}) {
    const auto refused = check_permit(method, Role::Operate);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::Denied);
  }
  EXPECT_TRUE(check_permit(Method::ListChannels, Role::Observe));
}

TEST(Permits, TheTableInTheManualIsThisOne) {
  std::ostringstream manual;
  manual << std::ifstream(MOHHOS_SOURCE_DIR "/docs/cli.md").rdbuf();
  EXPECT_NE(manual.str().find(permits_as_markdown()), std::string::npos)
      << "docs/cli.md must have:\n"
      << permits_as_markdown();
}

} // namespace
} // namespace mohhos::api
