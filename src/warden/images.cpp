#include "warden/images.hpp"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace mohhos::warden {
namespace {

std::string name_of(const security::Blake2b& hash) {
  return fmt::format("{:02x}.so", fmt::join(std::span(hash).first(32), ""));
}

} // namespace

ImageFile::~ImageFile() {
  if (fd) ::unlinkat(directory.get(), path.filename().c_str(), 0);
}

Result<Images> Images::mount(const std::filesystem::path& path, int directory_fd, Bytes limit) {
  const std::string options = fmt::format("mode=0711,size={},nr_inodes=8192", limit.count);
  TRY(sys::mount_tmpfs(path, options, directory_fd));
  Images images;
  images.path_ = path;
  images.directory_ = sys::Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!images.directory_) return fail_errno(fmt::format("opening {}", path.native()));
  return images;
}

Result<std::shared_ptr<ImageFile>> Images::put(const security::VerifiedImage& image) {
  std::erase_if(files_, [](const auto& entry) { return entry.second.expired(); });
  const std::string name = name_of(image.hash());
  if (const auto found = files_.find(name); found != files_.end()) return found->second.lock();

  const auto create = [&]() -> Result<std::shared_ptr<ImageFile>> {
    auto file = std::make_shared<ImageFile>();
    file->path = path_ / name;
    const sys::Fd writer(::openat(directory_.get(), name.c_str(),
                                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!writer) return fail_errno("creating the file");
    TRY(file->directory, directory_.duplicate());
    file->fd = sys::Fd(::openat(directory_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!file->fd) {
      const auto error = fail_errno("opening the file");
      ::unlinkat(directory_.get(), name.c_str(), 0);
      return error;
    }
    const auto bytes = image.bytes();
    TRY(sys::write_all(writer.get(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    if (::fchmod(writer.get(), 0444) != 0) return fail_errno("fchmod of the file");
    return file;
  };
  auto file = create();
  if (!file)
    return std::unexpected(std::move(file).error().within(fmt::format(
        "keeping the {} bytes of the plugin in {}", image.bytes().size(), path_.native())));
  files_.emplace(name, *file);
  return file;
}

} // namespace mohhos::warden
