// Texts that came from plugins, paths and the kernel are bytes; protobuf's strings must be UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace mohhos::api {

// What is not UTF-8 becomes U+FFFD, byte by byte. [pure]
[[nodiscard]] std::string as_utf8(std::string_view bytes);

} // namespace mohhos::api
