#include "model/paths.hpp"

#include <gtest/gtest.h>

namespace mohhos::model {
namespace {

TEST(Paths, TheSystemsOwnAreWhatTheHierarchyStandardSays) {
  const Paths paths = paths_under("/");
  EXPECT_EQ(paths.socket(), "/run/mohhos/control.sock");
  EXPECT_EQ(paths.config(), "/etc/mohhos/mohhosd.toml");
  EXPECT_EQ(paths.keys(), "/etc/mohhos/keys.d");
  EXPECT_EQ(paths.state, "/var/lib/mohhos");
}

TEST(Paths, APrivateRootHasTheSameShape) {
  EXPECT_EQ(paths_under("/tmp/r").socket(), "/tmp/r/run/mohhos/control.sock");
  EXPECT_EQ(paths_under("/tmp/r").log, "/tmp/r/var/log/mohhos");
}

TEST(Paths, AUsersOwnFollowTheDesktopConventions) {
  const Paths paths = paths_of_user("/run/user/1000", "/home/ada");
  EXPECT_EQ(paths.socket(), "/run/user/1000/mohhos/control.sock");
  EXPECT_EQ(paths.grants(), "/home/ada/.config/mohhos/grants.d");
}

} // namespace
} // namespace mohhos::model
