#include "warden/custody.hpp"

namespace mohhos::warden {

Result<> Custody::keep(const Keep& names, sys::Fd fd) {
  const Name name{names.plugin_id, names.kind, names.key};
  auto shared = std::make_shared<const sys::Fd>(std::move(fd));
  if (const auto found = kept_.find(name); found != kept_.end()) {
    found->second = std::move(shared);
    return {};
  }
  const auto counted = count_.find(names.plugin_id);
  if (counted != count_.end() && counted->second >= bounds_.per_plugin)
    return fail(Code::Exhausted, "plugin {} has {} descriptors in custody, which is the bound",
                names.plugin_id, bounds_.per_plugin);
  if (kept_.size() >= bounds_.in_all)
    return fail(Code::Exhausted, "{} descriptors are in custody, which is the bound",
                bounds_.in_all);
  kept_.emplace(name, std::move(shared));
  ++count_[names.plugin_id];
  return {};
}

void Custody::forget(const Forget& names) {
  const bool all = names.kind == KeepKind{};
  auto from = kept_.lower_bound(all ? Name{names.plugin_id, KeepKind{}, 0}
                                    : Name{names.plugin_id, names.kind, names.key});
  while (from != kept_.end() && from->first.plugin_id == names.plugin_id) {
    if (!all && (from->first.kind != names.kind || from->first.key != names.key)) return;
    from = kept_.erase(from);
    const auto counted = count_.find(names.plugin_id);
    if (--counted->second == 0) count_.erase(counted);
  }
}

void Custody::visit(const std::function<void(const Kept&, const sys::SharedFd&)>& visitor) const {
  for (const auto& [name, fd] : kept_) {
    Kept kept;
    kept.plugin_id = name.plugin_id;
    kept.key = name.key;
    kept.kind = name.kind;
    visitor(kept, fd);
  }
}

} // namespace mohhos::warden
