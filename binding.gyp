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
        "native/addon/frame_io.cc",
        "native/addon/messages.cc",
        "native/addon/poller.cc",
        "native/addon/system.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS"]
    }
  ]
}
