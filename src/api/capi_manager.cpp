// mohhos/plugin_manager.h and security.h: US-004's manager, over the control socket.
#include "api/capi.hpp"
#include "api/capi_convert.hpp"
#include "model/capability.hpp"

namespace mohhos::api::capi {
namespace {

v1::PluginRef ref_of(plugin_id_t id) {
  v1::PluginRef ref;
  ref.set_id(id);
  return ref;
}

Result<> check_id(plugin_id_t id) {
  if (id != 0) return {};
  return fail(Code::Invalid, "0 is no plugin's id");
}

int operate(Method method, plugin_id_t id) noexcept {
  return guarded([&]() -> Result<> {
    TRY(check_id(id));
    v1::PluginInfo info;
    return call_daemon(method, ref_of(id), info);
  });
}

// "custom:5" or a name of US-004.
Result<std::string> capability_text(const capability_t& capability) {
  const auto number = static_cast<unsigned>(number_of(capability));
  if (number < model::kCapabilities.size())
    return std::string(model::capability_name(model::kCapabilities[number]));
  if (number >= CAPABILITY_CUSTOM && number < CAPABILITY_CUSTOM + 32U)
    return fmt::format("custom:{}", number - CAPABILITY_CUSTOM);
  return fail(Code::Invalid, "{} is no capability", number);
}

} // namespace
} // namespace mohhos::api::capi

using namespace mohhos;
using namespace mohhos::api;
using namespace mohhos::api::capi;

int plugin_load(const char* plugin_path, plugin_descriptor_t** plugin) {
  return guarded([&]() -> Result<> {
    if (plugin_path == nullptr || plugin == nullptr)
      return fail(Code::Invalid, "plugin_load: an argument is NULL");
    TRY(const PluginFile file, read_plugin_file(plugin_path));
    v1::PluginInfo info;
    TRY(call_daemon(Method::Load, file.request, info, file.image.get()));
    std::unique_ptr<plugin_descriptor_t, decltype(&std::free)> made(
        allocate<plugin_descriptor_t>(1), &std::free);
    write_descriptor(info, *made);
    *plugin = made.release();
    return {};
  });
}

int plugin_unload(plugin_id_t plugin_id) {
  return guarded([&]() -> Result<> {
    TRY(check_id(plugin_id));
    v1::PluginRef ref = ref_of(plugin_id);
    v1::Empty done;
    return call_daemon(Method::Unload, ref, done);
  });
}

int plugin_start(plugin_id_t plugin_id) {
  return operate(Method::Start, plugin_id);
}

int plugin_stop(plugin_id_t plugin_id) {
  return operate(Method::Stop, plugin_id);
}

int plugin_suspend(plugin_id_t plugin_id) {
  return operate(Method::Suspend, plugin_id);
}

int plugin_resume(plugin_id_t plugin_id) {
  return operate(Method::Resume, plugin_id);
}

int plugin_get_info(plugin_id_t plugin_id, plugin_info_t* info) {
  return guarded([&]() -> Result<> {
    TRY(check_id(plugin_id));
    if (info == nullptr) return fail(Code::Invalid, "plugin_get_info: info is NULL");
    v1::PluginInfo found;
    TRY(call_daemon(Method::Info, ref_of(plugin_id), found));
    write_plugin_info(found, *info);
    return {};
  });
}

int plugin_list_loaded(plugin_descriptor_t** plugins, size_t* count) {
  return guarded([&]() -> Result<> {
    if (plugins == nullptr || count == nullptr)
      return fail(Code::Invalid, "plugin_list_loaded: an argument is NULL");
    v1::ListResponse found;
    TRY(call_daemon(Method::List, v1::ListRequest(), found));
    const auto size = static_cast<std::size_t>(found.plugins_size());
    plugin_descriptor_t* list = size == 0 ? nullptr : allocate<plugin_descriptor_t>(size);
    std::size_t made = 0;
    try {
      for (const auto& info : found.plugins()) write_descriptor(info, list[made++]);
    } catch (...) {
      plugin_list_free(list, size); // zeroed where nothing was made
      throw;
    }
    *plugins = list;
    *count = size;
    return {};
  });
}

void plugin_descriptor_free(plugin_descriptor_t* plugin) {
  plugin_list_free(plugin, 1);
}

void plugin_list_free(plugin_descriptor_t* plugins, size_t count) {
  if (plugins == nullptr) return;
  for (std::size_t i = 0; i < count; ++i) clear(plugins[i]);
  std::free(plugins);
}

int security_check_capability(plugin_id_t plugin_id, capability_t capability) {
  return guarded([&]() -> Result<int> {
    TRY(check_id(plugin_id));
    TRY(auto text, capability_text(capability));
    v1::CheckCapabilityRequest request;
    *request.mutable_plugin() = ref_of(plugin_id);
    request.set_capability(std::move(text));
    v1::CheckCapabilityResponse answer;
    TRY(call_daemon(Method::CheckCapability, request, answer));
    return answer.granted() ? 1 : 0;
  });
}
