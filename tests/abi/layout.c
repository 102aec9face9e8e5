// The layout of every public struct on x86-64, as numbers: a change here breaks plugins and
// programs that are already built. A struct may grow at its end (a new AT line and a new SIZE),
// nothing may move.
#include <stddef.h>

#include "mohhos/abi.h"
#include "mohhos/mohhos.h"

#ifdef __cplusplus
#define SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type)
#define AT(type, field, bytes) static_assert(offsetof(type, field) == (bytes), #type "." #field)
#else
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
#define AT(type, field, bytes) _Static_assert(offsetof(type, field) == (bytes), #type "." #field)
#endif

SIZE(mohhos_message_t, 96);
AT(mohhos_message_t, struct_size, 0);
AT(mohhos_message_t, flags, 4);
AT(mohhos_message_t, id, 8);
AT(mohhos_message_t, sender, 16);
AT(mohhos_message_t, correlation, 24);
AT(mohhos_message_t, sent_at_ns, 32);
AT(mohhos_message_t, received_at_ns, 40);
AT(mohhos_message_t, deadline_ns, 48);
AT(mohhos_message_t, type, 56);
AT(mohhos_message_t, priority, 60);
AT(mohhos_message_t, event, 64);
AT(mohhos_message_t, generation, 68);
AT(mohhos_message_t, size, 72);
AT(mohhos_message_t, data, 80);
AT(mohhos_message_t, sender_name, 88);

SIZE(mohhos_send_options_t, 40);
AT(mohhos_send_options_t, struct_size, 0);
AT(mohhos_send_options_t, type, 4);
AT(mohhos_send_options_t, priority, 8);
AT(mohhos_send_options_t, flags, 12);
AT(mohhos_send_options_t, deadline_ns, 16);
AT(mohhos_send_options_t, timeout_ns, 24);
AT(mohhos_send_options_t, memory, 32);

SIZE(mohhos_request_t, 24);
AT(mohhos_request_t, sender, 0);
AT(mohhos_request_t, correlation, 8);
AT(mohhos_request_t, deadline_ns, 16);

SIZE(mohhos_plugin_t, 96);
AT(mohhos_plugin_t, struct_size, 0);
AT(mohhos_plugin_t, abi_version, 4);
AT(mohhos_plugin_t, name, 8);
AT(mohhos_plugin_t, create, 16);
AT(mohhos_plugin_t, on_init, 24);
AT(mohhos_plugin_t, on_start, 32);
AT(mohhos_plugin_t, on_stop, 40);
AT(mohhos_plugin_t, on_message, 48);
AT(mohhos_plugin_t, on_work, 56);
AT(mohhos_plugin_t, on_config, 64);
AT(mohhos_plugin_t, on_peer, 72);
AT(mohhos_plugin_t, destroy, 80);
AT(mohhos_plugin_t, on_cancel, 88);

SIZE(mohhos_host_t, 248);
AT(mohhos_host_t, struct_size, 0);
AT(mohhos_host_t, abi_version, 4);
AT(mohhos_host_t, plugin_id, 8);
AT(mohhos_host_t, generation, 16);
AT(mohhos_host_t, plugin_type, 20);
AT(mohhos_host_t, plugin_name, 24);
AT(mohhos_host_t, host_data, 32);
AT(mohhos_host_t, log, 40);
AT(mohhos_host_t, fail, 48);
AT(mohhos_host_t, panic, 56);
AT(mohhos_host_t, config_get, 64);
AT(mohhos_host_t, check_capability, 72);
AT(mohhos_host_t, now_ns, 80);
AT(mohhos_host_t, wake, 88);
AT(mohhos_host_t, wake_after, 96);
AT(mohhos_host_t, open_channel, 104);
AT(mohhos_host_t, send, 112);
AT(mohhos_host_t, loan, 120);
AT(mohhos_host_t, commit, 128);
AT(mohhos_host_t, request, 136);
AT(mohhos_host_t, reply, 144);
AT(mohhos_host_t, broadcast, 152);
AT(mohhos_host_t, publish, 160);
AT(mohhos_host_t, subscribe, 168);
AT(mohhos_host_t, call, 176);
AT(mohhos_host_t, call_after, 184);
AT(mohhos_host_t, cancel, 192);
AT(mohhos_host_t, sync, 200);
AT(mohhos_host_t, begin_sync, 208);
AT(mohhos_host_t, make_memory, 216);
AT(mohhos_host_t, take_memory, 224);
AT(mohhos_host_t, drop_memory, 232);
AT(mohhos_host_t, reply_memory, 240);

SIZE(plugin_message_t, 56);
AT(plugin_message_t, id, 0);
AT(plugin_message_t, sender, 8);
AT(plugin_message_t, receiver, 16);
AT(plugin_message_t, type, 24);
AT(plugin_message_t, data_size, 28);
AT(plugin_message_t, data, 32);
AT(plugin_message_t, timestamp, 40);
AT(plugin_message_t, priority, 48);
AT(plugin_message_t, flags, 52);

