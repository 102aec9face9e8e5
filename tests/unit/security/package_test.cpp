#include "security/package.hpp"

#include <dlfcn.h>

#include "security/embed.hpp"
#include "security/manifest.hpp"
#include "support.hpp"

namespace mohhos::security {
namespace {

constexpr std::string_view kToml =
    "name = \"sample\"\nversion = \"1.2\"\n[config]\nkey = \"value\"\n";

std::string with_toml(std::string_view object, std::string_view toml = kToml) {
  return with_manifest(as_bytes(object), compile_manifest(toml, "plugin.toml").value()).value();
}

std::string section_text(std::string_view file) {
  const auto section = find_section(as_bytes(file), kManifestSection).value();
  return {reinterpret_cast<const char*>(section.data()), section.size()};
}

class Package : public ::testing::Test {
protected:
  TemporaryDirectory directory_;
  SecretKey secret_ = generate_key();
  std::string object_ = content(MOHHOS_SAMPLE_PLUGIN);

  Keyring keyring() {
    const auto keys = directory_.path() / "keys.d";
    std::filesystem::create_directory(keys);
    std::filesystem::permissions(keys, std::filesystem::perms{0755});
    write(keys / "a.pub", format_public_key(secret_.public_key()));
    return Keyring::open(keys).value();
  }
  Result<VerifiedPackage> open(std::string_view bytes) {
    return open_package(sealed(bytes), sign(secret_, as_bytes(bytes), "test"), keyring());
  }
};

TEST_F(Package, HasItsMetadataItsSignerAndItsReport) {
  auto package = open(with_toml(object_));
  ASSERT_TRUE(package) << package.error().text;
  EXPECT_EQ(package->metadata().name, "sample");
  EXPECT_EQ(package->signer(), secret_.public_key());
  EXPECT_TRUE(package->report().may_load());
  EXPECT_EQ(package->sha256(), sha256_hex(package->image().bytes()));
  EXPECT_FALSE(package->signature().empty());
}

TEST_F(Package, IsRefusedBeforeItIsParsedWhenItIsNotSigned) {
  EXPECT_REFUSED(open_package(sealed("no ELF at all"), "", keyring()), Code::Untrusted,
                 "not signed");
  EXPECT_REFUSED(
      open_package(sealed(with_toml(object_)), sign(secret_, as_bytes(object_), ""), keyring()),
      Code::Untrusted, "bytes are not the ones");
}

TEST_F(Package, WithoutAManifestIsRefused) {
  EXPECT_REFUSED(open(object_), Code::Malformed, "it has no manifest");
}

TEST_F(Package, ThatIsNoElfFileIsRefused) {
  EXPECT_REFUSED(open("signed text"), Code::Malformed, "EL-01");
}

TEST_F(Package, WithAManifestOfNonsenseIsRefused) {
  EXPECT_REFUSED(open(with_manifest(as_bytes(object_), "nonsense").value()), Code::Malformed,
                 "no manifest");
}

TEST(Embedding, AddsTheSectionAndNothingElseChangesForTheLoader) {
  const std::string object = content(MOHHOS_SAMPLE_PLUGIN);
  const std::string file = with_toml(object);
  EXPECT_EQ(section_text(file), compile_manifest(kToml, "x").value());
  // After the header, which points to the new section table, every old byte is where it was.
  EXPECT_EQ(file.substr(64, object.size() - 64), object.substr(64));
}

TEST(Embedding, ReplacesAnOlderManifest) {
  const std::string once = with_toml(content(MOHHOS_SAMPLE_PLUGIN));
  const std::string twice = with_toml(once, "name = \"other\"\nversion = \"2\"\n");
  EXPECT_EQ(parse_manifest(as_bytes(section_text(twice)))->name, "other");
}

TEST(Embedding, ReplacesTheFileWholeAndKeepsItsMode) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "p.so";
  write(path, content(MOHHOS_SAMPLE_PLUGIN));
  std::filesystem::permissions(path, std::filesystem::perms{0755});
  EXPECT_REFUSED(embed_manifest(path, "name = 3", "plugin.toml"), Code::Invalid, "plugin.toml:1");
  EXPECT_EQ(content(path), content(MOHHOS_SAMPLE_PLUGIN));
  ASSERT_TRUE(embed_manifest(path, kToml, "plugin.toml"));
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms{0755});
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(handle, nullptr) << ::dlerror();
  EXPECT_NE(::dlsym(handle, "mohhos_plugin"), nullptr);
  ::dlclose(handle);
}

TEST(Embedding, TheToolsOfBinutilsStillReadTheFile) {
  if (run("objcopy --version") != 0) GTEST_SKIP() << "binutils are not installed";
  const TemporaryDirectory directory;
  const auto path = directory.path() / "p.so";
  write(path, with_toml(content(MOHHOS_SAMPLE_PLUGIN)));
  const auto dump = directory.path() / "manifest";
  ASSERT_EQ(run("objcopy -O binary --only-section=.mohhos.manifest --set-section-flags "
                ".mohhos.manifest=alloc " +
                path.native() + " " + dump.native()),
            0);
  EXPECT_EQ(content(dump), compile_manifest(kToml, "x").value());
  // A manifest that objcopy added is read here, too, and survives strip.
  write(path, content(MOHHOS_SAMPLE_PLUGIN));
  ASSERT_EQ(run("objcopy --add-section .mohhos.manifest=" + dump.native() + " " + path.native()),
            0);
  EXPECT_EQ(section_text(content(path)), content(dump));
  write(path, with_toml(content(MOHHOS_SAMPLE_PLUGIN)));
  ASSERT_EQ(run("strip " + path.native()), 0);
  EXPECT_EQ(section_text(content(path)), content(dump));
}

TEST(Embedding, WhatIsNoSharedObjectIsRefused) {
  EXPECT_REFUSED(with_manifest(as_bytes("text"), "m"), Code::Malformed,
                 "not a 64-bit ELF shared object");
  std::string object = content(MOHHOS_SAMPLE_PLUGIN);
  object.resize(object.size() - 100); // the section headers are at the end
  EXPECT_REFUSED(with_manifest(as_bytes(object), "m"), Code::Malformed, "truncated");
}

TEST(Assembler, SourceGivesTheSection) {
  if (run("cc --version") != 0) GTEST_SKIP() << "no compiler here";
  const TemporaryDirectory directory;
  const std::string manifest = compile_manifest(kToml, "x").value();
  const std::string source = directory.path() / "m.S";
  const std::string object = directory.path() / "m.so";
  write(source, manifest_assembler(manifest));
  ASSERT_EQ(run("cc -shared -o " + object + " " + source), 0);
  EXPECT_EQ(section_text(content(object)), manifest);
}

TEST(Section, ContentsOfBrokenTablesAreNotFollowed) {
  const std::string file = with_toml(content(MOHHOS_SAMPLE_PLUGIN));
  EXPECT_REFUSED(find_section(as_bytes(file), ".nothing"), Code::NotFound, ".nothing");
  EXPECT_REFUSED(find_section(as_bytes(file.substr(0, file.size() - 1)), kManifestSection),
                 Code::Malformed, "truncated");
  EXPECT_REFUSED(find_section(as_bytes("text"), kManifestSection), Code::Malformed,
                 "not a 64-bit ELF");
}

} // namespace
} // namespace mohhos::security
