// The verified bytes as files: dlopen needs a path, and the sandbox has no /proc through which a
// memfd would have one. A private tmpfs in the warden's own mount namespace; one read-only file per
// image, written once from the sealed and verified bytes, shared by all instances, gone with the
// last of them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/units.hpp"
#include "security/image.hpp"
#include "sys/fd.hpp"

namespace mohhos::warden {

// One image file; it is removed when the last reference goes. Must not outlive its Images.
struct ImageFile {
  sys::Fd fd;                 // O_PATH
  std::filesystem::path path; // in the warden's mount namespace
  sys::Fd directory;
  ~ImageFile();
};

class Images {
public:
  // Mounts the tmpfs over this directory. After leave_mount_namespace(). [any]
  [[nodiscard]] static Result<Images> mount(const std::filesystem::path& path, int directory_fd,
                                            Bytes limit);

  // Exhausted: the tmpfs is full; nothing stays behind then. [loop]
  [[nodiscard]] Result<std::shared_ptr<ImageFile>> put(const security::VerifiedImage& image);

private:
  std::filesystem::path path_;
  sys::Fd directory_;
  std::map<std::string, std::weak_ptr<ImageFile>> files_; // by the hash in their name
};

} // namespace mohhos::warden