SIZE(plugin_memory_t, 24);
AT(plugin_memory_t, id, 0);
AT(plugin_memory_t, data, 8);
AT(plugin_memory_t, size, 16);

SIZE(plugin_descriptor_t, 912);
AT(plugin_descriptor_t, id, 0);
AT(plugin_descriptor_t, name, 8);
AT(plugin_descriptor_t, version, 72);
AT(plugin_descriptor_t, type, 88);
AT(plugin_descriptor_t, state, 92);
AT(plugin_descriptor_t, process_id, 96);
AT(plugin_descriptor_t, security_context, 104);
AT(plugin_descriptor_t, limits, 352);
AT(plugin_descriptor_t, ipc_endpoint, 384);
AT(plugin_descriptor_t, metadata, 400);
AT(plugin_descriptor_t, load_time, 896);
AT(plugin_descriptor_t, last_activity, 904);

SIZE(plugin_info_t, 760);
AT(plugin_info_t, id, 0);
AT(plugin_info_t, name, 8);
AT(plugin_info_t, version, 72);
AT(plugin_info_t, type, 88);
AT(plugin_info_t, state, 92);
AT(plugin_info_t, process_id, 96);
AT(plugin_info_t, generation, 100);
AT(plugin_info_t, trust_level, 104);
AT(plugin_info_t, signer, 108);
AT(plugin_info_t, sandbox_level, 140);
AT(plugin_info_t, capabilities, 148);
AT(plugin_info_t, limits, 160);
AT(plugin_info_t, load_us, 192);
AT(plugin_info_t, start_us, 200);
AT(plugin_info_t, memory_bytes, 208);
AT(plugin_info_t, cpu_percent, 216);
AT(plugin_info_t, refusals, 224);
AT(plugin_info_t, load_time, 232);
AT(plugin_info_t, last_activity, 240);
AT(plugin_info_t, cause, 248);

SIZE(platform_requirements_t, 48);
AT(platform_requirements_t, os, 0);
AT(platform_requirements_t, machine, 16);
AT(platform_requirements_t, min_kernel, 32);

SIZE(security_requirements_t, 20);
AT(security_requirements_t, capabilities, 0);
AT(security_requirements_t, min_sandbox_level, 12);

SIZE(plugin_metadata_t, 496);
AT(plugin_metadata_t, name, 0);
AT(plugin_metadata_t, description, 64);
AT(plugin_metadata_t, author, 320);
AT(plugin_metadata_t, version, 384);
AT(plugin_metadata_t, type, 400);
AT(plugin_metadata_t, dependencies, 408);
AT(plugin_metadata_t, required_api_version, 424);
AT(plugin_metadata_t, platform_req, 428);
AT(plugin_metadata_t, security_req, 476);

SIZE(capability_set_t, 12);
AT(capability_set_t, can_access_filesystem, 0);
AT(capability_set_t, can_access_network, 1);
AT(capability_set_t, can_access_hardware, 2);
AT(capability_set_t, can_create_processes, 3);
AT(capability_set_t, can_access_ai_engine, 4);
AT(capability_set_t, can_modify_system_config, 5);
AT(capability_set_t, custom_capabilities, 8);

SIZE(resource_limits_t, 32);
AT(resource_limits_t, max_memory_mb, 0);
AT(resource_limits_t, max_cpu_percent, 8);
AT(resource_limits_t, max_file_descriptors, 12);
AT(resource_limits_t, max_network_connections, 16);
AT(resource_limits_t, max_execution_time_ms, 24);

SIZE(access_control_list_t, 96);
AT(access_control_list_t, read, 0);
AT(access_control_list_t, write, 16);
AT(access_control_list_t, devices, 32);
AT(access_control_list_t, connect, 48);
AT(access_control_list_t, send_to, 64);
AT(access_control_list_t, receive_from, 80);

SIZE(signature_info_t, 98);
AT(signature_info_t, verified, 0);
AT(signature_info_t, key_id, 1);
AT(signature_info_t, sha256, 33);

SIZE(security_context_t, 248);
AT(security_context_t, capabilities, 0);
AT(security_context_t, limits, 16);
AT(security_context_t, acl, 48);
AT(security_context_t, signature, 144);
AT(security_context_t, trust_level, 244);

SIZE(ipc_endpoint_t, 16);
AT(ipc_endpoint_t, id, 0);
AT(ipc_endpoint_t, generation, 8);
AT(ipc_endpoint_t, reserved, 12);

SIZE(api_version_t, 4);
AT(api_version_t, major, 0);
AT(api_version_t, minor, 2);

SIZE(dependency_t, 97);
AT(dependency_t, plugin_name, 0);
AT(dependency_t, min_version, 64);
AT(dependency_t, max_version, 80);
AT(dependency_t, optional, 96);

SIZE(dependency_list_t, 16);
AT(dependency_list_t, items, 0);
AT(dependency_list_t, count, 8);

SIZE(string_list_t, 16);
AT(string_list_t, items, 0);
AT(string_list_t, count, 8);
