{
  "target_defaults": {
    "cflags_cc": ["-std=c++17", "-Wall", "-Wextra"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti"],
    "defines": ["_GNU_SOURCE"]
  },
  "targets": [
    {
      "target_name": "netloom_native",
      "sources": [
        "native/addon/addon.cc",
        "native/addon/arena.cc",
        "native/addon/background_close.cc",
        "native/addon/file_nodes.cc",
        "native/addon/frame_io.cc",
        "native/addon/messages.cc",
        "native/addon/packet_socket.cc",
        "native/addon/poller.cc",
        "native/addon/program.cc",
        "native/addon/readable_watch.cc",
        "native/addon/system.cc",
        "native/addon/udp_underlay.cc",
        "native/addon/udp_underlay_receive.cc",
        "native/addon/udp_underlay_send.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS"]
    },
    {
      "target_name": "netloom-shim",
      "type": "executable",
      "ldflags": ["<!@(sh native/shim/static-link.sh)"],
      "sources": [
        "native/shim/cgroup.cc",
        "native/shim/connection.cc",
        "native/shim/container_devices.cc",
        "native/shim/container_mounts.cc",
        "native/shim/container_root.cc",
        "native/shim/copy_tree.cc",
        "native/shim/ground.cc",
        "native/shim/host_layers.cc",
        "native/shim/host_mounts.cc",
        "native/shim/identity.cc",
        "native/shim/init.cc",
        "native/shim/kernel_files.cc",
        "native/shim/log_file.cc",
        "native/shim/main.cc",
        "native/shim/message.cc",
        "native/shim/namespaces.cc",
        "native/shim/overlay.cc",
        "native/shim/private_files.cc",
        "native/shim/process.cc",
        "native/shim/process_tree.cc",
        "native/shim/program.cc",
        "native/shim/root_layers.cc",
        "native/shim/rooted_path.cc",
        "native/shim/setup_request.cc",
        "native/shim/shim.cc",
        "native/shim/shim_process_verbs.cc",
        "native/shim/shim_verbs.cc"
      ]
    },
    {
      "target_name": "netloom-uplink",
      "type": "executable",
      "ldflags": ["<!@(sh native/shim/static-link.sh)"],
      "sources": [
        "native/shim/connection.cc",
        "native/shim/message.cc",
        "native/uplink/control.cc",
        "native/uplink/datagram_batch.cc",
        "native/uplink/event_loop.cc",
        "native/uplink/inside.cc",
        "native/uplink/main.cc",
        "native/uplink/outer_socket.cc",
        "native/uplink/packet.cc",
        "native/uplink/ping_relay.cc",
        "native/uplink/published_udp.cc",
        "native/uplink/publisher.cc",
        "native/uplink/tcp_gate.cc",
        "native/uplink/tcp_relay.cc",
        "native/uplink/udp_relay.cc"
      ]
    }
  ]
}
